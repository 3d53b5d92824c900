from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.head cimport Head
from mosn_mp.route.route cimport Route

cdef struct Domain:
    uint64_t hash
    const char* text
    uint32_t length
    uint32_t kind       # which of the five lookups this entry answers; 0 = empty cell
    int virtual_host

cdef class VirtualHost:
    cdef readonly str name
    cdef readonly tuple domains
    cdef readonly list routes

# A compiled router configuration: pure, immutable after link(), shared by all connections of a worker.
cdef class Router:
    cdef readonly str name
    cdef readonly list virtual_hosts
    cdef dict texts                 # owns the bytes that cells point into
    cdef Domain* cells              # open addressing, size is a power of two
    cdef uint32_t mask
    cdef uint32_t* suffix_lengths   # of wildcard domains, longest first
    cdef int suffix_count
    cdef bint has_ports             # some domain names a port
    cdef int default_host           # index of the virtual host of '*', or -1
    cdef bint only_default
    cdef char* view                 # the path as matched, when it is not the path as sent
    cdef Py_ssize_t view_capacity

    # The first route that matches, or None. May rewrite head's path (dot segments removed).
    cdef Route match(self, Head head)
    cdef VirtualHost find_host(self, Head head)
