from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.observe.access_log.record cimport Address

cdef enum:
    BUCKETS = 256

cdef class Shares:
    cdef uint64_t seed
    cdef uint32_t round
    cdef bint is_used               # something was put in since begin()
    cdef uint32_t rounds[BUCKETS]   # in which round a bucket's count began
    cdef uint64_t taken[BUCKETS]    # bytes

    cdef void begin(self) noexcept
    cdef bint take(self, Address* source, uint32_t length, uint32_t free_bytes) noexcept
    cdef uint32_t bucket_of(self, Address* source) noexcept
