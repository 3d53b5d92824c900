from libc.stdint cimport int64_t, uint32_t
from mosn_mp.buffer.head cimport Head
from mosn_mp.codec.http1.scan cimport Scan

cdef enum:
    CODING_CHUNKED = 0
    CODING_UNKNOWN = 1      # a list of codings in order, of which one is not known here
    CODING_MALFORMED = 2

# What the Connection fields of a head say.
cdef struct Options:
    bint close
    bint keep_alive
    bint upgrade

cdef bint is_authority(const char* text, uint32_t length, bint port_needed) noexcept
cdef int64_t read_length(const char* text, uint32_t length) noexcept
cdef int read_coding(const char* text, uint32_t length) noexcept
cdef bint lists_token(const char* text, uint32_t length, const char* token, uint32_t token_len) noexcept
cdef bint is_end_to_end(const char* name, uint32_t length) noexcept
cdef int read_connection(Head head, Scan* scan, Options* options) noexcept
cdef int check_trailers(Head trailers, Scan* scan) noexcept
