from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.body cimport Body
from mosn_mp.buffer.head cimport Head
from mosn_mp.codec.codec cimport Codec
from mosn_mp.net.connection cimport Connection, Keeper
from mosn_mp.net.reactor cimport Pollable, Reactor
from mosn_mp.net.server_session cimport ServerSession
from mosn_mp.net.session cimport Session

# Keeps connections between processes of this program: none of their bytes is a client's or a host's.
cdef class Between(Keeper):
    pass

cdef class Relay(Session):
    cdef ServerSession client
    cdef set waiting            # ids of the answers that are to come
    cdef int writing_now        # answers taken from it that wait to be written
    cdef uint32_t write_timeout_ms

    cdef int answer(self, uint64_t stream_id, int reason) except -1

# One answer on its way to the client.
cdef class RelayedAnswer(Pollable):
    cdef Relay relay
    cdef uint64_t stream_id
    cdef int reason             # 0 = head and body are the answer
    cdef Head head
    cdef Body body

cdef Relay open_relay(int fd, ServerSession client, Codec codec, list waiting, uint32_t write_timeout_ms)
