# Cells of the counter rows. A block is a base index in a row plus these offsets: `row + base` is a uint64_t* that its owner adds to.
# cells.py names, explains and types every one of them; a test holds the two together.
cimport cython
from libc.stdint cimport uint32_t, uint64_t

# The cells of one histogram: a count per bucket (the last one is +Inf), the sum in microseconds, room up to three cache lines.
cdef enum:
    BUCKETS = 20
    HISTOGRAM_SUM = 20
    HISTOGRAM_CELLS = 24

# A listener (MOSN type "downstream"). The cells that every request touches come first, to share cache lines.
cdef enum:
    D_REQUEST_TOTAL = 0
    D_REQUEST_ACTIVE
    D_BYTES_READ_TOTAL
    D_BYTES_WRITE_TOTAL
    D_REQUEST_200
    D_CONNECTION_PARKED
    D_CONNECTION_ACTIVE
    D_CONNECTION_TOTAL
    D_CONNECTION_DESTROY
    D_REQUEST_RESET
    D_REQUEST_FAILED
    D_REQUEST_206
    D_REQUEST_302
    D_REQUEST_304
    D_REQUEST_400
    D_REQUEST_403
    D_REQUEST_404
    D_REQUEST_416
    D_REQUEST_499
    D_REQUEST_500
    D_REQUEST_502
    D_REQUEST_503
    D_REQUEST_504
    D_REQUEST_OTHER_CODE
    D_LIMIT_HEADER_SIZE
    D_LIMIT_HEADER_COUNT
    D_LIMIT_URI_SIZE
    D_LIMIT_BODY_SIZE
    D_TIMEOUT_HEADER
    D_TIMEOUT_BODY
    D_TIMEOUT_IDLE
    D_TIMEOUT_WRITE
    D_LIMIT_CONNECTIONS
    D_LIMIT_REQUESTS_PER_CONNECTION
    D_PROTOCOL_ERROR
    D_ARENA_EXHAUSTED
    D_FILTER_ERROR
    D_ACCESS_LOG_DROPPED
    D_TUNNELS_ACTIVE
    D_LIMIT_IN_FLIGHT
    D_LIMIT_UNREAD
    D_TIMEOUT_GOAWAY
    D_LIMIT_UNFINISHED
    D_REQUEST_TIME = 48
    D_PROCESS_TIME = 72
    D_CELLS = 96

# An upstream host (MOSN type "upstream", labels cluster and host).
cdef enum:
    U_REQUEST_TOTAL = 0
    U_REQUEST_ACTIVE
    U_CONNECTION_BYTES_READ_TOTAL
    U_CONNECTION_BYTES_WRITE
    U_RESPONSE_SUCCESS
    U_RESPONSE_FAILED
    U_CONNECTION_IDLE
    U_CONNECTION_ACTIVE
    U_CONNECTION_TOTAL
    U_CONNECTION_CLOSE
    U_CONNECTION_CON_FAIL
    U_CONNECTION_CONNECT_TIMEOUT
    U_CONNECTION_LOCAL_CLOSE
    U_CONNECTION_REMOTE_CLOSE
    U_CONNECTION_LOCAL_CLOSE_WITH_ACTIVE_REQUEST
    U_CONNECTION_REMOTE_CLOSE_WITH_ACTIVE_REQUEST
    U_CONNECTION_CLOSE_NOTIFY
    U_CONNECTION_OVERFLOW
    U_REQUEST_LOCAL_RESET
    U_REQUEST_REMOTE_RESET
    U_REQUEST_TIMEOUT
    U_REQUEST_PENDING_OVERFLOW
    U_REQUEST_RETRY
    U_REQUEST_DURATION_TIME = 32
    U_CONNECT_TIME = 56
    U_CELLS = 80

# The worker itself: the first cells of its row, at base 0.
cdef enum:
    W_PID = 0
    W_STARTED_AT
    W_HEARTBEAT_AT
    W_CONFIG_VERSION
    W_LOOPS
    W_EVENTS
    W_ACCEPTED
    W_ACCEPT_ERRORS
    W_CONNECTIONS
    W_GREENLETS
    W_GREENLETS_IDLE
    W_ARENA_BYTES
    W_ARENA_EXHAUSTED
    W_ARENA_MISUSED
    W_LOG_DROPPED
    W_EXCEPTIONS
    W_FD_LIMIT
    W_FD_USED
    W_FD_RESERVED
    W_ACCEPT_PAUSED
    W_ACCEPT_PAUSES
    W_CONNECT_WAITS
    W_SPARE_CLOSED
    W_SHORTAGES
    W_UNFINISHED_BYTES
    W_CELLS = 32

@cython.final
cdef class Metrics:
    cdef readonly object segment    # keeps the mapping alive
    cdef char* base
    cdef readonly int max_slots
    cdef readonly uint32_t row_cells
    cdef size_t stride              # bytes from row to row
    cdef readonly dict regions      # type of block -> Region
    cdef uint32_t hosts_at          # the first cell of hosts
    cdef uint32_t page_cells

    # The row of *slot*, written by that process only; NULL for a slot that does not exist.
    cdef uint64_t* cells(self, int slot) noexcept
    # The U_* cells of *host* in the row of *slot*; both exist.
    cdef uint64_t* upstream(self, int slot, uint32_t host) noexcept
    # The sum of one cell over all rows: exact at an instant at which nobody writes.
    cdef uint64_t sum(self, uint32_t cell) noexcept

# Count a duration of *us* microseconds in the histogram at *hist* (HISTOGRAM_CELLS cells).
cdef void observe(uint64_t* hist, uint64_t us) noexcept nogil
# The D_REQUEST_* cell that counts responses of *status*.
cdef int status_cell(int status) noexcept nogil
