from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.head cimport Head
from mosn_mp.route.route cimport Route
from mosn_mp.route.services cimport Services

cdef enum:
    EXACT = 1           # Domain.kind
    SUFFIX = 2
    NO_PORT = 0         # Domain.port
    ANY_PORT = 65536
    MAX_HOST = 255      # bytes of a host name (RFC 1035 section 2.3.4); a longer one takes the default

# One domain in the table. Its key is (kind, text, port).
cdef struct Domain:
    uint64_t hash
    const char* text        # lower case, without port, without the leading *
    uint32_t length
    uint32_t port
    int kind                # 0 = empty cell
    int virtual_host

cdef class VirtualHost:
    cdef readonly str name
    cdef readonly tuple domains
    cdef readonly list routes
    cdef list tried             # the routes that services does not hold
    cdef Services services      # or None: no route asks for a service alone

# A compiled router configuration: pure, immutable after link(), shared by all connections of a worker.
cdef class Router:
    cdef readonly str name
    cdef readonly list virtual_hosts
    cdef readonly object config     # the frozen config it was compiled from
    cdef list texts                 # owns the bytes that cells point into
    cdef Domain* cells              # open addressing; the size is a power of two, at most half full
    cdef uint32_t mask
    cdef uint32_t* suffix_lengths   # of wildcard domains, longest first
    cdef int suffix_count
    cdef int exact_count
    cdef int default_host           # index of the virtual host of `*`, or -1
    cdef char* seen_path            # the path as matched, when it is not the path as sent
    cdef Py_ssize_t seen_capacity

    # The first route that matches, or None. Replaces a path with dot segments by the path that was matched.
    cdef Route match(self, Head head)
    # Which virtual host the authority belongs to, or None.
    cdef VirtualHost find_host(self, Head head)
    cdef int _find_index(self, const char* host, uint32_t length, uint32_t port) noexcept
    cdef int _look_up(self, int kind, const char* text, uint32_t length, uint32_t port) noexcept
    cdef Route _match_in(self, VirtualHost host, Head head)
    cdef int _see_path(self, Head head, Py_ssize_t* length) except -1
    cdef int _replace_path(self, Head head, Py_ssize_t length) except -1
