"""The answer to `mosn_mp status`: one look at everything the master supervises."""

import time
from typing import NamedTuple

from mosn_mp.ipc.report import ArenaReport, ListenerReport, ProcessReport, StatusReport
from mosn_mp.master.crew import Crew
from mosn_mp.master.deployment import Snapshot
from mosn_mp.master.keeper import Keeper
from mosn_mp.master.proc import pss_bytes
from mosn_mp.master.shared import SharedMemory
from mosn_mp.version import VERSION


class MasterView(NamedTuple):
    """What of the master the report is made from."""

    pid: int
    started_at: float
    state: str
    config_path: str
    admin_address: str
    accepted: Snapshot | None
    shared: SharedMemory | None
    crew: Crew
    keeper: Keeper


def make_report(master: MasterView) -> StatusReport:
    """The state of the program now."""
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
        listeners=[ListenerReport(p.name, f"{p.host}:{p.port}") for p in plan.listeners] if plan else [],
        arena=_arena(master.shared),
        pss_bytes=sum(process.pss_bytes for process in processes),
    )


def _processes(master: MasterView) -> list[ProcessReport]:
    now = time.monotonic()
    found = [ProcessReport("master", master.pid, master.state, now - master.started_at, pss_bytes(master.pid))]
    keeper = master.keeper
    if keeper.pid:
        uptime_s = now - keeper.started_at
        found.append(ProcessReport("controller", keeper.pid, "running", uptime_s, pss_bytes(keeper.pid), deaths=keeper.deaths()))
    found += [
        ProcessReport(
            "worker", worker.pid, worker.state.value, now - worker.started_at, pss_bytes(worker.pid), worker.slot, worker.version,
            master.crew.deaths(worker.slot), worker.active,
        )
        for worker in master.crew.workers()
    ]  # fmt: skip
    return found


def _arena(shared: SharedMemory | None) -> list[ArenaReport]:
    if shared is None:
        return []
    return [ArenaReport(use.block_size, use.total, use.free, use.touched) for use in shared.arena_usage()]
