"""One look at all counters: the sums over processes, block by block, with MOSN's totals per proxy and per cluster added up.

Downstream has a block per listener and one for proxy="global"; upstream one per cluster and host and one per cluster. The totals
are not counted anywhere, they are sums made here. A host, or a listener that left the configuration, is shown from the first
event on: of a hundred thousand hosts only those that the traffic knows.

Source: MOSN pkg/metrics/downstream.go, upstream.go.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from mosn_mp.observe.metrics.cells import BOUNDS_US, DOWNSTREAM, HISTOGRAM_SUM, UPSTREAM, WORKER, Block, Cell
from mosn_mp.observe.metrics.metrics import Metrics

Labels = tuple[tuple[str, str], ...]  # sorted by name, as MOSN has them
GLOBAL: Labels = (("proxy", "global"),)
WRAP = 1 << 64


def gauge(number: int) -> int:
    """A gauge by its cells: the rows may lag behind each other by an instant, or lie, and it is never below 0."""
    return number if 0 <= number < WRAP // 2 else 0


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
        """A counter or gauge."""
        return gauge(self.cells[cell.at]) if cell.kind == "gauge" else self.cells[cell.at]

    def histogram(self, cell: Cell) -> Histogram:
        """The histogram that begins at *cell*."""
        return Histogram(tuple(self.cells[cell.at : cell.at + HISTOGRAM_SUM]), self.cells[cell.at + HISTOGRAM_SUM])


class Names(NamedTuple):
    """What is counted under which number, and which listeners are served; hosts are (cluster, address)."""

    listeners: Mapping[int, str]
    hosts: Mapping[int, tuple[str, str]]
    served: Collection[str] = ()


def read_workers(metrics: Metrics) -> list[Reading]:
    """The worker block of every slot that has a process."""
    pid = WORKER.cell("pid")
    rows = ((slot, metrics.row(slot, 0, WORKER.size)) for slot in range(metrics.max_slots) if metrics.parts(slot, 0, WORKER.size))
    return [Reading(WORKER, (("slot", str(slot)),), row) for slot, row in rows if row[pid.at]]


def read_all(metrics: Metrics, names: Names) -> list[Reading]:
    """Every listener and host of *names*, preceded by the totals of its type, then the workers."""
    found: list[Reading] = []
    totals: dict[Labels, Reading] = {}
    for reading, total_labels in (*_read_listeners(metrics, names), *_read_hosts(metrics, names)):
        found.append(reading)
        total = totals.setdefault(total_labels, Reading(reading.block, total_labels, [0] * reading.block.size))
        _add(total.cells, reading.cells)
    return [*totals.values(), *found, *read_workers(metrics)]


def _read_listeners(metrics: Metrics, names: Names) -> Iterator[tuple[Reading, Labels]]:
    counted = dict(metrics.used(DOWNSTREAM.type, max(names.listeners, default=0) + 1))
    for number, name in names.listeners.items():
        if name in names.served or number in counted:
            yield Reading(DOWNSTREAM, (("listener", name),), counted.get(number) or [0] * DOWNSTREAM.size), GLOBAL


def _read_hosts(metrics: Metrics, names: Names) -> Iterator[tuple[Reading, Labels]]:
    for number, cells in metrics.used(UPSTREAM.type, max(names.hosts, default=0) + 1):
        if number in names.hosts:
            cluster, address = names.hosts[number]
            yield Reading(UPSTREAM, (("cluster", cluster), ("host", address)), cells), (("cluster", cluster),)


def _add(total: list[int], cells: Iterable[int]) -> None:
    # Modulo 2**64, as the rows themselves are summed: a gauge may be negative in one block for an instant.
    total[:] = [(a + b) % WRAP for a, b in zip(total, cells, strict=True)]
