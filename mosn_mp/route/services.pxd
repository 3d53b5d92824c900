from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.head cimport Head

# FNV-1a, 64 bit. Python literals of this size would be Python objects.
cdef extern from *:
    """
#define MOSN_FNV_BASIS 14695981039346656037ULL
#define MOSN_FNV_PRIME 1099511628211ULL
    """
    const uint64_t FNV_BASIS "MOSN_FNV_BASIS"
    const uint64_t FNV_PRIME "MOSN_FNV_PRIME"

cdef struct Service:
    uint64_t hash
    const char* text
    uint32_t length
    int position        # of the route; -1 = empty cell

# The routes of a virtual host that ask for nothing but one value of the header `service`. Immutable after construction.
cdef class Services:
    cdef list texts             # owns the bytes that cells point into
    cdef Service* cells         # open addressing; the size is a power of two, at most half full
    cdef uint32_t mask
    cdef int any_position       # of the first route that takes every service, or -1

    # The position of the first route that takes *head*, or -1.
    cdef int find(self, Head head) noexcept
    cdef int _look_up(self, const char* text, uint32_t length) noexcept
