"""What workers count of themselves, as the status shows it. They may write any bytes there: every figure is made to fit."""

from typing import NamedTuple

from mosn_mp.ipc.report import DescriptorReport
from mosn_mp.master.state.shared_memory import SharedMemory
from mosn_mp.observe.metrics.cells import DOWNSTREAM, WORKER
from mosn_mp.observe.metrics.reading import WRAP, gauge

_PLACES = [DOWNSTREAM.cell(key).at for key in ("connection_active", "connection_total", "request_total")]
_BUDGET = [WORKER.cell(key).at for key in ("fd_limit", "fd_used", "fd_reserved", "accept_paused", "accept_pauses")]


class Counts(NamedTuple):
    """What was counted downstream: open connections, all connections, requests."""

    open: int
    opened: int
    requests: int


NOTHING = Counts(0, 0, 0)


def budget_of(shared: SharedMemory | None, row: int) -> DescriptorReport:
    """What the worker of *row* says of its descriptors."""
    if shared is None:
        return DescriptorReport()
    cells = shared.metrics.row(row, 0, WORKER.size)
    limit, used, reserved, is_paused, pauses = (cells[at] for at in _BUDGET)
    return DescriptorReport(gauge(limit), gauge(used), gauge(reserved), bool(is_paused), pauses)


def count_row(shared: SharedMemory | None, row: int) -> Counts:
    """What is counted in *row* on all listeners."""
    if shared is None:
        return NOTHING
    bases = [shared.metrics.base_of("downstream", number) for _, number in shared.numbering.listeners.items()]
    return _counts([shared.metrics.row(row, base, DOWNSTREAM.size) for base in bases])


def count_listeners(shared: SharedMemory | None) -> dict[str, Counts]:
    """What all workers count, by listener."""
    if shared is None:
        return {}
    bases = {name: shared.metrics.base_of("downstream", number) for name, number in shared.numbering.listeners.items()}
    return {name: _counts([shared.metrics.sums(base, DOWNSTREAM.size)]) for name, base in bases.items()}


def _counts(blocks: list[list[int]]) -> Counts:
    open_now, opened, requests = (sum(cells[at] for cells in blocks) % WRAP for at in _PLACES)
    return Counts(gauge(open_now), opened, requests)
