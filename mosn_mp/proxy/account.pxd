from mosn_mp.proxy.view cimport StreamView

cdef int account_begin(StreamView stream) except -1
cdef void account_refusal(StreamView stream, int reason) noexcept
cdef void account_failure(StreamView stream, int reason) noexcept
cdef void account_upstream(StreamView stream) noexcept
cdef void account_upstream_end(StreamView stream) noexcept
cdef int account_end(StreamView stream) except -1
