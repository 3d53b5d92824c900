from libc.stdint cimport int64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.buffer.head cimport Head

# Reason phrases by status, NULL = none.
cdef char* PHRASES[600]

# The lines of a head that the codec writes itself.
cdef struct Plan:
    int framing         # F_LENGTH, F_CHUNKED; F_NONE: neither line
    int64_t length
    bint close          # Connection: close
    bint keep_alive     # Connection: keep-alive
    bint upgrade        # Connection: Upgrade

cdef int write_request_head(Head head, Plan* plan, Buf* out) noexcept
cdef int write_response_head(Head head, Plan* plan, Buf* out) noexcept
cdef int write_trailers(Head trailers, Buf* out) noexcept
cdef int write_chunk_size(unsigned long long length, Buf* out) noexcept
