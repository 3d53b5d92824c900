"""A cluster: hosts that do the same work, the balancer that picks one, and how they are connected to (MOSN pkg/upstream)."""

from cython.cimports.libc.stdint import uint32_t
from cython.cimports.mosn_mp.buffer.head import Head
from cython.cimports.mosn_mp.cluster.host import Host, HostSet
from cython.cimports.mosn_mp.cluster.lb.balancer import Balancer
from cython.cimports.mosn_mp.cluster.state import State

from mosn_mp.config import model


class Cluster:
    """`Cluster(config, hosts, balancer, digest)`, the digest that of *config*.

    Immutable: a changed configuration is a new Cluster that shares what did not change.
    """

    def __init__(self, config: model.Cluster, hosts: HostSet, balancer: Balancer, digest: bytes = b"") -> None:
        self.name = config.name
        self.digest = digest
        self.lb_type = config.lb_type
        self.hosts = hosts
        self.balancer = balancer
        self.connect_timeout_ms = max(1, round(config.connect_timeout * 1000)) if config.connect_timeout > 0 else 0
        self.idle_timeout_ms = max(1, round(config.idle_timeout * 1000)) if config.idle_timeout > 0 else 0
        self.keepalive_ms = max(1, round(config.keepalive.interval * 1000))
        self.keepalive_timeout_ms = max(1, round(config.keepalive.timeout * 1000))
        self.max_connections = config.max_connections
        self.max_requests_per_connection = config.max_request_per_conn

    def pick(self, request: Head, previous: Host) -> Host:
        """A healthy host, another one than *previous* if there is another, or None."""
        return self.balancer.pick(self.hosts, request, previous)

    def share(self, state: State, record: uint32_t) -> None:
        """Let the balancer use *record* of *state*, this cluster's in all workers."""
        self.state_record = record
        self.balancer.share(state, record)

    def pick_host(self, request: Head | None = None, previous: Host | None = None) -> Host | None:
        """Python's side of pick()."""
        return self.pick(request, previous)

    def __repr__(self) -> str:
        return f"<Cluster {self.name}: {self.hosts.count} hosts>"
