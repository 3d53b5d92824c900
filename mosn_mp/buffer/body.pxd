from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.arena cimport Arena

cdef class Body:
    cdef Arena arena
    cdef const char* data       # the bytes so far: in block, or in heap
    cdef uint64_t length
    cdef char* block            # the arena block they lie in, one reference held; NULL = not there
    cdef char* heap
    cdef uint64_t heap_cap

    cdef void clear(self) noexcept
    cdef void borrow(self, const char* data, uint64_t length) noexcept
    cdef int append(self, const char* data, uint64_t length) except -1
    cdef void move_from(self, Body other) noexcept
    cdef int _collect(self) except -1
    cdef int _grow(self, uint64_t needed) except -1
