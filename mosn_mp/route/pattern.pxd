from libc.stdint cimport uint16_t

# A regular expression, found anywhere in a text in one pass without any Python object. Immutable.
cdef class Pattern:
    cdef readonly str text
    cdef object tables              # owns the bytes that the pointers point into
    cdef const unsigned char* classes
    cdef const uint16_t* moves
    cdef const unsigned char* ends
    cdef int class_count
    cdef int start
    cdef bint found_in(self, const char* text, Py_ssize_t length) noexcept
