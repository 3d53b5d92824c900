from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from mosn_mp.buffer.body cimport Body
from mosn_mp.buffer.head cimport Head
from mosn_mp.codec.codec cimport Codec
from mosn_mp.net.connection cimport Connection, Keeper
from mosn_mp.net.reactor cimport Reactor, Task

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

cdef class Session(Keeper):
    cdef Reactor reactor
    cdef Connection connection
    cdef Codec codec
    cdef Head head              # the message being read
    cdef Body body
    cdef uint64_t message_id
    cdef int64_t body_left      # -1 = no message is being read
    cdef list turns             # Tasks that wait to write
    cdef bint writing           # a message too large for one buffer is on its way: nothing may come between
    cdef bint reading           # read() is on the stack
    cdef uint64_t read_at_ms    # when something was read last

    cdef void attach(self, Connection connection, Codec codec) noexcept
    cdef int read(self) except -1
    cdef int take_event(self) except -1
    cdef bint _has_enough(self) noexcept
    cdef bint may_read(self) noexcept
    cdef int on_message(self) except -1
    cdef int on_heartbeat_reply(self) except -1
    cdef int on_goaway(self) except -1
    cdef int on_reset(self, uint64_t stream_id) except -1
    cdef int on_broken_rules(self) except -1
    cdef int on_end(self, bint is_reset) except -1
    cdef bint write_message(
        self, Task task, uint64_t stream_id, Head head, const char* body, uint64_t length, int32_t timeout_ms=*
    ) except -1
    cdef bint unsendable        # write_message() gave up because the protocol has no such message
    cdef bint wait_room(self, Task task, uint64_t room=*) except -1
    cdef bint write_in_pieces(self, Task task, const char* body, uint64_t length) except -1
    cdef bint wait_turn(self, Task task, bint first) except -1
    cdef int give_turns(self) except -1

cdef class ServerSession(Session):
    cdef Inbox inbox
    cdef object kind            # the inbox's own use
    cdef dict calls             # stream id -> what serves it
    cdef int in_flight
    cdef bint held_back         # did not read because of its limits
    cdef bint ended             # the client sends no more
    cdef uint64_t message_timeout_ms    # from the first byte of a message to its last

    cdef int finished(self, uint64_t stream_id) except -1
    cdef int rest(self) except -1

cdef class Inbox(Keeper):
    cdef int request_arrived(self, ServerSession session) except -1
    cdef int request_reset(self, ServerSession session, object call) except -1
    cdef int session_idle(self, ServerSession session) except -1
    cdef void session_closed(self, ServerSession session) noexcept

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

    cdef bint send(self, Call call, Head head, const char* body, uint64_t length) except -1
    cdef int forget(self, Call call) except -1
    cdef void lose_all(self, bint refused) noexcept
