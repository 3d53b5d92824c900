from mosn_mp.buffer.head cimport Head
from libc.stdint cimport uint32_t
from mosn_mp.cluster.host cimport Host, HostSet
from mosn_mp.cluster.state cimport State

# Base class of all balancers; a plug-in in plain Python subclasses it and overrides choose().
cdef class Balancer:
    cdef State state            # shared by all workers, or None
    cdef uint32_t record        # of the cluster, in state
    # A healthy host of *hosts*, another one than *previous* if there is another; None = no healthy host.
    cdef Host pick(self, HostSet hosts, Head request, Host previous)
    # One attempt of pick(): a host that is_eligible() with respect to *previous*, or None. Compiled balancers override this.
    cdef Host pick_eligible(self, HostSet hosts, Head request, Host previous)
    # Use *record* of *state* for what all workers shall have in common.
    cdef void share(self, State state, uint32_t record) noexcept
    # Python's side: *hosts* is a non-empty tuple of the hosts that may be picked.
    cpdef object choose(self, tuple hosts, Head request, Host previous)
