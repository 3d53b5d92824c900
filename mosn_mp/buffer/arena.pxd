from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef class Arena:
    # The smallest block that holds *size* bytes (1 reference), or NULL: the arena is exhausted (counted) or size > largest class.
    cdef char* take(self, uint32_t size) noexcept
    # One more reference on the block that *at* points into.
    cdef void hold(self, const char* at) noexcept
    # One reference less; the last one gives the block back.
    cdef void drop(self, const char* at) noexcept
    # References held on the block that *at* points into.
    cdef int refs(self, const char* at) noexcept
    # Capacity of the block that *at* points into.
    cdef uint32_t size_of(self, const char* at) noexcept
