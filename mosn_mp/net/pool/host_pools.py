"""The connections of one worker to all hosts: a pool for each host that somebody wanted a connection to."""

from collections.abc import Iterable, Mapping

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.mosn_mp.cluster.cluster import Cluster
from cython.cimports.mosn_mp.cluster.host import Host
from cython.cimports.mosn_mp.cluster.state import State
from cython.cimports.mosn_mp.net.connection.descriptors import Descriptors
from cython.cimports.mosn_mp.net.pool.host_pool import HostPool
from cython.cimports.mosn_mp.observe.metrics.metrics import Metrics


class HostPools:
    """`HostPools(descriptors, state, metrics, slot)`: those of the worker of *slot*."""

    def __init__(self, descriptors: Descriptors, state: State, metrics: Metrics, slot: int) -> None:
        self.descriptors = descriptors
        self.state = state
        self.metrics = metrics
        self.slot = slot
        self.clusters = {}
        self.pools = descriptors.pools

    def place(self, cluster: Cluster, number: int, numbers: Iterable[int]) -> None:
        """Give *cluster* and its hosts their cells: *number* is its own in shared memory, *numbers* are those of its hosts."""
        host: Host
        of_host: uint32_t
        cluster.share(self.state, number)
        for host, of_host in zip(cluster.hosts.hosts, numbers, strict=True):
            if host.number == of_host:
                continue
            if host.number:
                raise ValueError(f"{cluster.name}/{host.address} has number {host.number} in shared memory, not {of_host}")
            self.state.check(0, number, of_host)
            host.number = of_host
            host.health = self.state.health(of_host)
            host.up = self.metrics.upstream(self.slot, of_host)

    def serve(self, clusters: Mapping[str, Cluster], changed: Iterable[Cluster]) -> None:
        """From now on *clusters* are served, those of *changed* for the first time."""
        host: Host
        cluster: Cluster
        self.clusters = clusters
        for cluster in changed:
            cluster.hosts.take_weights()
            for host in cluster.hosts.hosts:
                if host.pool is not None:
                    host.pool.configure(cluster)

    def forget_gone(self) -> None:
        """Let go of the pools of hosts that left; connections that are in use keep theirs."""
        self.pools[:] = [pool for pool in self.pools if not pool.retired]

    def of(self, host: Host, cluster: Cluster) -> HostPool:
        """The pool of *host*, which a stream chose from *cluster*."""
        pool: HostPool
        if host.pool is None:
            pool = HostPool(self.descriptors, host, self.state, self.slot)
            pool.configure(self.clusters.get(host.cluster_name, cluster))
            host.pool = pool
            self.descriptors.add_pool(pool)
            if host.is_gone:
                pool.retire()
        return cython.cast(HostPool, host.pool)
