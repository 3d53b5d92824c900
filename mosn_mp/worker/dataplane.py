"""The data plane of one worker: from a snapshot to listeners that serve, and back to nothing.

prepare() compiles a snapshot without touching what serves; commit() swaps it in: new requests begin with it, streams under way keep
what they began with. What did not change between snapshots is the same object: hosts keep pools and counters, listeners their
connections.
"""

import logging
import os
import resource
from collections.abc import Mapping
from typing import NamedTuple

import gevent

from mosn_mp.buffer.arena import Arena
from mosn_mp.cluster.cluster import Cluster
from mosn_mp.cluster.compile import compile_clusters
from mosn_mp.cluster.state import state_directory
from mosn_mp.config.model import Config
from mosn_mp.config.model import Listener as ListenerConfig
from mosn_mp.errors import ConfigError
from mosn_mp.filter.compile import compile_filters
from mosn_mp.ipc.tables import decode_tables
from mosn_mp.net.connection import Connection
from mosn_mp.net.listener import Listener
from mosn_mp.net.pool import HostPool
from mosn_mp.net.reactor import Pollable, Reactor
from mosn_mp.net.splice import PipePool
from mosn_mp.observe.access_log import AccessLogs
from mosn_mp.observe.cells import WORKER
from mosn_mp.observe.directory import Directory
from mosn_mp.proxy.runtime import ListenerRuntime, ListenerState
from mosn_mp.proxy.service import Service
from mosn_mp.route.compile import compile_router
from mosn_mp.route.router import Router
from mosn_mp.worker.boot import Shared
from mosn_mp.worker.protocols import protocol_named, spoken_protocols

# Descriptors that are not for connections: logs, channel, epoll, pipes, what filters open.
RESERVED_FDS = 256
PUBLISH_EVERY_S = 1.0


class Prepared(NamedTuple):
    """A compiled snapshot, ready to be served."""

    config: Config
    clusters: dict[str, Cluster]
    runtimes: dict[str, ListenerRuntime]
    sockets: Mapping[tuple[str, int], int]
    counters: Directory
    records: Directory


class DataPlane:
    """Everything in this process that serves connections; implements worker.plane.Plane."""

    def __init__(self, slot: int, arena: Arena, shared: Shared) -> None:
        self.slot = slot
        self.arena = arena
        self.shared = shared
        self.log = logging.getLogger("mosn_mp.worker")
        self.max_fds = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.reactor = Reactor(gevent.get_hub(), arena, self.max_fds, self._on_stream_error)
        self.pipes = PipePool()
        self.logs = AccessLogs()
        self.clusters: dict[str, Cluster] = {}
        self.services: dict[str, Service] = {}
        self.listeners: dict[str, list[Listener]] = {}
        self.is_draining = False
        self.reactor.start()
        gevent.spawn(self._publish)

    # -- snapshots -----------------------------------------------------------------------------------------------------------

    def prepare(self, config: Config, version: int, sockets: Mapping[tuple[str, int], int], directory: bytes) -> Prepared:
        """Compile *config*; ConfigError (or what a plug-in raises) if it cannot be served."""
        tables = decode_tables(directory)
        clusters = compile_clusters(config.cluster_manager.clusters, self.clusters)
        routers = {}
        for i, router_config in enumerate(config.server.routers):
            router = compile_router(router_config, f"servers[0].routers[{i}]")
            router.link(clusters, protocol_named)
            routers[router.name] = router
        runtimes = {
            listener.name: self._compile_listener(listener, version, routers, f"servers[0].listeners[{i}]")
            for i, listener in enumerate(config.server.listeners)
        }
        records = state_directory(self.shared.state.records)
        return Prepared(
            config,
            clusters,
            runtimes,
            sockets,
            Directory.unpack(tables.metrics),
            Directory.unpack(tables.state, records.sizes),
        )

    def _compile_listener(
        self, config: ListenerConfig, version: int, routers: Mapping[str, Router], path: str
    ) -> ListenerRuntime:
        proxy = config.proxy
        if proxy.router_config_name not in routers:
            raise ConfigError(path, f"router_config_name {proxy.router_config_name!r} is not there")
        logs = tuple(
            self.logs.open(log.log_path, log.log_format, f"{path}.access_logs[{i}]", log.python_path)
            for i, log in enumerate(config.access_logs)
        )
        return ListenerRuntime(
            config,
            version,
            spoken_protocols(proxy),
            routers[proxy.router_config_name],
            compile_filters(config.stream_filters),
            logs,
        )

    def commit(self, prepared: Prepared) -> None:
        """Serve *prepared*."""
        self._take_clusters(prepared)
        server = prepared.config.server
        for listener in server.listeners:
            service = self.services.get(listener.name)
            if service is None:
                service = self._make_service(listener.name, prepared)
            service.change(prepared.runtimes[listener.name])
            service.limit((self.max_fds - RESERVED_FDS) // 2, server.max_connections)
            if listener.name not in self.listeners:
                self._listen(listener.name, prepared.sockets)
        for name in [name for name in self.listeners if name not in prepared.runtimes]:
            self._retire_listener(name)

    def abort(self, prepared: Prepared) -> None:
        """Forget *prepared*; nothing of it was touched."""

    def _take_clusters(self, prepared: Prepared) -> None:
        hosts = {id(host): host for cluster in prepared.clusters.values() for host in cluster.hosts.hosts}
        for cluster in prepared.clusters.values():
            cluster.share(self.shared.state, prepared.records.find("cluster", [("cluster", cluster.name)]) or 0)
            for host in cluster.hosts.hosts:
                if host.pool is None:
                    labels = [("cluster", cluster.name), ("host", host.address)]
                    base = prepared.counters.find("upstream", labels)
                    record = prepared.records.find("host", labels) or 0
                    assert base is not None
                    HostPool(self.reactor, host, self.shared.state, self.shared.metrics, self.slot, base, record)
                host.pool.configure(cluster)
        for cluster in self.clusters.values():
            for host in cluster.hosts.hosts:
                if id(host) not in hosts:
                    host.pool.retire()
        self.clusters = prepared.clusters

    def _make_service(self, name: str, prepared: Prepared) -> Service:
        base = prepared.counters.find("downstream", [("listener", name)])
        assert base is not None
        state = ListenerState(self.shared.metrics, self.slot, base, 0)
        service = Service(state, self.reactor, self.shared.metrics, self.pipes, (base, 0))
        self.services[name] = service
        return service

    def _listen(self, name: str, sockets: Mapping[tuple[str, int], int]) -> None:
        self.listeners[name] = []
        for (listener, _), fd in sockets.items():
            if listener == name:
                self.lend(name, fd)

    def lend(self, listener_name: str, fd: int) -> None:
        """Accept from *fd* too, a socket of the same listener; works on a duplicate, so the caller may close its own."""
        if self.is_draining or listener_name not in self.listeners:
            return
        listener = Listener()
        listener.open(os.dup(fd), self.reactor, self.services[listener_name])
        self.listeners[listener_name].append(listener)

    def _retire_listener(self, name: str) -> None:
        for listener in self.listeners.pop(name):
            listener.accept_queued()
            listener.close()
        service = self.services.pop(name)
        service.listener.drain()
        service.close_parked()

    # -- the end -------------------------------------------------------------------------------------------------------------

    def drain(self, deadline_s: float) -> None:
        """Accept what is queued, stop listening, part from every client at its next response; idle ones are closed now."""
        self.is_draining = True
        for listeners in self.listeners.values():
            for listener in listeners:
                listener.accept_queued()
                listener.close()
        self.listeners.clear()
        for service in self.services.values():
            service.listener.drain()
            service.close_parked()

    def is_drained(self) -> bool:
        """No connection is left."""
        return self.active() == 0

    def active(self) -> int:
        """Connections of clients."""
        return sum(service.open_count for service in self.services.values())

    def close_all(self) -> None:
        """End every connection, write every log."""
        self.reactor.stop()
        self.reactor.flush_all()
        self.logs.close()

    # -- the rest ------------------------------------------------------------------------------------------------------------

    def reopen_logs(self) -> None:
        """Open the access logs anew (after a rotation)."""
        self.logs.reopen()

    def set_log_enabled(self, log_path: str, enabled: bool) -> bool:
        """Switch the access log *log_path* on or off; False = there is none."""
        return bool(self.logs.set_enabled(log_path, enabled))

    def _publish(self) -> None:
        """Copy what this process knows of itself into its counter row, once a second."""
        cells = {key: WORKER.cell(key).at for key in self._vitals()}
        while True:
            for key, value in self._vitals().items():
                self.shared.metrics.put(self.slot, cells[key], value)
            gevent.sleep(PUBLISH_EVERY_S)

    def _vitals(self) -> dict[str, int]:
        usage = self.arena.usage(self.slot)
        return {
            "loops": self.reactor.batches,
            "events": self.reactor.events_seen,
            "greenlets": self.reactor.greenlets,
            "greenlets_idle": self.reactor.idle_count(),
            "arena_bytes": sum(row.block_size * row.in_use for row in usage),
            "arena_exhausted": sum(row.exhausted for row in usage),
            "arena_misused": self.arena.misused,
            "log_dropped": sum(writer.dropped for writer in self.logs.writers()),
        }

    def _on_stream_error(self, job: Pollable, error: BaseException) -> None:
        where = f"connection {job.number}" if isinstance(job, Connection) else "a stream"
        self.log.error("%s: a serving greenlet failed: %s", where, error, exc_info=error)


def make_data_plane(slot: int, arena: Arena, shared: Shared) -> DataPlane:
    """The data plane of worker *slot*; makes this process's hub and reactor."""
    return DataPlane(slot, arena, shared)
