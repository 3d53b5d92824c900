"""LB_ROUNDROBIN: hosts in turn, with one cursor for all workers (MOSN pkg/upstream/cluster, roundRobinLoadBalancer).

The cursor lies in shared memory and every worker advances it, so that few requests over many workers are spread as evenly as over
one. An unhealthy host costs its turn and the next in line is drawn anew: its neighbour does not get a double share.

Where weights differ, the turns are the multiples of the golden ratio, modulo 1, laid over the weights of the hosts that may be
picked. Few sequences spread as evenly (Knuth, TAOCP 6.4, theorem S): a host's turns lie apart, and any stretch of turns is in
proportion. It needs no schedule, and is as right when a host fails. (MOSN's LB_ROUNDROBIN knows no weights; its
LB_WEIGHTED_ROUNDROBIN is this too.)
"""

import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.mosn_mp.buffer.head import Head
from cython.cimports.mosn_mp.cluster.host import Host, HostSet
from cython.cimports.mosn_mp.cluster.lb.balancer import Balancer


class RoundRobin(Balancer):
    """Hosts in turn."""

    def _next_turn(self) -> uint64_t:
        if self.state is not None:
            return self.state.next(self.record)
        self.turn += 1
        return self.turn - 1

    def pick_eligible(self, hosts: HostSet, request: Head, previous: Host) -> Host:
        """The next host in turn that may be picked, or None."""
        count: cython.uint = hosts.count
        index: cython.uint = 0
        _turn: cython.uint
        if hosts.is_weighted:
            return hosts.at_fraction(self._next_turn() * GOLDEN, previous)
        for _turn in range(count):
            index = cython.cast(cython.uint, self._next_turn() % count)
            if hosts.is_eligible(index, previous):
                return hosts.get(index)
        # other workers' turns fell between ours, so some hosts may not have been looked at
        for _turn in range(count):
            index = index + 1 if index + 1 < count else 0
            if hosts.is_eligible(index, previous):
                return hosts.get(index)
        return None
