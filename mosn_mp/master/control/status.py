"""The answer to `mosn_mp status`: one look at everything the master supervises."""

import os
import time
from collections.abc import Callable

from mosn_mp.ipc.landlock import unconfined
from mosn_mp.ipc.plan import ListenerPlan
from mosn_mp.ipc.report import ArenaReport, DescriptorReport, ListenerReport, ProcessReport, StatusReport
from mosn_mp.ipc.seccomp import why_not
from mosn_mp.master.processes.controller import ControllerProcess
from mosn_mp.master.processes.workers import Worker, Workers
from mosn_mp.master.state.counts import NOTHING, Counts, budget_of, count_listeners, count_row
from mosn_mp.master.state.hosts import disabled_hosts
from mosn_mp.master.state.served import ServedState
from mosn_mp.master.state.shared_memory import SharedMemory
from mosn_mp.master.state.stages import Stages
from mosn_mp.observe.proc import read_process
from mosn_mp.version import VERSION


class Status:
    """Looks at what is served, and at every process."""

    def __init__(
        self,
        served: ServedState,
        stages: Stages,
        workers: Workers,
        controller: ControllerProcess,
        draining_master: Callable[[], int],
    ) -> None:
        """*draining_master* says the pid of the master before this one while it lives, else 0."""
        self._served = served
        self._stages = stages
        self._workers = workers
        self._controller = controller
        self._draining_master = draining_master
        self._pid = os.getpid()
        self._started_at = time.monotonic()
        seccomp = why_not()
        self._unconfined = [*([f"system calls: {seccomp}"] if seccomp else []), *unconfined()]

    def report(self) -> StatusReport:
        """The state of the program now."""
        served, memory = self._served, self._served.memory
        counts = count_listeners(memory)
        processes = self._processes()
        plan = served.plan if served.accepted is not None else None
        return StatusReport(
            program=f"mosn_mp {VERSION}",
            server_name=plan.server_name if plan else "",
            state=self._stages.now.name.lower(),
            config_path=served.config_path,
            config_version=served.accepted.version if served.accepted is not None else 0,
            admin_address=self._controller.admin_address,
            processes=processes,
            listeners=[_listener(p, counts.get(p.name, NOTHING)) for p in plan.listeners] if plan else [],
            arena=_arena(memory),
            pss_bytes=sum(process.pss_bytes for process in processes),
            draining_master=self._draining_master(),
            disabled_hosts=list(map("/".join, disabled_hosts(memory, plan))) if plan is not None and memory is not None else [],
            filed_version=self._controller.filed.version,
            unconfined=self._unconfined,
            file_problem=self._controller.filed.problem,
            weights=plan.weights if plan is not None else {},
        )

    def _processes(self) -> list[ProcessReport]:
        now = time.monotonic()
        state = self._stages.now.name.lower()
        found = [_other("master", self._pid, state, now - self._started_at)]
        controller = self._controller
        if controller.pid:
            found.append(_other("controller", controller.pid, "running", now - controller.started_at, controller.deaths()))
        alive = self._workers.alive()
        found += [self._worker(worker, now) for worker in alive]
        slots = range(self._served.plan.workers) if self._served.accepted is not None else ()
        empty = sorted(set(slots) - {worker.slot for worker in alive})
        return found + [self._empty_slot(slot) for slot in empty]

    def _worker(self, worker: Worker, now: float) -> ProcessReport:
        counts = count_row(self._served.memory, worker.row)
        return ProcessReport(
            role="worker",
            pid=worker.pid,
            state=worker.state.value,
            uptime_s=now - worker.started_at,
            pss_bytes=_pss_bytes(worker.pid),
            slot=worker.slot,
            version=worker.version,
            deaths=self._workers.deaths(worker.slot),
            last_end=self._workers.last_end(worker.slot),
            active=worker.active,
            connections=counts.open,
            requests=counts.requests,
            descriptors=budget_of(self._served.memory, worker.row),
        )

    def _empty_slot(self, slot: int) -> ProcessReport:
        deaths, last_end = self._workers.deaths(slot), self._workers.last_end(slot)
        return ProcessReport("worker", 0, "down", 0.0, 0, slot, deaths=deaths, last_end=last_end)


def _other(role: str, pid: int, state: str, uptime_s: float, deaths: int = 0) -> ProcessReport:
    """A process that is no worker."""
    reading = read_process(pid)
    if reading is None:
        return ProcessReport(role, pid, state, uptime_s, 0, deaths=deaths)
    descriptors = DescriptorReport(limit=reading.max_fds, used=reading.open_fds)
    return ProcessReport(role, pid, state, uptime_s, reading.pss_bytes, deaths=deaths, descriptors=descriptors)


def _listener(plan: ListenerPlan, counts: Counts) -> ListenerReport:
    return ListenerReport(plan.name, f"{plan.host}:{plan.port}", counts.open, counts.opened, counts.requests)


def _pss_bytes(pid: int) -> int:
    reading = read_process(pid)
    return reading.pss_bytes if reading is not None else 0


def _arena(shared: SharedMemory | None) -> list[ArenaReport]:
    if shared is None:
        return []
    return [ArenaReport(use.block_size, use.total, use.free, use.touched) for use in shared.arena_usage()]
