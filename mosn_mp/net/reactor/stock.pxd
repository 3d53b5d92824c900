from libc.stdint cimport uint32_t
from mosn_mp.buffer.arena cimport Arena

# The rank of who takes a block: how many blocks of the stock it must leave to others.
cdef enum Rank:
    OUTPUT = 0
    RESPONSE_BODY = 1
    RESPONSE_HEAD = 2
    REQUEST_BODY = 3
    REQUEST_HEAD = 4

cdef class Stock:
    cdef Arena arena
    cdef char* blocks[4]        # one reference each
    cdef uint32_t count
    cdef uint32_t full          # how many there should be

    cdef char* take(self, uint32_t size, uint32_t rank) noexcept
    cdef char* _pop(self, uint32_t size) noexcept
    cdef bint _restock(self, uint32_t count) noexcept
