from mosn_mp.buffer.head cimport Head
from mosn_mp.route.domains cimport Domains
from mosn_mp.route.route cimport Route
from mosn_mp.route.services cimport Services

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
    cdef readonly bytes digest      # of the config it was compiled from
    cdef Domains domains
    cdef char* seen_path            # the path as matched, when it is not the path as sent
    cdef Py_ssize_t seen_capacity

    # The first route that matches, or None. Replaces a path with dot segments by the path that was matched.
    cdef Route match(self, Head head)
    # Which virtual host the authority belongs to, or None.
    cdef VirtualHost find_host(self, Head head)
    cdef Route _match_in(self, VirtualHost host, Head head)
    cdef int _see_path(self, Head head, Py_ssize_t* length) except -1
    cdef int _replace_path(self, Head head, Py_ssize_t length) except -1
