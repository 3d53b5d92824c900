"""From a snapshot to what a worker serves by; what did not change since the one before is the same object."""

from collections.abc import Mapping
from typing import NamedTuple

from mosn_mp.cluster.cluster import Cluster
from mosn_mp.cluster.compile import HOSTS_A_STEP, compile_cluster, find_balancer
from mosn_mp.codec.compile import Protocols, compile_protocols
from mosn_mp.config.model import Cluster as ClusterConfig
from mosn_mp.config.model import Config, Listener
from mosn_mp.config.model import Router as RouterConfig
from mosn_mp.config.snapshot import Part, Snapshot, decode_cluster, decode_router
from mosn_mp.errors import ConfigError
from mosn_mp.filter.compile import compile_filters
from mosn_mp.ipc.tables import Tables, unpack_numbers
from mosn_mp.net.pool.host_pools import HostPools
from mosn_mp.observe.access_log.access_log import AccessLogs
from mosn_mp.plugin import Edition
from mosn_mp.proxy.runtime import ListenerRuntime
from mosn_mp.route.compile import router_steps
from mosn_mp.route.router import Router
from mosn_mp.steps import Steps
from mosn_mp.worker.protocols import spoken_protocols


class Prepared(NamedTuple):
    """A compiled snapshot, ready to be served."""

    config: Config | None  # without clusters and routers; None: nothing is served yet
    protocols: Protocols
    clusters: Mapping[str, Cluster]
    routers: Mapping[str, Router]
    runtimes: Mapping[str, ListenerRuntime]
    numbers: Mapping[str, int]  # of listeners, in shared memory
    edition: Edition  # users' modules that it was made with

    def listeners(self) -> tuple[Listener, ...]:
        """The configurations of all listeners."""
        return self.config.server.listeners if self.config is not None else ()

    def unfinished_bytes(self) -> int:
        """What the beginnings of messages may take of the heap."""
        return self.config.server.unfinished_size if self.config is not None else 0

    def max_connections(self) -> int:
        """The limit of all listeners together, 0 = none."""
        return self.config.server.max_connections if self.config is not None else 0

    def goaway_timeout(self) -> float:
        """How long clients may take that were told to go."""
        return self.config.server.goaway_timeout if self.config is not None else 0.0


def nothing(edition: Edition) -> Prepared:
    """What a worker serves that was just started."""
    return Prepared(None, compile_protocols(), {}, {}, {}, {}, edition)


class Compiler:
    """One compilation: `steps()` gives what *snapshot* becomes; ConfigError (or what a plug-in raises) if it cannot be served."""

    def __init__(
        self,
        snapshot: Snapshot,
        tables: Tables,
        version: int,
        before: Prepared,
        edition: Edition,
        pools: HostPools,
        logs: AccessLogs,
    ) -> None:
        """*before* is what is served."""
        self._snapshot = snapshot
        self._tables = tables
        self._version = version
        self._before = before
        self._edition = edition
        self._pools = pools
        self._logs = logs
        self._listeners = {listener.name: listener for listener in before.listeners()}

    def steps(self) -> Steps[Prepared]:
        """The work."""
        config = self._snapshot.rest
        clusters = yield from self._compile_clusters()
        is_new_code = self._edition.is_new_code
        protocols = compile_protocols(config.third_part_codec.codecs, None if is_new_code else self._before.protocols)
        yield
        is_same_code = not is_new_code and protocols.is_like(self._before.protocols)
        routers: dict[str, Router] = {}
        for i, part in enumerate(self._snapshot.routers):
            routers[part.name] = yield from self._compile_router(
                part, clusters, protocols, f"servers[0].routers[{i}]", is_same_code
            )
        runtimes: dict[str, ListenerRuntime] = {}
        for i, listener in enumerate(config.server.listeners):
            path = f"servers[0].listeners[{i}]"
            runtimes[listener.name] = self._compile_listener(listener, routers, protocols, path, is_same_code)
            yield
        names = (listener.name for listener in config.server.listeners)
        numbers = dict(zip(names, unpack_numbers(self._tables.listeners), strict=True))
        return Prepared(config, protocols, clusters, routers, runtimes, numbers, self._edition)

    def _compile_clusters(self) -> Steps[dict[str, Cluster]]:
        clusters: dict[str, Cluster] = {}
        tables = self._tables
        for part, number, packed in zip(
            self._snapshot.clusters, unpack_numbers(tables.clusters), tables.hosts, strict=True
        ):
            before = self._before.clusters.get(part.name)
            if before is None or not self._is_same(before, part, number):
                cluster = yield from compile_cluster(decode_cluster(part), before, digest=part.digest)
                self._pools.place(cluster, number, unpack_numbers(packed))
                clusters[part.name] = cluster
            else:
                clusters[part.name] = before
            yield
        return clusters

    def _is_same(self, before: Cluster, part: Part[ClusterConfig], number: int) -> bool:
        if before.digest != part.digest or before.state_record != number:
            return False
        return not self._edition.is_new_code or find_balancer(before.name, before.lb_type) is type(before.balancer)

    def _compile_router(
        self, part: Part[RouterConfig], clusters: Mapping[str, Cluster], protocols: Protocols, path: str, is_same_code: bool
    ) -> Steps[Router]:
        """The router that serves already, if it did not change; it is linked to other clusters when they are served."""
        before = self._before.routers.get(part.name)
        if is_same_code and before is not None and before.digest == part.digest:
            return before
        router = yield from router_steps(decode_router(part), path, part.digest)
        router.link(clusters, protocols.named)
        return router

    def _compile_listener(
        self, config: Listener, routers: Mapping[str, Router], protocols: Protocols, path: str, is_same_code: bool
    ) -> ListenerRuntime:
        """The runtime that serves already, if nothing of it changed."""
        proxy = config.proxy
        if proxy.router_config_name not in routers:
            raise ConfigError(path, f"router_config_name {proxy.router_config_name!r} is not there")
        router = routers[proxy.router_config_name]
        before = self._listeners.get(config.name) if is_same_code else None
        runtime = self._before.runtimes[config.name] if before is not None else None
        if runtime is not None and before == config and runtime.router is router:
            return runtime
        logs = tuple(
            self._logs.open(log.log_path, log.log_format, f"{path}.access_logs[{i}]", log.python_path)
            for i, log in enumerate(config.access_logs)
        )
        is_same_chain = runtime is not None and before is not None and before.stream_filters == config.stream_filters
        filters = runtime.filters if runtime is not None and is_same_chain else compile_filters(config.stream_filters)
        return ListenerRuntime(config, self._version, spoken_protocols(proxy, protocols), router, filters, logs)


def gone_hosts(before: Prepared, after: Prepared) -> Steps[None]:
    """Part from the hosts of *before* that *after* does not have."""
    for name, cluster in before.clusters.items():
        now = after.clusters.get(name)
        if now is cluster:
            continue
        kept = set(map(id, now.hosts.hosts)) if now is not None else set()
        for number, host in enumerate(cluster.hosts.hosts):
            if id(host) not in kept:
                host.leave()
            if number % HOSTS_A_STEP == 0:
                yield
