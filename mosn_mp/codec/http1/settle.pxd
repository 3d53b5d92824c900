from libc.stdint cimport int64_t
from mosn_mp.buffer.head cimport Head
from mosn_mp.codec.http1.scan cimport Scan

cdef int settle_request(Head head, Scan* scan, int64_t max_body) except -1
cdef int settle_response(Head head, Scan* scan, int64_t max_body, int request_method, bint upgrade_asked) noexcept
