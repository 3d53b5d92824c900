"""What a listener serves by: the compiled form of one snapshot, and the state that changes while it serves."""

import logging
import socket

import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.mosn_mp.filter.chain import FilterChain
from cython.cimports.mosn_mp.net.connection.pace import look_bytes, look_ms
from cython.cimports.mosn_mp.net.libc import AF_INET, AF_INET6
from cython.cimports.mosn_mp.net.pool.host_pools import HostPools
from cython.cimports.mosn_mp.net.reactor.reactor import FIN, HANGUP
from cython.cimports.mosn_mp.observe.metrics.metrics import D_CONNECTION_ACTIVE, W_CONNECTIONS, Metrics
from cython.cimports.mosn_mp.route.router import Router

from mosn_mp.codec.protocol import PoolMode
from mosn_mp.config.model import HTTP1
from mosn_mp.config.model import Listener as ListenerConfig
from mosn_mp.filter.ip_access import IpAccess, IpAccessConfig, IpList

LISTENER_TYPES = {"": 0, "ingress": 1, "egress": 2}


class SpokenProtocol:
    """`SpokenProtocol(protocol, limits, upstream, upstream_limits)`; immutable."""

    def __init__(self, protocol: object, limits: object, upstream: object, upstream_limits: object) -> None:
        self.protocol = protocol
        self.limits = limits
        self.upstream = upstream
        self.upstream_limits = upstream_limits
        self.name = protocol.name.encode()
        self.upstream_name = upstream.name.encode()
        self.is_shared = protocol.multiplexed
        self.is_dated = protocol.name == HTTP1
        self.converts = upstream is not protocol
        self.upstream_shared = upstream.multiplexed
        self.upstream_bound = upstream.pool_mode is PoolMode.BIND
        self.variants = {}


class ListenerRuntime:
    """One listener as one snapshot describes it. Immutable; a stream keeps the one that it began with."""

    def __init__(
        self,
        config: ListenerConfig,
        version: int,
        protocols: tuple,
        router: Router,
        filters: FilterChain,
        access_logs: tuple,
    ) -> None:
        options = config.proxy.extend_config.Http1
        self.name = config.name
        self.name_bytes = config.name.encode()
        self.version = version
        self.protocols = protocols
        self.router = router
        self.filters = filters
        self.access_logs = access_logs
        self.has_logs = bool(access_logs)
        self.departure = HANGUP if options.allow_half_close else HANGUP | FIN
        self.first_timeout_ms = milliseconds(config.request_header_timeout)
        self.head_timeout_ms = milliseconds(options.request_header_timeout)
        self.body_timeout_ms = milliseconds(options.request_body_timeout)
        self.idle_timeout_ms = milliseconds(config.connection_idle_timeout)
        self.write_timeout_ms = milliseconds(config.write_timeout)
        self.body_look_ms = look_ms(self.body_timeout_ms)
        self.body_look_bytes = look_bytes(self.body_timeout_ms, options.request_body_min_rate)
        self.write_look_ms = look_ms(self.write_timeout_ms)
        self.write_look_bytes = look_bytes(self.write_timeout_ms, config.write_min_rate)
        self.max_requests = options.max_requests_per_connection
        self.max_fields = options.max_header_count
        self.max_connections = config.max_connections
        self.listener_type = LISTENER_TYPES[config.type]
        self.trusts = None
        if config.proxy.long_timeouts_from:
            allowed = IpList("allow", config.proxy.long_timeouts_from)
            self.trusts = IpAccess(IpAccessConfig(default_action="deny", ips=(allowed,))).is_allowed
        self._set_address(config.address)

    def _set_address(self, text: str) -> None:
        host, _, port = text.rpartition(":")
        host = host.strip("[]") or "0.0.0.0"
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        packed: bytes = socket.inet_pton(family, host)
        self.address.family = AF_INET6 if family == socket.AF_INET6 else AF_INET
        self.address.port = int(port)
        memcpy(self.address.addr, cython.cast(cython.p_char, packed), len(packed))
        self.is_wildcard = not any(packed)


def milliseconds(seconds: float) -> int:
    """*seconds* as the reactor counts them; never 0 for a wait that was asked for."""
    return max(1, round(seconds * 1000)) if seconds > 0 else 0


class ListenerState:
    """One listener in this worker, across snapshots."""

    def __init__(self, metrics: Metrics, pools: HostPools, slot: int, base: int, worker_base: int) -> None:
        self.pools = pools
        row: cython.pointer(uint64_t) = metrics.cells(slot)
        self.counters = row + cython.cast(uint64_t, base)
        self.worker = row + cython.cast(uint64_t, worker_base)
        self.log = logging.getLogger("mosn_mp.proxy")
        self.tunnels = set()

    def change(self, runtime: ListenerRuntime) -> None:
        """New requests begin with *runtime*."""
        self.runtime = runtime

    def count(self, connections: cython.int) -> cython.void:
        """So many more (fewer, if negative) connections are open here."""
        self.open_count += connections
        self.worker[W_CONNECTIONS] += connections
        self.counters[D_CONNECTION_ACTIVE] += connections

    def drain(self) -> None:
        """From now on every response is the last one of its connection."""
        self.draining = self.parts = True

    def press(self, is_pressed: cython.bint) -> cython.void:
        """Others want the descriptors of connections that would wait for their next request, or they do no more."""
        self.parts = is_pressed or self.draining
