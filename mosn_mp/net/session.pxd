from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from mosn_mp.buffer.body cimport Body
from mosn_mp.buffer.head cimport Head
from mosn_mp.codec.codec cimport Codec
from mosn_mp.net.connection cimport Connection, Keeper
from mosn_mp.net.reactor cimport Reactor, Task

# What a codec writes beside fields, class and body.
cdef enum:
    FRAME_ROOM = 256

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
