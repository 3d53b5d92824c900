from libc.stdint cimport int64_t, uint32_t, uint64_t
from mosn_mp.buffer.body cimport Body
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.buffer.head cimport Head
from mosn_mp.codec.codec cimport Codec
from mosn_mp.net.connection.connection cimport Connection, Keeper
from mosn_mp.net.reactor.reactor cimport Reactor

cdef uint32_t room_of(Head head) noexcept

cdef enum:
    FRAME_ROOM = 256        # what a codec writes beside fields, class and body
    ONE_BUFFER = 16384      # the largest message that is put into an output buffer; bodies of others leave from where they lie

cdef class Session(Keeper):
    cdef Reactor reactor
    cdef Connection connection
    cdef Codec codec
    cdef Head head              # the message being read
    cdef Body body
    cdef uint64_t message_id
    cdef uint32_t begin_rank    # of a message that begins; the next lower one is of one that goes on
    cdef uint32_t message_at    # where it begins in the connection's input, as long as the block is the one that head is bound to
    cdef int64_t body_left      # -1 = no message is being read
    cdef bint reading           # read() is on the stack
    cdef uint64_t read_at_ms    # when something was read last

    cdef void attach(self, Connection connection, Codec codec) noexcept
    cdef int read(self) except -1
    cdef int take_event(self) except -1
    cdef int _take_data(self, char* piece) except -1
    cdef inline bint _has_enough(self) noexcept
    cdef bint may_read(self) noexcept
    cdef int on_message(self) except -1
    cdef int on_heartbeat_reply(self) except -1
    cdef int on_goaway(self) except -1
    cdef int on_reset(self, uint64_t stream_id) except -1
    cdef int on_broken_rules(self) except -1
    cdef int on_end(self, bint is_reset) except -1
    cdef void let_go(self, Connection connection, Keeper keeper) noexcept
    cdef Buf* room_for(self, uint32_t room) noexcept
    cdef int on_writable(self) except -1
    cdef int connection_ready(self, Connection connection) except -1
    cdef void connection_closed(self, Connection connection) noexcept
