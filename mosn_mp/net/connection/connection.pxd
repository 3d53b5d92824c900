from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.net.reactor.fragments cimport Fragment
from mosn_mp.net.reactor.reactor cimport Pollable, Reactor, Task
from mosn_mp.observe.access_log.record cimport Address
from mosn_mp.net.connection.pace cimport Pace

# Connection.state
cdef enum State:
    S_SERVING = 0       # a stream has it
    S_PARKED = 1        # downstream, at a request boundary: no greenlet, no buffer
    S_POOLED = 2        # upstream, idle in its pool
    S_LINGERING = 3     # our side is shut; input is thrown away until the far side closes
    S_CLOSED = 4
    S_SHARED = 5        # carries messages of many streams; its session is its keeper
    S_MOVING = 6        # at rest until another process says whether it takes it (moving.py)
    S_BOUND = 7         # upstream, idle, for one client only: its mate

# Connection.fill()
cdef enum:
    WOULD_BLOCK = 0
    EOF = -1
    RESET = -2
    STARVED = -3        # the arena has no block now; the reactor retries at the next tick

cdef enum:
    LINGER_MS = 1000    # how long a connection may go on sending after our goodbye (Envoy's delayed close: 1 s)
    BLOCK_SMALL = 16384     # a head and a small body
    BLOCK_LARGE = 65536     # bodies that keep coming

cdef class Connection(Pollable):
    cdef Reactor reactor
    cdef Keeper keeper          # who decides when nobody waits: the service (downstream) or the pool (upstream)
    cdef Buf input
    cdef Buf output
    cdef Fragment* fragment     # of a message whose rest is awaited; NULL = none
    cdef uint64_t id
    cdef uint64_t bytes_read
    cdef uint32_t requests      # streams begun on it
    cdef uint32_t slot          # the keeper's own use (index in the pool's array)
    cdef uint8_t state
    cdef uint8_t protocol       # which of its listener's protocols it speaks: place + 1; 0 = not known yet
    cdef uint8_t broken            # a send failed: nothing more can be written
    cdef uint8_t close_after_flush # and how: THEN_CLOSE, THEN_LINGER
    cdef uint8_t shut_after_flush
    cdef uint8_t shut              # FIN was sent
    cdef uint8_t parting           # the client was told that it shall go (GOAWAY)
    cdef uint8_t bereft            # its mate has closed: it ends with the answer at hand
    cdef uint8_t watched           # its own deadline is the next look at a stalled write
    cdef Pace pace              # at which the far side takes what we write, when that stalls
    cdef Connection mate        # pool mode BIND: the connection of the other side, which closes together with this one
    cdef Address remote
    cdef Address local          # asked for when first wanted

    cdef int open(self, int fd, Reactor reactor, Keeper keeper) except -1
    cdef int fill(self, uint32_t block_size) noexcept
    cdef bint reserve(self, uint32_t room) noexcept
    cdef void written(self) noexcept
    cdef Py_ssize_t send_through(self, const char* payload, size_t length) noexcept
    cdef bint is_stalled(self) noexcept
    cdef bint is_taking(self) noexcept
    cdef void watch(self) noexcept
    cdef bint is_quiet(self) noexcept
    cdef void drop_input(self) noexcept
    cdef bint recall_fragment(self, uint32_t block_size) noexcept
    cdef void end_fragment(self) noexcept
    cdef void release_buffers(self) noexcept
    cdef void close(self) noexcept
    cdef void give_up_fd(self) noexcept
    cdef void abort(self) noexcept
    cdef void close_when_flushed(self) noexcept
    cdef void shut_write_when_flushed(self) noexcept
    cdef void linger(self, uint32_t timeout_ms) noexcept
    cdef Address* local_address(self) noexcept
    cdef int _drain_lingering(self) noexcept
    cdef bint _take_input(self, uint32_t block_size) noexcept
    cdef bint _compact(self) noexcept
    cdef void drop_empty(self) noexcept
    cdef bint _make_room(self, uint32_t block_size) noexcept
    cdef void _count_written(self, Py_ssize_t count) noexcept
    cdef bint _may_try_later(self) noexcept
    cdef void _break(self) noexcept
    cdef void bind_to(self, Connection mate) noexcept
    cdef void _part_from_mate(self) noexcept
    cdef void _starve(self) noexcept
    cdef void _close_flushed(self) noexcept
    cdef void _drop_output(self) noexcept
    cdef int flush(self) except -1
    cdef int on_ready(self) except -1
    cdef int serve(self) except -1
    cdef int on_failure(self) except -1
    cdef int on_timer(self) except -1

cdef class Keeper:
    cdef uint32_t rank          # of what its connections send now (net/reactor/stock.py)
    cdef uint32_t look_ms       # a stalled write is looked at so often (net/connection/pace.py); 0 = its connections are not watched
    cdef uint32_t look_bytes    # what the far side has to take from one look to the next
    cdef uint64_t* read_cell    # metric cells that count the bytes of its connections
    cdef uint64_t* write_cell
    cdef uint64_t* starved_cell # counts the times that the arena was empty; may be NULL
    cdef int connection_ready(self, Connection connection) except -1
    cdef int serve_connection(self, Connection connection) except -1
    cdef int connection_expired(self, Connection connection) except -1
    cdef void connection_flushed(self, Connection connection) noexcept
    cdef void connection_stalled(self, Connection connection) noexcept
    cdef void connection_closed(self, Connection connection) noexcept
    cdef void make_way(self, Connection connection, bint for_block) noexcept
    cdef int spare(self) noexcept
    cdef int owed(self) noexcept
    cdef int shed(self, int count) except -1
    cdef bint is_idle(self, Connection connection) noexcept
    cdef void press(self, bint is_pressed) noexcept
