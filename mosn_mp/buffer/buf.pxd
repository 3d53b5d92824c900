# A connection's buffer: bytes [start, end) of an arena block of cap bytes; base NULL = no block is held.
from libc.stdint cimport uint32_t

cdef struct Buf:
    char* base
    uint32_t cap
    uint32_t start
    uint32_t end
