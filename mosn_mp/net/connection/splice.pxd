from mosn_mp.net.connection.descriptors cimport Descriptors

cdef class PipePool:
    cdef Descriptors descriptors
    cdef list pipes
    cdef Py_ssize_t low  # the fewest at rest since the last trim
    cdef readonly int made
    cdef int take(self, int* ends) except -1
    cdef void adopt(self) noexcept
    cdef void give_back(self, int read_end, int write_end) noexcept
    cdef void discard(self, int read_end, int write_end) noexcept

cdef Py_ssize_t move(int source, int target, size_t length) noexcept nogil
