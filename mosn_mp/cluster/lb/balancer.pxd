from mosn_mp.buffer.head cimport Head
from mosn_mp.cluster.host cimport Host, HostSet

# Base class of all balancers; a plug-in in plain Python subclasses it and overrides choose().
cdef class Balancer:
    # A healthy host of *hosts* (another one than *previous* if there is another), or None.
    cdef Host pick(self, HostSet hosts, Head request, Host previous)
    # Python's side of pick(): *hosts* is a non-empty tuple of the hosts that may be picked.
    cpdef object choose(self, tuple hosts, Head request, Host previous)
