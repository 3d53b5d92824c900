"""The shared memory of the program: made by the master, mapped by whoever serves or scrapes, taken back when a worker dies."""

from mosn_mp.buffer.arena import Arena, ClassUsage
from mosn_mp.buffer.segment import Segment
from mosn_mp.cluster.state import State, state_directory
from mosn_mp.ipc.plan import Need, Plan
from mosn_mp.ipc.tables import Tables, encode_tables
from mosn_mp.observe.cells import BLOCKS, UPSTREAM, WORKER
from mosn_mp.observe.directory import Directory, Placed, canonical
from mosn_mp.observe.metrics import Metrics

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
LEAST_RECORDS = 512


class SharedMemory:
    """All segments. A forked worker inherits the mappings; the controller gets the descriptors."""

    def __init__(self, plan: Plan) -> None:
        """Large enough for *plan*; raises OSError if there is not enough shared memory."""
        rows = max(LEAST_ROWS, 2 * plan.workers)
        self.rows = rows
        self.most_workers = rows - SPARE_ROWS
        cells = WORKER.size + sum(BLOCKS[need.kind].size for need in plan.metrics)
        self.arena_segment = Segment.create("arena", plan.arena_bytes, at_least=min(LEAST_ARENA_BYTES, plan.arena_bytes))
        self._arena = Arena(self.arena_segment, MASTER_SLOT)
        self.metrics = Metrics.create(rows, max(LEAST_CELLS, 2 * cells))
        self.directory = Directory(self.metrics.row_cells)
        self.state = State.create(rows, max(LEAST_RECORDS, 2 * len(plan.state)))
        self._records = state_directory(self.state.records)

    def place(self, plan: Plan) -> bytes:
        """Give everything that *plan* needs its cells, the same ones as before if it had some; returns the packed tables."""
        _reserve(self.directory, plan.metrics)
        for reused in self.directory.take_reused():
            self.metrics.clear_block(reused.base, reused.block.size)
        _reserve(self._records, plan.state)
        for reused in self._records.take_reused():
            self.state.clear(reused.base)
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
        self.metrics.clear(slot, self.directory.gauges())
        self.state.release(slot, self._records.end)
        blocks: int = self._arena.reclaim(slot)
        return blocks

    def arena_usage(self) -> list[ClassUsage]:
        """How full the arena is."""
        return list(self._arena.usage(MASTER_SLOT))

    def trim(self) -> None:
        """Give pages that traffic does not need any more back to the kernel; to be called every few seconds."""
        self._arena.trim()


def _reserve(directory: Directory, needs: list[Need]) -> None:
    for need in needs:
        directory.reserve(need.kind, need.labels)
