"""LB_RANDOM: any host that may be picked, each as likely as its weight (MOSN: as any other; an unhealthy choice falls to round
robin).

The generator is xorshift64* (Vigna 2016), one a balancer, seeded from the system by each worker: workers do not pick alike.
"""

import os

import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.mosn_mp.buffer.head import Head
from cython.cimports.mosn_mp.cluster.host import Host, HostSet
from cython.cimports.mosn_mp.cluster.lb.balancer import Balancer


class Random(Balancer):
    """A random host. `Random(seed)`: the same seed, the same picks; 0 = from the system."""

    def __init__(self, seed: uint64_t = 0) -> None:
        # the state of xorshift may not be 0
        self.state = seed or int.from_bytes(os.urandom(8), "little") or 1

    def _next(self) -> uint64_t:
        self.state ^= self.state >> 12
        self.state ^= self.state << 25
        self.state ^= self.state >> 27
        return cython.cast(uint64_t, self.state * MULTIPLIER)

    def _draw(self, below: uint64_t) -> uint64_t:
        # 32 high bits scaled to the range: no division; the bias for a few thousand hosts is below 1e-6
        return ((self._next() >> 32) * below) >> 32

    def pick_eligible(self, hosts: HostSet, request: Head, previous: Host) -> Host:
        """A random host that may be picked, or None."""
        index: cython.int
        left: cython.int
        if hosts.is_weighted:
            return hosts.at_fraction(self._next(), previous)
        index = cython.cast(cython.int, self._draw(hosts.count))
        if hosts.is_eligible(index, previous):
            return hosts.get(index)
        # not the next one that is eligible: it would get its unhealthy neighbour's share
        left = hosts.count_eligible(previous)
        if left == 0:
            return None
        left = cython.cast(cython.int, self._draw(left))
        for index in range(hosts.count):
            if hosts.is_eligible(index, previous):
                if left == 0:
                    return hosts.get(index)
                left -= 1
        return None
