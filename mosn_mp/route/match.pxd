from mosn_mp.buffer.head cimport Head
from mosn_mp.route.pattern cimport Pattern

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
    cdef Pattern regex              # P_REGEX
    # *path* without the query string.
    cdef bint matches(self, const char* path, Py_ssize_t length) noexcept

cdef class HeaderMatcher:
    cdef readonly bytes name
    cdef readonly bytes value
    cdef readonly bint is_method    # compares the request method
    cdef Pattern regex              # or None: equality
    cdef bint matches(self, Head head) noexcept
    cdef bint _holds(self, const char* text, Py_ssize_t length) noexcept
