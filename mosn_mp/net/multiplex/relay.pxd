from libc.stdint cimport uint64_t
from mosn_mp.codec.codec cimport Codec
from mosn_mp.net.connection.connection cimport Connection, Keeper
from mosn_mp.net.multiplex.server_session cimport ServerSession
from mosn_mp.net.multiplex.session cimport Session

# Keeps connections between processes of this program: none of their bytes is a client's or a host's.
cdef class Between(Keeper):
    pass

cdef class Relay(Session):
    cdef ServerSession client
    cdef set waiting            # ids of the answers that are to come

    cdef int answer_error(self, uint64_t stream_id, int reason) except -1
    cdef int connection_ready(self, Connection connection) except -1
    cdef bint may_read(self) noexcept
    cdef int on_message(self) except -1
    cdef int on_broken_rules(self) except -1
    cdef int on_end(self, bint is_reset) except -1
    cdef void connection_closed(self, Connection connection) noexcept

cdef Relay open_relay(int fd, ServerSession client, Codec codec, list waiting)
