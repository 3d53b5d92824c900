"""The shared memory of the program: made by the master, mapped by whoever serves or scrapes, taken back when a worker dies."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from mosn_mp.buffer.arena import Arena, ClassUsage
from mosn_mp.buffer.segment import Segment
from mosn_mp.cluster.state import State, state_directory
from mosn_mp.ipc.plan import Need, Plan
from mosn_mp.ipc.tables import Tables, decode_tables, encode_tables
from mosn_mp.observe.metrics.cells import BLOCKS, HISTOGRAM_CELLS, UPSTREAM, WORKER, Block
from mosn_mp.observe.metrics.directory import Directory, Placed, canonical
from mosn_mp.observe.metrics.metrics import Metrics

# The master's own slot in the arena: it reclaims and trims, and never takes a block.
MASTER_SLOT = 254
LEAST_ARENA_BYTES = 4 << 20
# A reload may ask for more workers, an upgrade runs two generations side by side. Rows that nobody writes cost no memory.
LEAST_ROWS = 16
# Room for about 100 hosts; a config that needs more gets twice what it needs, so that it may grow. Unused pages cost no memory.
LEAST_CELLS = 10_240
# For workers that drain while their successors serve already.
SPARE_ROWS = 2
STATE_GROUPS = 4  # cluster/state.pxd, GROUPS
DISABLED = 0x80  # a health flag of ours beside MOSN's (cluster/state.pxd): an operator took the host out of rotation

_CONNECTIONS_AT = WORKER.cell("connections").at
_ACTIVE_AT = UPSTREAM.cell("request_active").at

Labels = list[tuple[str, str]]
Total = tuple[str, Labels, dict[str, list[int]]]  # type, labels, cells by key
LEAST_RECORDS = 512


class Inheritance(NamedTuple):
    """What a master before us had: descriptors of its segments, packed Tables and totals(), [row, pid] of its workers."""

    metrics_fd: int
    state_fd: int
    tables: bytes
    totals: bytes
    rows: Sequence[tuple[int, int]]


class SharedMemory:
    """All segments. A forked worker inherits the mappings; the controller gets the descriptors."""

    def __init__(self, plan: Plan, before: "Inheritance | None" = None) -> None:
        """Large enough for *plan*; raises OSError if there is not enough shared memory.

        After an upgrade counters and state are those of *before*, if this release reads them and they are large enough; else
        (`rebuilt` says why) they are new, and counters go on from what they were.
        """
        self.rebuilt = ""
        self.arena_segment = Segment.create("arena", plan.arena_bytes, at_least=min(LEAST_ARENA_BYTES, plan.arena_bytes))
        self._arena = Arena(self.arena_segment, MASTER_SLOT)
        if before is None or not self._inherit(before, plan):
            self._create(plan)
        self.rows: int = self.metrics.max_slots
        self.most_workers = self.rows - SPARE_ROWS
        if self.rebuilt and before is not None:
            self._reserve_for(plan)
            self._count_on(before.totals)

    def _create(self, plan: Plan) -> None:
        rows = max(LEAST_ROWS, 2 * plan.workers)
        cells = WORKER.size + sum(BLOCKS[need.kind].size for need in plan.metrics)
        self.metrics = Metrics.create(rows, max(LEAST_CELLS, 2 * cells))
        self.directory = Directory(self.metrics.row_cells)
        self.state = State.create(rows, max(LEAST_RECORDS, 2 * len(plan.state)))
        self._records = state_directory(self.state.records)

    def _inherit(self, before: "Inheritance", plan: Plan) -> bool:
        """Take over what *before* has; False, with `rebuilt`, if that cannot be. Its descriptors are then closed."""
        try:
            self.metrics = Metrics.attach(before.metrics_fd, os.fstat(before.metrics_fd).st_size)
            self.state = State.attach(before.state_fd, os.fstat(before.state_fd).st_size)
            tables = decode_tables(before.tables)
            self.directory = Directory.unpack(tables.metrics)
            self._records = Directory.unpack(tables.state, state_directory(2).sizes)
            if self.metrics.max_slots < len(before.rows) + plan.workers + SPARE_ROWS:
                raise ValueError(f"{self.metrics.max_slots} rows are too few for both generations")
            self._reserve_for(plan)
        except ValueError as e:  # no room, another layout, another encoding
            self.rebuilt = str(e)
            os.close(before.metrics_fd)
            os.close(before.state_fd)
            return False
        return True

    def _reserve_for(self, plan: Plan) -> None:
        _reserve(self.directory, plan.metrics)
        _reserve(self._records, plan.state)

    def totals(self) -> bytes:
        """Every counter by name, for a release with another layout: msgpack of [type, labels, key -> cells]."""
        rows: list[Total] = [("worker", [], _counters(WORKER, self.metrics.sums(0, WORKER.size)))]
        for placed in self.directory:
            cells = self.metrics.sums(placed.base, placed.block.size)
            rows.append((placed.type, list(placed.labels), _counters(placed.block, cells)))
        return msgspec.msgpack.encode(rows)

    def _count_on(self, totals: bytes) -> None:
        """Begin with what totals() said, as far as this release counts it too."""
        for kind, labels, counts in msgspec.msgpack.decode(totals, type=list[Total]):
            base = 0 if kind == "worker" else self.directory.find(kind, labels)
            if base is None or kind not in BLOCKS:
                continue
            for cell in BLOCKS[kind].cells:
                amounts = counts.get(cell.key, [])
                if len(amounts) == (HISTOGRAM_CELLS if cell.kind == "histogram" else 1):
                    for at, amount in enumerate(amounts):
                        self.metrics.add(0, base + cell.at + at, amount)

    def place(self, plan: Plan) -> bytes:
        """Give everything that *plan* needs its cells, the same ones as before if it had some; returns the packed tables."""
        self._reserve_for(plan)
        for reused in self.directory.take_reused():
            self.metrics.clear_block(reused.base, reused.block.size)
        for reused in self._records.take_reused():
            self.state.clear(reused.base)
        return self.tables()

    def tables(self) -> bytes:
        """Where everything lies, as packed ipc.tables."""
        return encode_tables(Tables(metrics=self.directory.pack(), state=self._records.pack()))

    def set_disabled(self, labels: Labels, disabled: bool) -> None:
        """Let no worker pick the host of *labels*, or let them again."""
        record = self._records.find("host", labels) or 0
        flags = self.state.health_of(record)
        self.state.set_health(record, flags | DISABLED if disabled else flags & ~DISABLED)

    def is_disabled(self, labels: Labels) -> bool:
        """Whether set_disabled() took the host out."""
        return bool(self.state.health_of(self._records.find("host", labels) or 0) & DISABLED)

    def active_requests(self, labels: Labels) -> int:
        """Requests under way at the host."""
        base = self.directory.find("upstream", labels)
        return int(self.metrics.sums(base, UPSTREAM.size)[_ACTIVE_AT]) if base is not None else 0

    def connections_of(self, row: int) -> int:
        """How many connections of clients the worker of *row* has."""
        return int(self.metrics.row(row, _CONNECTIONS_AT, 1)[0])

    def retire_unused(self, plan: Plan) -> int:
        """Give up the cells of what *plan* does not name and nothing counts in any more; returns how many are kept for now.

        A removed listener or host keeps its cells while it has connections: its numbers stay true, and are shown.
        """
        metrics = {(need.kind, canonical(need.labels)) for need in plan.metrics}
        busy = [
            placed
            for placed in self.directory
            if (placed.type, placed.labels) not in metrics and self._is_counting(placed)
        ]
        self.directory.retire_others([*((n.kind, n.labels) for n in plan.metrics), *((p.type, p.labels) for p in busy)])
        state = {(need.kind, canonical(need.labels)) for need in plan.state}
        held = [placed for placed in self._records if (placed.type, placed.labels) not in state and self._is_held(placed.base)]
        for gone in self._records:
            if gone not in held and (gone.type, gone.labels) not in state:
                self.state.set_health(gone.base, 0)  # whoever comes back under this name begins anew
        self._records.retire_others([*((n.kind, n.labels) for n in plan.state), *((p.type, p.labels) for p in held)])
        return len(busy) + len(held)

    def _is_counting(self, placed: Placed) -> bool:
        """Whether a gauge of the block says that something is open."""
        cells = self.metrics.sums(placed.base, placed.block.size)
        return any(cells[at] for at in placed.block.gauges())

    def _is_held(self, record: int) -> bool:
        """Whether some worker counts something in *record*."""
        return any(self.state.held_of(record, group) for group in range(STATE_GROUPS))

    def fds(self) -> tuple[int, ...]:
        """The descriptors of all segments: arena, metrics, state."""
        return (self.arena_segment.fd, self.metrics.fd, self.state.fd)

    def release_slot(self, slot: int) -> int:
        """Take back what the dead worker of *slot* held; returns how many arena blocks that were."""
        self.release_row(slot)
        blocks: int = self._arena.reclaim(slot)
        return blocks

    def release_row(self, row: int) -> None:
        """Take back what the dead process of *row* held beside buffers."""
        self.metrics.clear(row, self.directory.gauges())
        self.state.release(row, self._records.end)

    def arena_usage(self) -> list[ClassUsage]:
        """How full the arena is."""
        return list(self._arena.usage(MASTER_SLOT))

    def trim(self) -> None:
        """Give pages that traffic does not need any more back to the kernel; to be called every few seconds."""
        self._arena.trim()


def _counters(block: Block, cells: list[int]) -> dict[str, list[int]]:
    """What of *cells* counts since ever, by key."""
    widths = {"counter": 1, "histogram": HISTOGRAM_CELLS}
    return {cell.key: cells[cell.at : cell.at + widths[cell.kind]] for cell in block.cells if cell.kind in widths}


def _reserve(directory: Directory, needs: list[Need]) -> None:
    for need in needs:
        directory.reserve(need.kind, need.labels)
