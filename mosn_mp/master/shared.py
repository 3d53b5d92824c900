"""The shared memory of the program: made by the master, mapped by whoever serves or scrapes, taken back when a worker dies."""

from mosn_mp.buffer.arena import Arena, ClassUsage
from mosn_mp.buffer.segment import Segment
from mosn_mp.cluster.state import State, state_directory
from mosn_mp.ipc.plan import Need, Plan
from mosn_mp.ipc.tables import Tables, encode_tables
from mosn_mp.observe.cells import BLOCKS, WORKER
from mosn_mp.observe.directory import Directory
from mosn_mp.observe.metrics import Metrics

# The master's own slot in the arena: it reclaims and trims, and never takes a block.
MASTER_SLOT = 254
LEAST_ARENA_BYTES = 4 << 20
# A reload may ask for more workers, an upgrade runs two generations side by side. Rows that nobody writes cost no memory.
LEAST_ROWS = 16
# Room for about 100 hosts; a config that needs more gets twice what it needs, so that it may grow. Unused pages cost no memory.
LEAST_CELLS = 10_240
LEAST_RECORDS = 512


class SharedMemory:
    """All segments. A forked worker inherits the mappings; the controller gets the descriptors."""

    def __init__(self, plan: Plan) -> None:
        """Large enough for *plan*; raises OSError if there is not enough shared memory."""
        rows = max(LEAST_ROWS, 2 * plan.workers)
        cells = WORKER.size + sum(BLOCKS[need.kind].size for need in plan.metrics)
        self.arena_segment = Segment.create("arena", plan.arena_bytes, at_least=LEAST_ARENA_BYTES)
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
