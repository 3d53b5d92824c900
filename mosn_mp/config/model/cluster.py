"""Clusters: hosts, limits, heartbeats."""

from typing import Annotated

from msgspec import Meta

from mosn_mp.config.model.values import DEFAULT_REQUESTS_PER_CONNECTION, Bytes, Count, Deadline, Frozen, Name, Seconds


class Host(Frozen, frozen=True, kw_only=True):
    """One address of a cluster."""

    address: Name  # ip:port, [ip6]:port
    hostname: str = ""
    weight: Annotated[int, Meta(ge=1, le=128)] = 1


class Thresholds(Frozen, frozen=True, kw_only=True):
    """Limits of a cluster (an entry of MOSN's `circuit_breakers`)."""

    max_connections: Count = 0  # 0 = unlimited


class Keepalive(Frozen, frozen=True, kw_only=True):
    """Heartbeats on idle connections to hosts, in protocols that have them."""

    interval: Deadline = 15.0  # MOSN's read timeout
    timeout: Deadline = 1.0


class Cluster(Frozen, frozen=True, kw_only=True):
    """Hosts that do the same work, and how one of them is picked and connected to."""

    name: Name
    type: Annotated[
        str,
        Meta(
            extra={
                "what": "cluster type",
                "choices": ("SIMPLE", "STATIC"),
                "later": ("DYNAMIC", "EDS", "ORIGINAL_DST", "STRICT_DNS"),
            }
        ),
    ] = "SIMPLE"
    lb_type: Name = "LB_ROUNDROBIN"
    max_request_per_conn: Count = DEFAULT_REQUESTS_PER_CONNECTION  # 0 in the file = the default, as in MOSN
    conn_buffer_limit_bytes: Bytes = 16384
    circuit_breakers: Annotated[tuple[Thresholds, ...], Meta(max_length=1)] = ()
    hosts: tuple[Host, ...] = ()
    connect_timeout: Deadline = 10.0
    idle_timeout: Seconds = 0.0  # 0 = never
    keepalive: Keepalive = Keepalive()

    @property
    def max_connections(self) -> int:
        """The most connections to all hosts together, 0 = unlimited."""
        return self.circuit_breakers[0].max_connections if self.circuit_breakers else 0


class ClusterManager(Frozen, frozen=True, kw_only=True):
    """The clusters."""

    clusters: tuple[Cluster, ...] = ()
