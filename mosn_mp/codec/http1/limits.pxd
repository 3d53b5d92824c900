from libc.stdint cimport int64_t, uint32_t

cdef class Http1Limits:
    cdef readonly uint32_t max_head_bytes
    cdef readonly int max_fields
    cdef readonly uint32_t max_uri_bytes
    cdef readonly int64_t max_body
    cdef readonly uint32_t max_trailer_bytes
    cdef readonly int max_interim
    cdef readonly bint reject_underscores
