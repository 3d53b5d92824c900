"""The balancer contract: which host of a cluster takes a request.

A balancer is one object a cluster and worker. It never picks an unhealthy host, and on a retry it picks another host than the one
that failed if there is another (MOSN's #2077). It reads no clock and touches no socket. In plain Python:

    class First(Balancer):
        def choose(self, hosts, request, previous):
            return hosts[0]

where *hosts* are only those that may be picked: healthy and, if possible, not *previous*. Compiled balancers override
pick_eligible() instead and build no tuple.
"""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.mosn_mp.buffer.head import Head
from cython.cimports.mosn_mp.cluster.host import Host, HostSet
from cython.cimports.mosn_mp.cluster.state import State


class Balancer:
    """Base class of all balancers."""

    def pick(self, hosts: HostSet, request: Head, previous: Host) -> Host:
        """A healthy host, another one than *previous* if there is another; None = there is no healthy host."""
        picked: Host = None
        if hosts.count == 0:
            return None
        picked = self.pick_eligible(hosts, request, previous)
        if picked is None and previous is not None:
            return self.pick_eligible(hosts, request, None)
        return picked

    def pick_eligible(self, hosts: HostSet, request: Head, previous: Host) -> Host:
        """One attempt of pick()."""
        eligible: tuple = tuple([hosts.get(i) for i in range(hosts.count) if hosts.is_eligible(i, previous)])
        if not eligible:
            return None
        picked: object = self.choose(eligible, request, previous)
        if not isinstance(picked, Host):
            raise TypeError(f"{type(self).__name__}.choose() returned {picked!r} and not one of the hosts")
        return picked

    def share(self, state: State, record: uint32_t) -> cython.void:
        """Use *record* of *state* for what all workers shall have in common, such as a cursor."""
        self.state = state
        self.record = record

    def choose(self, hosts: tuple, request: Head, previous: Host) -> object:
        """One of *hosts*, which may all be picked; *request* may be None (a health check, a tunnel)."""
        raise NotImplementedError(f"{type(self).__name__} has no choose()")

    def pick_from(self, hosts: HostSet, request: Head | None = None, previous: Host | None = None) -> Host | None:
        """Python's side of pick()."""
        return self.pick(hosts, request, previous)
