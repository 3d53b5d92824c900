from mosn_mp.buffer.head cimport Head

# PathMatcher.kind
cdef enum PathKind:
    P_ANY = 0       # no condition on the path, or prefix "/"
    P_PREFIX = 1
    P_EXACT = 2     # case-insensitive
    P_REGEX = 3     # found anywhere

cdef class PathMatcher:
    cdef readonly int kind
    cdef readonly bytes pattern
    cdef const char* text
    cdef Py_ssize_t length
    cdef object search              # bound method of the compiled pattern (P_REGEX)
    # *path* without the query string.
    cdef int matches(self, const char* path, Py_ssize_t length) except -1

cdef class HeaderMatcher:
    cdef readonly bytes name
    cdef readonly bytes value
    cdef readonly bint is_method    # compares the request method
    cdef object search              # regex, or None: exact
    cdef int matches(self, Head head) except -1
