from libc.stdint cimport uint32_t

cdef class BoltLimits:
    cdef readonly uint32_t max_frame
    cdef readonly uint32_t max_head_bytes
    cdef readonly int max_fields
    cdef readonly bint goaway
