"""The answer to `mosn_mp status`: one look at everything the master supervises."""

import time
from typing import NamedTuple

from mosn_mp.ipc.plan import ListenerPlan
from mosn_mp.ipc.report import ArenaReport, ListenerReport, ProcessReport, StatusReport
from mosn_mp.master.control.hosts import disabled_hosts
from mosn_mp.master.processes.controller import ControllerProcess
from mosn_mp.master.processes.workers import Worker, Workers
from mosn_mp.master.rollout.deployment import Snapshot
from mosn_mp.master.state.shared_memory import SharedMemory
from mosn_mp.observe.metrics.cells import DOWNSTREAM
from mosn_mp.observe.proc import read_process
from mosn_mp.version import VERSION

_OPEN, _OPENED, _REQUESTS = (DOWNSTREAM.cell(key).at for key in ("connection_active", "connection_total", "request_total"))


class Counts(NamedTuple):
    """What was counted downstream: open connections, all connections, requests."""

    open: int
    opened: int
    requests: int


NOTHING = Counts(0, 0, 0)


class MasterView(NamedTuple):
    """What of the master the report is made from."""

    pid: int
    started_at: float
    state: str
    config_path: str
    admin_address: str
    accepted: Snapshot | None
    shared: SharedMemory | None
    workers: Workers
    controller: ControllerProcess
    draining_master: int


def make_report(master: MasterView) -> StatusReport:
    """The state of the program now."""
    counts = _count_listeners(master.shared)
    processes = _processes(master)
    plan = master.accepted.plan if master.accepted is not None else None
    return StatusReport(
        program=f"mosn_mp {VERSION}",
        server_name=plan.server_name if plan else "",
        state=master.state,
        config_path=master.config_path,
        config_version=master.accepted.version if master.accepted is not None else 0,
        admin_address=master.admin_address,
        processes=processes,
        listeners=[_listener(p, counts.get(p.name, NOTHING)) for p in plan.listeners] if plan else [],
        arena=_arena(master.shared),
        pss_bytes=sum(process.pss_bytes for process in processes),
        draining_master=master.draining_master,
        disabled_hosts=disabled_hosts(master.shared, plan) if plan is not None and master.shared is not None else [],
        filed_version=master.controller.filed.version,
        file_problem=master.controller.filed.problem,
        weights=plan.weights if plan is not None else {},
    )


def _processes(master: MasterView) -> list[ProcessReport]:
    now = time.monotonic()
    found = [ProcessReport("master", master.pid, master.state, now - master.started_at, _pss_bytes(master.pid))]
    controller = master.controller
    if controller.pid:
        uptime_s = now - controller.started_at
        size = _pss_bytes(controller.pid)
        found.append(ProcessReport("controller", controller.pid, "running", uptime_s, size, deaths=controller.deaths()))
    workers = master.workers
    found += [_worker(worker, master, now) for worker in workers.alive()]
    slots = range(master.accepted.plan.workers) if master.accepted is not None else ()
    empty = sorted(set(slots) - {worker.slot for worker in workers.alive()})
    return found + [
        ProcessReport("worker", 0, "down", 0.0, 0, slot, deaths=workers.deaths(slot), last_end=workers.last_end(slot))
        for slot in empty
    ]


def _worker(worker: Worker, master: MasterView, now: float) -> ProcessReport:
    counts = _count_row(master.shared, worker.row)
    return ProcessReport(
        role="worker",
        pid=worker.pid,
        state=worker.state.value,
        uptime_s=now - worker.started_at,
        pss_bytes=_pss_bytes(worker.pid),
        slot=worker.slot,
        version=worker.version,
        deaths=master.workers.deaths(worker.slot),
        last_end=master.workers.last_end(worker.slot),
        active=worker.active,
        connections=counts.open,
        requests=counts.requests,
    )


def _listener(plan: ListenerPlan, counts: Counts) -> ListenerReport:
    return ListenerReport(plan.name, f"{plan.host}:{plan.port}", counts.open, counts.opened, counts.requests)


def _count_row(shared: SharedMemory | None, row: int) -> Counts:
    """What is counted in *row* on all listeners."""
    if shared is None:
        return NOTHING
    bases = [placed.base for placed in shared.directory if placed.type == "downstream"]
    rows = [shared.metrics.row(row, base, DOWNSTREAM.size) for base in bases]
    return Counts(*(sum(row[at] for row in rows) for at in (_OPEN, _OPENED, _REQUESTS)))


def _count_listeners(shared: SharedMemory | None) -> dict[str, Counts]:
    """What all workers count, by listener."""
    if shared is None:
        return {}
    found = {}
    for placed in shared.directory:
        if placed.type == "downstream":
            cells = shared.metrics.sums(placed.base, DOWNSTREAM.size)
            found[dict(placed.labels)["listener"]] = Counts(cells[_OPEN], cells[_OPENED], cells[_REQUESTS])
    return found


def _pss_bytes(pid: int) -> int:
    reading = read_process(pid)
    return reading.pss_bytes if reading is not None else 0


def _arena(shared: SharedMemory | None) -> list[ArenaReport]:
    if shared is None:
        return []
    return [ArenaReport(use.block_size, use.total, use.free, use.touched) for use in shared.arena_usage()]
