from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.codec.codec cimport Codec
from mosn_mp.filter.chain cimport FilterChain, FilteredStream
from mosn_mp.net.connection.connection cimport Connection
from mosn_mp.net.connection.splice cimport PipePool

# What stopped Flow.pump().
cdef enum Stop:
    ENDED = 0           # the end of the body is written
    BLOCKED_READ = 1    # wait for the source
    BLOCKED_WRITE = 2   # wait for the target
    YIELD = 3           # its share of this wake-up is used
    READ_FAILED = 4     # the source broke off or broke the rules; reason tells
    WRITE_FAILED = 5    # the target is gone
    REPLIED = 6         # a filter answered by itself
    TERMINATED = 7      # a filter ended the stream

# Where the current piece stands.
cdef enum Stage:
    NO_PIECE = 0
    PREFIX = 1
    PAYLOAD = 2
    SUFFIX = 3

cdef class Flow:
    cdef Connection source
    cdef Connection target
    cdef Codec reader
    cdef Codec writer
    cdef FilterChain filters    # None = bytes pass untouched
    cdef FilteredStream stream
    cdef bint is_response
    cdef bint raw               # the writer adds nothing to the payload: splice may be used
    cdef bint has_trailers
    cdef bint end_seen
    cdef bint ended
    cdef bint discard           # read, but forward nothing
    cdef bint broken_off        # the target would take no more: the body was not read to its end
    cdef int stage
    cdef int reason             # READ_FAILED: int(Reason), 0 = the source was closed or reset
    cdef const char* payload    # the piece being written: in source.input, or in held
    cdef uint32_t length
    cdef bytes held             # a piece that a filter returned
    cdef uint64_t body_bytes
    cdef uint64_t max_discard
    cdef PipePool pipes
    cdef int pipe_read
    cdef int pipe_write
    cdef bint is_pipe_foreign   # another process may have it open: no bytes of another stream may pass it
    cdef uint64_t in_pipe

    cdef void start(self, Connection source, Codec reader, Connection target, Codec writer) noexcept
    cdef void clear(self) noexcept
    cdef int pump(self) except -1
    cdef inline int _write_rest(self) except -1
    cdef int _write_piece(self) except -1
    cdef int _write_end(self) except -1
    cdef int _read_more(self) except -1
    cdef int _take_piece(self, const char* payload, uint32_t length) except -1
    cdef int _filter(self, bytes piece, bint end) except -1
    cdef int _filter_trailers(self) except -1
    cdef int _splice(self) except -1
    cdef int _empty_pipe(self) except -1
