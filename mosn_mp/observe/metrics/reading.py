"""One look at all counters: the sums over processes, block by block, with MOSN's totals per proxy and per cluster added up.

Source: mosn-reference 10.1: downstream has a block per listener and one for proxy="global"; upstream one per cluster and host
and one per cluster. The totals are not counted anywhere, they are sums made here.
"""

from collections.abc import Iterable
from typing import NamedTuple

from mosn_mp.observe.metrics.cells import BOUNDS_US, HISTOGRAM_SUM, WORKER, Block, Cell
from mosn_mp.observe.metrics.directory import Directory, Labels, canonical
from mosn_mp.observe.metrics.metrics import Metrics

GLOBAL: Labels = (("proxy", "global"),)
WRAP = 1 << 64


class Histogram(NamedTuple):
    """A histogram: events per bucket (bounds BOUNDS_US, then +Inf), and the sum of all durations."""

    buckets: tuple[int, ...]
    sum_us: int

    @property
    def events(self) -> int:
        """Events in all buckets."""
        return sum(self.buckets)

    def least_us(self) -> int:
        """The lower bound of the lowest bucket with an event; 0 without events."""
        return next(((0, *BOUNDS_US)[i] for i, n in enumerate(self.buckets) if n), 0)

    def most_us(self) -> int:
        """The upper bound of the highest bucket with an event (of the last bucket: its lower one); 0 without events."""
        bounds = (*BOUNDS_US, BOUNDS_US[-1])
        return next((bounds[i] for i in range(len(bounds) - 1, -1, -1) if self.buckets[i]), 0)


class Reading(NamedTuple):
    """The cells of one block, summed."""

    block: Block
    labels: Labels
    cells: list[int]

    def value(self, cell: Cell) -> int:
        """A counter or gauge. The rows of a gauge may lag behind each other by an instant: it is never below 0."""
        number = self.cells[cell.at]
        if cell.kind == "gauge" and number >= WRAP // 2:
            return 0
        return number

    def histogram(self, cell: Cell) -> Histogram:
        """The histogram that begins at *cell*."""
        return Histogram(tuple(self.cells[cell.at : cell.at + HISTOGRAM_SUM]), self.cells[cell.at + HISTOGRAM_SUM])


def read_workers(metrics: Metrics) -> list[Reading]:
    """The worker block of every slot that has a process."""
    pid = WORKER.cell("pid")
    rows = ((slot, metrics.row(slot, 0, WORKER.size)) for slot in range(metrics.max_slots))
    return [Reading(WORKER, (("slot", str(slot)),), row) for slot, row in rows if row[pid.at]]


def read_all(metrics: Metrics, directory: Directory) -> list[Reading]:
    """Every block of *directory*, preceded by the totals of its type, then the workers."""
    found: list[Reading] = []
    totals: dict[tuple[str, Labels], Reading] = {}
    for placed in directory:
        reading = Reading(placed.block, placed.labels, metrics.sums(placed.base, placed.block.size))
        found.append(reading)
        labels = _total_labels(reading)
        if labels is not None:
            total = totals.setdefault((placed.type, labels), Reading(placed.block, labels, [0] * placed.block.size))
            _add(total.cells, reading.cells)
    return [*totals.values(), *found, *read_workers(metrics)]


def _total_labels(reading: Reading) -> Labels | None:
    if reading.block.type == "downstream":
        return GLOBAL
    if reading.block.type == "upstream":
        return canonical(label for label in reading.labels if label[0] == "cluster")
    return None


def _add(total: list[int], cells: Iterable[int]) -> None:
    # Modulo 2**64, as the rows themselves are summed: a gauge may be negative in one block for an instant.
    total[:] = [(a + b) % WRAP for a, b in zip(total, cells, strict=True)]
