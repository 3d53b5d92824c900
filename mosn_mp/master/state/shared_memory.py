"""The shared memory of the program: made by the master, mapped by whoever serves or scrapes, taken back when a worker dies.

Of the arena only what workers hold of it is shared; their buffers they make for themselves.
Counters and state have address space for far more listeners, clusters and hosts than there are; memory is taken by what is
counted, and given back when it left the configuration.
"""

import os
import resource
from collections.abc import Container, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import msgspec

from mosn_mp.buffer.arena import arena_shape
from mosn_mp.buffer.holdings import ClassUsage, Holdings, holdings_shape
from mosn_mp.buffer.segment import Segment, Shape
from mosn_mp.cluster.state import State, state_shape
from mosn_mp.ipc.plan import Plan
from mosn_mp.ipc.tables import Leaving, decode_tables, encode_tables
from mosn_mp.master.state.directory import Directory
from mosn_mp.master.state.numbering import Numbering, Shapes, numbers
from mosn_mp.observe.metrics.cells import BLOCKS, DOWNSTREAM, HISTOGRAM_CELLS, UPSTREAM, WORKER, Block, CellKind
from mosn_mp.observe.metrics.metrics import Metrics, metrics_shape
from mosn_mp.observe.metrics.reading import WRAP, gauge

# A reload may ask for more workers, an upgrade runs two generations side by side.
LEAST_ROWS = 16
# For workers that drain while their successors serve already.
SPARE_ROWS = 2
# Numbers that there are at least: 11 GB of address space with 16 rows, and no memory. A configuration may grow to twice its size.
LEAST_LISTENERS = 1 << 14
LEAST_CLUSTERS = 1 << 17
LEAST_HOSTS = 1 << 20
DISABLED = 0x80  # a health flag of ours beside MOSN's (cluster/state.pxd): an operator took the host out of rotation

_CONNECTIONS_AT = WORKER.cell("connections").at
_BUDGET_AT = [WORKER.cell(key).at for key in ("fd_limit", "fd_used", "fd_reserved", "accept_paused")]
_ACTIVE_AT = UPSTREAM.cell("request_active").at

Labels = list[tuple[str, str]]
Total = tuple[str, Labels, dict[str, list[int]]]  # type, labels, cells by key


class Inheritance(NamedTuple):
    """What a master before us had: segments, plan, packed Tables, totals(), [row, pid] of its workers."""

    metrics_fd: int
    state_fd: int
    plan: Plan
    tables: bytes
    totals: bytes
    rows: Sequence[tuple[int, int]]


class SharedMemory:
    """All segments. A forked worker inherits the mappings; the controller gets the descriptors."""

    def __init__(self, plan: Plan, before: "Inheritance | None" = None) -> None:
        """Large enough for *plan*; raises OSError if there cannot be so much.

        After an upgrade counters and state are those of *before*, if this release reads them and they are large enough; else
        (`rebuilt` says why) they are new, and counters go on from what they were.
        """
        self.rebuilt = ""
        self._leaving: list[Leaving] = []
        self._leaving_of: Plan | None = None  # which plan they are not in
        self.arena_bytes = plan.arena_bytes
        Segment.create(arena_shape(plan.arena_bytes)).close()  # what no worker could make is said at the start
        if before is None or not self._inherit(before, plan):
            self._create(plan)
        self.rows: int = self.metrics.max_slots
        self.holdings = Holdings(Segment.create(holdings_shape(self.arena_bytes, self.rows)))
        self._fds = (self.holdings.segment.open_to_look(), self.metrics.segment.open_to_look())
        self.most_workers = self.rows - SPARE_ROWS
        if self.rebuilt and before is not None:
            self.place(plan)
            self._count_on(before.totals)

    def _create(self, plan: Plan) -> None:
        metrics, state = shapes_for(plan)
        self.metrics = Metrics(Segment.create(metrics))
        self.state = State(Segment.create(state))
        self.numbering = Numbering(*map(Directory, self._capacities()))

    def _capacities(self) -> tuple[int, int, int]:
        (listeners, hosts), (clusters, _) = self.metrics.segment.shape.places, self.state.segment.shape.places
        return listeners, clusters, hosts

    def _inherit(self, before: "Inheritance", plan: Plan) -> bool:
        """Take over what *before* has; False, with `rebuilt`, if that cannot be. Its descriptors are then closed."""
        segments: list[Segment] = []
        try:
            tables = decode_tables(before.tables)
            segments.append(Segment.attach(before.metrics_fd, tables.metrics))
            segments.append(Segment.attach(before.state_fd, tables.state))
            self.metrics, self.state = Metrics(segments[0]), State(segments[1])
            self.numbering = Numbering.restore(self._capacities(), before.plan, tables)
            if self.metrics.max_slots < len(before.rows) + plan.workers + SPARE_ROWS:
                raise ValueError(f"{self.metrics.max_slots} rows are too few for both generations")
            self.place(plan)
        except ValueError as e:  # no room, another layout, another encoding
            self.rebuilt = str(e)
            for fd in (before.metrics_fd, before.state_fd)[len(segments) :]:
                os.close(fd)
            for segment in segments:
                segment.close()
            return False
        return True

    def totals(self) -> bytes:
        """Every counter by name, for a release with another layout: msgpack of [type, labels, key -> cells]."""
        rows: list[Total] = [("worker", [], _counters(WORKER, self.metrics.sums(0, WORKER.size)))]
        listeners, hosts = self.numbering.listeners, self.numbering.hosts
        used = dict(self.metrics.used(DOWNSTREAM.type, listeners.end))
        for name, number in listeners.items():
            if number in used:
                rows.append((DOWNSTREAM.type, [("listener", name)], _counters(DOWNSTREAM, used[number])))
        used = dict(self.metrics.used(UPSTREAM.type, hosts.end))
        for (name, host), number in hosts.items() if used else ():
            if number in used:
                rows.append((UPSTREAM.type, [("cluster", name), ("host", host)], _counters(UPSTREAM, used[number])))
        return msgspec.msgpack.encode(rows)

    def _count_on(self, totals: bytes) -> None:
        """Begin with what totals() said, as far as this release counts it too."""
        for kind, labels, counts in msgspec.msgpack.decode(totals, type=list[Total]):
            base = self._base(kind, dict(labels))
            if base is None:
                continue
            for cell in BLOCKS[kind].cells:
                amounts = counts.get(cell.key, [])
                if len(amounts) == (HISTOGRAM_CELLS if cell.kind == "histogram" else 1):
                    for at, amount in enumerate(amounts):
                        self.metrics.add(0, base + cell.at + at, amount if amount < WRAP // 2 else amount - WRAP)

    def _base(self, kind: str, labels: dict[str, str]) -> int | None:
        """The first cell of the block of *kind* with these labels; None if there is none."""
        if kind == "worker":
            return 0
        number = 0
        if kind == "downstream":
            number = self.numbering.listeners.find(labels.get("listener", ""))
        elif kind == "upstream":
            number = self.numbering.hosts.find((labels.get("cluster", ""), labels.get("host", "")))
        return self.metrics.base_of(kind, number) if number else None

    def place(self, plan: Plan) -> bytes:
        """Give everything in *plan* its numbers, the same ones as before if it had some; returns the packed ipc.tables.

        ValueError if there is no room.
        """
        self._leaving_of = None
        arena = holdings_shape(self.arena_bytes, self.metrics.max_slots)
        shapes = Shapes(arena, self.metrics.segment.shape, self.state.segment.shape)
        return encode_tables(self.numbering.tables(plan, shapes))

    def set_disabled(self, cluster: str, address: str, disabled: bool) -> None:
        """Let no worker pick the host, or let them again."""
        number = self.numbering.hosts.find((cluster, address))
        flags = self.state.health_of(number)
        self.state.set_health(number, flags | DISABLED if disabled else flags & ~DISABLED)

    def is_disabled(self, cluster: str, address: str) -> bool:
        """Whether set_disabled() took the host out."""
        return bool(self.state.health_of(self.numbering.hosts.find((cluster, address))) & DISABLED)

    def disabled_hosts(self) -> set[int]:
        """The numbers of all hosts that set_disabled() took out."""
        return {number for number, flags in self.state.flagged_hosts(self.numbering.hosts.end).items() if flags & DISABLED}

    def active_requests(self, cluster: str, address: str) -> int:
        """Requests under way at the host."""
        base = self._base("upstream", {"cluster": cluster, "host": address})
        return gauge(self.metrics.sums(base + _ACTIVE_AT, 1)[0]) if base is not None else 0

    def connections_of(self, row: int) -> int:
        """How many connections of clients the worker of *row* has, as it says."""
        return gauge(self.metrics.row(row, _CONNECTIONS_AT, 1)[0])

    def room_of(self, row: int) -> int:
        """How many more descriptors the worker of *row* could use for clients; -1: clients wait for want of them."""
        limit, used, reserved, is_paused = (int(self.metrics.row(row, at, 1)[0]) for at in _BUDGET_AT)
        return -1 if is_paused else max(0, limit - used - reserved)

    def retire_unused(self, plan: Plan) -> int:
        """Let go of what *plan* does not name and nothing counts in any more; returns how many are kept for now.

        A removed listener or host keeps its cells while it has connections: its numbers stay true, and are shown.
        """
        if self._leaving_of is not plan:
            self._leaving = list(self.numbering.leaving(plan))
            self._leaving_of = plan
        if self._leaving:
            busy = {
                "listener": set(self._counting(DOWNSTREAM, self.numbering.listeners.end)),
                "cluster": self.state.held_clusters(self.numbering.clusters.end),
                "host": set(self._counting(UPSTREAM, self.numbering.hosts.end)),
            }
            gone = [one for one in self._leaving if one.number not in busy[one.kind]]
            self._leaving = [one for one in self._leaving if one.number in busy[one.kind]]
            self.numbering.release(gone)
            self.metrics.clear("downstream", numbers(gone, "listener"), self.numbering.listeners.has_any)
            self.metrics.clear("upstream", numbers(gone, "host"), self.numbering.hosts.has_any)
            self.state.clear(numbers(gone, "cluster"), numbers(gone, "host"))
        return len(self._leaving)

    def _counting(self, block: Block, end: int) -> Iterator[int]:
        """The numbers of blocks of which a gauge says that something is open."""
        gauges = block.gauges()
        for number, cells in self.metrics.used(block.type, end):
            if any(cells[at] for at in gauges):
                yield number

    def fds(self) -> tuple[int, int]:
        """The descriptors of what the controller reads, by which it cannot write: holdings, metrics."""
        return self._fds

    def release_buffers(self, row: int) -> int:
        """The dead worker of *row* holds nothing of the arena; returns how many blocks it had, as it said."""
        blocks = self.holdings.owned_by(row)
        self.holdings.clear(row)
        return blocks

    def release_row(self, row: int) -> None:
        """Take back what the dead process of *row* held beside buffers."""
        ends = {WORKER.type: 1, DOWNSTREAM.type: self.numbering.listeners.end, UPSTREAM.type: self.numbering.hosts.end}
        self.metrics.clear_gauges(row, ends)
        self.metrics.drop_behind(ends)
        self.state.release(row, self.numbering.clusters.end)
        self.state.drop_behind(self.numbering.clusters.end, self.numbering.hosts.end)

    def arena_usage(self) -> list[ClassUsage]:
        """How full the arena is."""
        return self.holdings.usage()

    def expect_buffers_of(self, rows: Container[int]) -> None:
        """Nobody but the workers of *rows* holds anything of the arena, whatever one of them wrote; for every few seconds."""
        self.holdings.clear_all_but(rows)


def shapes_for(plan: Plan) -> tuple[Shape, Shape]:
    """The shapes of metrics and state that *plan* needs, with room to grow as far as the limits of this process allow."""
    rows = max(LEAST_ROWS, 2 * plan.workers)
    listeners, clusters = 2 * len(plan.listeners) + 1, 2 * len(plan.clusters) + 1
    hosts = 2 * sum(len(cluster.hosts) for cluster in plan.clusters) + 1
    limits = [resource.getrlimit(which)[0] for which in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE)]
    most_bytes = min((limit // 2 for limit in limits if limit != resource.RLIM_INFINITY), default=1 << 62)
    factor = 1
    while True:
        room = [max(need, least // factor) for need, least in ((listeners, LEAST_LISTENERS), (clusters, LEAST_CLUSTERS))]
        room_hosts = max(hosts, LEAST_HOSTS // factor)
        shapes = metrics_shape(rows, room[0], room_hosts), state_shape(rows, room[1], room_hosts)
        if sum(shape.size for shape in shapes) <= most_bytes or factor > LEAST_HOSTS:
            return shapes
        factor *= 2


def _counters(block: Block, cells: list[int]) -> dict[str, list[int]]:
    """What of *cells* counts since ever, by key; what has counted nothing is left out."""
    found = {key: [cells[at]] for key, at in _places(block.type, "counter") if cells[at]}
    for key, at in _places(block.type, "histogram"):
        if any(cells[at : at + HISTOGRAM_CELLS]):
            found[key] = cells[at : at + HISTOGRAM_CELLS]
    return found


@cache
def _places(type_: str, kind: CellKind) -> list[tuple[str, int]]:
    """Key and place of each cell of that kind."""
    return [(cell.key, cell.at) for cell in BLOCKS[type_].cells if cell.kind == kind]
