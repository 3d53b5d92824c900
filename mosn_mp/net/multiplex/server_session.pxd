from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.buffer.head cimport Head
from mosn_mp.net.connection.connection cimport Connection, Keeper
from mosn_mp.net.multiplex.session cimport Session

# ServerSession.write_answer()
cdef enum:
    SENT = 0            # or waits in the backlog
    GONE = 1            # the client is not there any more
    NO_SUCH_MESSAGE = 2 # the protocol cannot say what the answer says
    OVERFLOW = 3        # the client lets too much wait already

cdef class ServerSession(Session):
    cdef Inbox inbox
    cdef object kind            # the inbox's own use
    cdef dict calls             # stream id -> what serves it
    cdef list twins             # what serves a request whose id was taken when it came
    cdef int in_flight
    cdef uint64_t held          # bytes of the requests in flight
    cdef uint64_t message_bytes # of the request that has just arrived
    cdef bint held_back         # did not read because of its limits
    cdef bint ended             # takes no more requests, owes answers only: another process has the client, or it shall go
    cdef bint moving            # on its way into another process: answers wait until it is decided where they go
    cdef Session relay          # brings the answers that the process owes which the client came from; None = it owes none
    cdef uint64_t head_timeout_ms       # from the first byte of a message to the last of its head
    cdef uint64_t message_timeout_ms    # ... to its last
    cdef uint64_t* counters     # the listener's D_* cells
    cdef Buf backlog            # frames that wait for the socket, on the heap; whatever is written goes behind them
    cdef uint32_t waiting_size  # mean size of the frames that had to wait since the connection was idle; 0 = none had to

    cdef int write_answer(self, uint64_t stream_id, Head head, const char* body, uint64_t length, uint32_t word=*) except -1
    cdef Buf* _write_body(self, const char* body, uint64_t length, bint whole, Buf* out) except? NULL
    cdef int write_error(self, uint64_t stream_id, int reason) except -1
    cdef Buf* backlog_room(self, uint64_t room) noexcept
    cdef bint may_wait(self, uint64_t size) noexcept
    cdef int drain(self) except -1
    cdef void drop_backlog(self) noexcept
    cdef int remember(self, uint64_t stream_id, object call) except -1
    cdef int finished(self, uint64_t stream_id, uint64_t message_bytes, object call) except -1
    cdef int rest(self) except -1
    cdef int end(self) except -1
    cdef bint keep_message(self, uint32_t most) noexcept
    cdef bint _lies_alone(self, bint has_head) noexcept
    cdef void set_due(self) noexcept
    cdef void make_way(self, Connection connection, bint for_block) noexcept
    cdef bint may_read(self) noexcept
    cdef int on_message(self) except -1
    cdef int on_reset(self, uint64_t stream_id) except -1
    cdef int read(self) except -1
    cdef int connection_expired(self, Connection connection) except -1
    cdef void connection_closed(self, Connection connection) noexcept
    cdef Buf* room_for(self, uint32_t room) noexcept
    cdef int on_writable(self) except -1
    cdef void connection_flushed(self, Connection connection) noexcept

cdef class Inbox(Keeper):
    cdef int request_arrived(self, ServerSession session) except -1
    cdef int request_reset(self, ServerSession session, object call) except -1
    cdef int session_idle(self, ServerSession session) except -1
    cdef void session_closed(self, ServerSession session) noexcept
