"""The data plane of one worker: from a snapshot to listeners that serve, and back to nothing.

prepare() compiles a snapshot without touching what serves; commit() swaps it in: new requests begin with it, streams under way
keep what they began with. What did not change between snapshots is the same object: hosts keep pools and counters, listeners
their connections.
"""

import logging
import os
import resource
from collections.abc import Mapping
from contextlib import nullcontext
from typing import NamedTuple

import gevent

from mosn_mp.buffer.arena import Arena
from mosn_mp.buffer.heap import Heap
from mosn_mp.config.decoding.address import parse_address
from mosn_mp.config.snapshot import Snapshot
from mosn_mp.ipc.channel import Channel
from mosn_mp.ipc.tables import decode_tables
from mosn_mp.net.connection.connection import Connection
from mosn_mp.net.connection.descriptors import Descriptors
from mosn_mp.net.connection.listener import Listener
from mosn_mp.net.connection.splice import PipePool
from mosn_mp.net.pool.host_pools import HostPools
from mosn_mp.net.reactor.reactor import Pollable, Reactor
from mosn_mp.observe.access_log.access_log import AccessLogs
from mosn_mp.observe.metrics.cells import WORKER
from mosn_mp.plugin import CATALOGUE
from mosn_mp.proxy.runtime import ListenerState
from mosn_mp.proxy.service import Service
from mosn_mp.worker.boot import Shared
from mosn_mp.worker.compiling import Compiler, Prepared, gone_hosts, nothing
from mosn_mp.worker.pieces import do_in_pieces
from mosn_mp.worker.plane import SocketKey
from mosn_mp.worker.shortages import Shortages
from mosn_mp.worker.transfer import Giver, Receiver

PUBLISH_EVERY_S = 1.0
# What is counted in shared memory at once, and said in the log.
COUNTED = ("accept_errors", "accept_pauses", "connect_waits", "shortages")
# Idle connections of a listener or worker that leaves are closed one by one over this time, those in use at their next response.
PART_WITHIN_MS = 500


class Open(NamedTuple):
    """A socket that is accepted from, and the listener that its connections go to."""

    name: str
    listener: Listener


class DataPlane:
    """Everything in this process that serves connections; implements worker.plane.Plane."""

    def __init__(self, slot: int, arena: Arena, shared: Shared) -> None:
        self.slot = slot
        self.arena = arena
        self.shared = shared
        self.log = logging.getLogger("mosn_mp.worker")
        self.reactor = Reactor(gevent.get_hub(), arena, descriptor_limit(), self._on_stream_error)
        self.descriptors = Descriptors(self.reactor, shared.metrics, slot)
        self.pipes = PipePool(self.descriptors)
        self.logs = AccessLogs()
        self.pools = HostPools(self.descriptors, shared.state, shared.metrics, slot)
        self.served = nothing(CATALOGUE.edition)
        self.services: dict[str, Service] = {}
        self.leaving: list[Service] = []  # of listeners that were removed, while they have connections
        self.owners: dict[str, str] = {}  # address -> listener
        self.open: dict[SocketKey, Open] = {}
        self.unopened: dict[SocketKey, int] = {}  # that there was no descriptor or memory for; tried again every second
        self.finishing: list[Listener] = []  # that were withdrawn while descriptors are short
        self.is_draining = False
        self.reactor.start()
        gevent.spawn(self._publish)

    # -- snapshots -----------------------------------------------------------------------------------------------------------

    def prepare(self, snapshot: Snapshot, version: int, sockets: Mapping[SocketKey, int], tables: bytes) -> Prepared:
        """Compile *snapshot*; ConfigError (or what a plug-in raises) if it cannot be served."""
        edition = CATALOGUE.edition.successor(snapshot.sources, is_sealed=True)
        self.descriptors.look(descriptor_limit())
        self.descriptors.check(len(sockets))
        compiler = Compiler(snapshot, decode_tables(tables), version, self.served, edition, self.pools, self.logs)
        return do_in_pieces(compiler.steps(), lambda: CATALOGUE.using(edition))

    def commit(self, prepared: Prepared, sockets: Mapping[SocketKey, int]) -> None:
        """Serve *prepared*, on those of *sockets* that are its listeners'."""
        CATALOGUE.serve(prepared.edition)
        before, self.served = self.served, prepared
        self._take_clusters(before, prepared)
        self.reactor.fragments.limit = prepared.unfinished_bytes()
        listeners = prepared.listeners()
        for listener in listeners:
            service = self.services.get(listener.name)
            if service is None:
                service = self._make_service(listener.name, prepared)
            if service.listener.runtime is not prepared.runtimes[listener.name]:
                service.change(prepared.runtimes[listener.name])
            service.limit(prepared.max_connections())
        self.owners = {str(parse_address(listener.address)): listener.name for listener in listeners}
        for key, fd in sockets.items():
            self.lend(key, fd)
        for name in [name for name in self.services if name not in prepared.runtimes]:
            self._retire(self.services.pop(name))
        self._budget()
        do_in_pieces(gone_hosts(before, prepared), nullcontext)
        self.pools.forget_gone()

    def abort(self, prepared: Prepared) -> None:
        """Forget *prepared*; it touched nothing."""

    def _take_clusters(self, before: Prepared, prepared: Prepared) -> None:
        changed = {name: one for name, one in prepared.clusters.items() if before.clusters.get(name) is not one}
        self.pools.serve(prepared.clusters, changed.values())
        for name, router in prepared.routers.items():
            if name in before.routers and before.routers[name] is router:
                router.relink(changed)

    def _budget(self) -> None:
        """Let the budget know who takes descriptors."""
        self.descriptors.serve([*self.services.values(), *self.leaving])
        self.descriptors.keep_free(len(self.open))

    def _make_service(self, name: str, prepared: Prepared) -> Service:
        base = self.shared.metrics.base_of("downstream", prepared.numbers[name])
        state = ListenerState(self.shared.metrics, self.pools, self.slot, base, 0)
        service = Service(state, self.descriptors, self.shared.metrics, self.pipes, (base, 0))
        self.services[name] = service
        return service

    def lend(self, key: SocketKey, fd: int) -> None:
        """Accept from *fd* for the listener of its address; works on a duplicate, so the caller may close its own."""
        name = self.owners.get(key[0])
        found = self.open.get(key)
        if self.is_draining or name is None or (found is not None and found.name == name):
            return
        if found is not None:
            found.listener.close()  # the listener was renamed; the queue stays in the socket
            del self.open[key]
        self.unopened[key] = fd
        listener = Listener()
        try:
            listener.open(os.dup(fd), self.descriptors, self.services[name])
        except OSError as e:
            self.log.error("%s: nobody is accepted from slot %d yet: %s", key[0], key[1], e.strerror)
        else:
            del self.unopened[key]
            self.open[key] = Open(name, listener)

    def withdraw(self, key: SocketKey) -> None:
        """Take what is queued in this socket, then accept from it no more."""
        self.unopened.pop(key, None)
        found = self.open.pop(key, None)
        if found is not None and not found.listener.finish():
            self.finishing.append(found.listener)

    def _retire(self, service: Service) -> None:
        """Its listener is gone: part from every client. What still comes through its sockets is answered, once."""
        self._part_from_all(service, PART_WITHIN_MS, self.served.goaway_timeout())
        self.leaving.append(service)

    def give(self, channel: Channel, count: int) -> int:
        """Give connections, also those of listeners that are gone: the receiver may have them."""
        return Giver(channel, lambda: (*self.services.values(), *self.leaving), count).run()

    def receive(self, channel: Channel) -> None:
        """Take connections of the listeners that are served here."""
        Receiver(channel, self._service_for_arrivals, lambda: self.served.clusters).run()

    def _service_for_arrivals(self, name: str) -> Service | None:
        return None if self.is_draining else self.services.get(name)

    # -- the end -------------------------------------------------------------------------------------------------------------

    def part(self, deadline_s: float) -> None:
        """Part from every client at its next response; idle ones are closed soon, within a tenth of a short deadline."""
        self.is_draining = True
        within_ms = min(PART_WITHIN_MS, int(deadline_s * 100))
        goaway_s = min(deadline_s, self.served.goaway_timeout())
        for service in (*self.services.values(), *self.leaving):
            self._part_from_all(service, within_ms, goaway_s)

    def _part_from_all(self, service: Service, within_ms: int, goaway_s: float) -> None:
        """Close what is idle *within_ms*; who can be told to go is, and must be gone after *goaway_s*."""
        service.part(within_ms, int(goaway_s * 1000))
        gevent.spawn_later(goaway_s, service.end_parting)

    def stop_accepting(self) -> None:
        """Accept what is queued, stop listening."""
        for key in list(self.open):
            self.withdraw(key)

    def is_drained(self) -> bool:
        """No connection is left, and none waits in a queue."""
        self.finishing = [listener for listener in self.finishing if not listener.is_closed]
        return self.active() == 0 and not self.finishing

    def active(self) -> int:
        """Connections of clients."""
        self.leaving = [service for service in self.leaving if service.listener.open_count]
        return sum(service.listener.open_count for service in (*self.services.values(), *self.leaving))

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
        """Once a second: copy what this process knows of itself into its counter row, let go of what the load does not need."""
        cells = {key: WORKER.cell(key).at for key in self._vitals()}
        shortages = Shortages(self.log)
        heap = Heap()
        before = self._counted()
        while True:
            for service in (*self.services.values(), *self.leaving):
                service.trim()
            self.pipes.trim()
            heap.look()
            for name, fd in list(self.unopened.items()):
                self.lend(name, fd)
            self.descriptors.look(descriptor_limit())
            vitals = self._vitals()
            for key, value in vitals.items():
                self.shared.metrics.put(self.slot, cells[key], value)
            vitals.update({key: value - before[key] for key, value in self._counted().items()})
            vitals["limit_connections"] = sum(service.refused for service in self.services.values())
            shortages.look(vitals)
            gevent.sleep(PUBLISH_EVERY_S)

    def _counted(self) -> dict[str, int]:
        """Of this row: the counters go on where the worker before us in it stopped."""
        row = self.shared.metrics.row(self.slot, 0, WORKER.size)
        return {key: row[WORKER.cell(key).at] for key in COUNTED}

    def _vitals(self) -> dict[str, int]:
        usage = self.arena.usage()
        return {
            "loops": self.reactor.batches,
            "events": self.reactor.events_seen,
            "greenlets": self.reactor.greenlets,
            "greenlets_idle": self.reactor.idle_count(),
            "arena_bytes": sum(row.block_size * row.in_use for row in usage),
            "arena_exhausted": sum(row.exhausted for row in usage),
            "arena_misused": self.arena.misused,
            "unfinished_bytes": self.reactor.fragments.bytes,
            "log_dropped": sum(writer.dropped for writer in self.logs.writers()),
        }

    def _on_stream_error(self, job: Pollable, error: BaseException) -> None:
        where = f"connection {job.number}" if isinstance(job, Connection) else "a stream"
        self.log.error("%s: a serving greenlet failed: %s", where, error, exc_info=error)


def descriptor_limit() -> int:
    """How many this process may open just now."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def make_data_plane(slot: int, arena: Arena, shared: Shared) -> DataPlane:
    """The data plane of worker *slot*; makes this process's hub and reactor."""
    return DataPlane(slot, arena, shared)
