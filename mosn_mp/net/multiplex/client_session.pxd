from libc.stdint cimport int32_t, uint32_t, uint64_t
from mosn_mp.buffer.body cimport Body
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.buffer.head cimport Head
from mosn_mp.net.connection.connection cimport Connection, Keeper
from mosn_mp.net.multiplex.session cimport Session
from mosn_mp.net.reactor.reactor cimport Task

# Call.state
cdef enum:
    C_IDLE = 0
    C_WAITING = 1       # sent, or waiting to be
    C_ANSWERED = 2      # head and body hold the response
    C_LOST = 3          # the connection is gone, or broke the rules

cdef class Call:
    cdef Task task
    cdef Head head
    cdef Body body
    cdef uint64_t id
    cdef int state
    cdef int32_t timeout_ms     # what the host is told to have, where its protocol says so
    cdef bint refused           # lost to broken rules, not to a close

cdef class ClientSession(Session):
    cdef object protocol
    cdef Keeper pool            # the HostPool that counts the connection
    cdef list siblings          # the sessions of the SharedPool, this one among them
    cdef dict calls             # stream id -> Call
    cdef uint64_t last_id
    cdef bint leaving           # GOAWAY: no new streams
    cdef uint64_t keepalive_ms
    cdef uint64_t keepalive_timeout_ms
    cdef bint awaiting_heartbeat
    cdef int heartbeats_failed
    cdef list turns             # Tasks that wait to write
    cdef bint writing           # a message too large for one buffer is on its way: nothing may come between
    cdef bint unsendable        # write_message() gave up because the protocol has no such message

    cdef bint send(self, Call call, Head head, const char* body, uint64_t length) except -1
    cdef bint write_message(
        self, Task task, uint64_t stream_id, Head head, const char* body, uint64_t length, int32_t timeout_ms=*
    ) except -1
    cdef bint wait_room(self, Task task, uint64_t room=*) except -1
    cdef bint write_in_pieces(self, Task task, const char* body, uint64_t length) except -1
    cdef bint wait_turn(self, Task task, bint first) except -1
    cdef int forget(self, Call call) except -1
    cdef void lose_all(self, bint refused) noexcept
    cdef int on_message(self) except -1
    cdef int on_goaway(self) except -1
    cdef int on_broken_rules(self) except -1
    cdef void connection_closed(self, Connection connection) noexcept
    cdef int on_writable(self) except -1
    cdef Buf* room_for(self, uint32_t room) noexcept
    cdef int on_heartbeat_reply(self) except -1
    cdef int connection_expired(self, Connection connection) except -1
