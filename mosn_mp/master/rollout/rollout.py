"""A version comes into service: what it needs is opened, its workers prepare and commit it, and what it does not need goes.

```
begin() --all ready--> accepted: listen, serve --all committed--> on_end([])
   '------cannot be opened, one refused--> undone, on_end(problems)
```
"""

import logging
import os
from collections.abc import Callable
from typing import NamedTuple

from mosn_mp.errors import ConfigError
from mosn_mp.ipc.channel import close_fds
from mosn_mp.ipc.frames import SocketName
from mosn_mp.ipc.memfd import seal_bytes
from mosn_mp.ipc.plan import Plan
from mosn_mp.master.events.loop import Loop
from mosn_mp.master.listeners.shutting import shut_when_served
from mosn_mp.master.listeners.sockets import SETTLE_S, BindError
from mosn_mp.master.processes.controller import ControllerProcess
from mosn_mp.master.processes.drain import Draining
from mosn_mp.master.processes.rebalance import Rebalancer
from mosn_mp.master.processes.socket_lending import Lending
from mosn_mp.master.processes.watchdog import Watchdog
from mosn_mp.master.processes.workers import Worker, Workers, WorkerState
from mosn_mp.master.rollout.deployment import Deployment, Deployments
from mosn_mp.master.state.logs import Logs
from mosn_mp.master.state.served import ServedState, Snapshot

log = logging.getLogger("mosn_mp.master")

POLL_S = 0.02


class Opened(NamedTuple):
    """What was opened for a version, to be closed again if it is refused."""

    sockets: list[SocketName]
    workers: list[Worker]


class Rollout:
    """One version at a time."""

    def __init__(
        self,
        loop: Loop,
        served: ServedState,
        workers: Workers,
        controller: ControllerProcess,
        logs: Logs,
        deployments: Deployments,
        draining: Draining,
        lending: Lending,
        watchdog: Watchdog,
        rebalancer: Rebalancer,
    ) -> None:
        self._loop = loop
        self._served = served
        self._workers = workers
        self._controller = controller
        self._logs = logs
        self._deployments = deployments
        self._draining = draining
        self._lending = lending
        self._watchdog = watchdog
        self._rebalancer = rebalancer
        self._deployment: Deployment | None = None

    def is_under_way(self) -> bool:
        """Whether workers are between two versions: none may be replaced meanwhile."""
        return self._deployment is not None

    def begin_first(
        self, snapshot: Snapshot, on_serving: Callable[[], None], on_refused: Callable[[str], None], on_end: Callable[[], None]
    ) -> None:
        """Start the workers, and let them serve *snapshot*; OSError if one cannot be started."""

        def commit() -> None:
            try:
                self._serve_first(snapshot)
            except BindError as e:
                on_refused(str(e))
            else:
                on_serving()

        workers = [self._workers.spawn(slot) for slot in range(snapshot.plan.workers)]
        self._deployments.begin(snapshot, workers, commit, on_refused, on_end)

    def begin(self, snapshot_fd: int, plan: Plan, loaded_by: int, on_end: Callable[[list[str]], None]) -> None:
        """Let all workers serve the next version, or none; *on_end* hears what was wrong with it.

        *loaded_by* is the pid of the controller whose snapshot it is.
        """
        served = self._served
        served.last_version += 1
        opened = Opened([], [])
        try:
            tables_fd, serving = self._open(plan, opened)
        except (BindError, ConfigError, ValueError, OSError) as e:
            os.close(snapshot_fd)
            self._undo(opened)
            on_end([str(e.strerror or e) if isinstance(e, OSError) else str(e)])
            return
        snapshot = Snapshot(served.last_version, snapshot_fd, tables_fd, plan)

        def abort(reason: str) -> None:
            close_fds([snapshot.snapshot_fd, snapshot.tables_fd])
            self._undo(opened)
            conclude([reason])

        def conclude(problems: list[str]) -> None:
            self.close()
            on_end(problems)

        self._watchdog.is_patient = True
        self._deployment = self._deployments.begin(
            snapshot,
            [*serving, *opened.workers],
            lambda: self._accept(snapshot, loaded_by),
            abort,
            lambda: conclude([]),
        )

    def close(self) -> None:
        """Nobody waits for the end of what is under way."""
        if self._deployment is not None:
            self._deployment.close()
            self._deployment = None
        self._watchdog.is_patient = False

    def _open(self, plan: Plan, opened: Opened) -> tuple[int, list[Worker]]:
        """Open what *plan* needs, into *opened*; returns its tables and the workers that serve already."""
        served, shared = self._served, self._served.shared()
        if plan.workers > shared.most_workers:
            raise ValueError(f"{plan.workers} workers: at most {shared.most_workers} without a restart")
        if plan.log_path != served.plan.log_path:
            self._logs.try_default(plan)
        self._logs.provide(plan)
        opened.sockets.extend(served.sockets.open(plan.listeners, plan.workers, wait_s=0))
        tables = shared.place(plan)
        serving = self._workers.of_slots(plan.workers)
        # Slots that are down just now have a replacement on its way, unless all are.
        slots = range(served.plan.workers if serving else 0, plan.workers)
        for slot in set(slots) - {worker.slot for worker in serving}:
            opened.workers.append(self._workers.spawn(slot))
        return seal_bytes("mosn_mp-tables", tables), serving

    def _undo(self, opened: Opened) -> None:
        """Close what was opened for a version that is not served."""
        for worker in opened.workers:
            self._workers.dismiss(worker)
        for worker in self._workers.alive():
            self._workers.withdraw(worker, opened.sockets)
        self._served.sockets.discard(opened.sockets)

    # --- it is decided -------------------------------------------------------------------------------------------------

    def _serve_first(self, snapshot: Snapshot) -> None:
        plan, sockets = snapshot.plan, self._served.sockets
        sockets.listen(plan.listeners, plan.workers)
        self._served.accept(snapshot)
        self._watch(plan)
        self._watchdog.start(self._served.shared().metrics)
        self._retire_sockets(plan)
        log.info("serving version %d on %s", snapshot.version, ", ".join(f"{p.host}:{p.port}" for p in plan.listeners))

    def _accept(self, snapshot: Snapshot, loaded_by: int) -> None:
        """Serve *snapshot*, and let go what it does not need. Its workers are told to commit after this."""
        plan = snapshot.plan
        if self._controller.pid != loaded_by:  # it came back meanwhile, with the version before this one
            self._controller.adopt(snapshot.version, snapshot.snapshot_fd, plan)
        before = self._served.accept(snapshot)
        self._watch(plan)
        try:
            self._served.sockets.listen(plan.listeners, plan.workers)
        except BindError as e:
            log.error("%s", e)
        if before is not None and (plan.log_path, plan.log_level) != (before.plan.log_path, before.plan.log_level):
            self._move_log(plan)
        self._retire_sockets(plan)
        workers = self._workers.alive()
        self._draining.begin([w for w in workers if w.slot >= plan.workers and w.state is not WorkerState.DRAINING])
        self._controller.tell_served()

    def _watch(self, plan: Plan) -> None:
        self._watchdog.stall_s, self._watchdog.memory_limit = plan.stall_timeout_s, plan.memory_limit
        self._rebalancer.interval_s = plan.rebalance_interval_s
        self._rebalancer.watch()

    def _move_log(self, plan: Plan) -> None:
        frame = self._logs.move(plan)
        if frame is not None:
            self._workers.broadcast(frame)
            self._controller.send(frame)

    def _retire_sockets(self, plan: Plan) -> None:
        if self._served.sockets.retire(plan.listeners, plan.workers):
            self._loop.call_later(SETTLE_S + 0.1, self._close_leaving)

    def _close_leaving(self) -> None:
        """Nothing new has come to the leaving sockets for a while: let their servers take the rest."""
        if self.is_under_way():  # which may want them again
            self._loop.call_later(POLL_S, self._close_leaving)
            return
        closed = self._served.sockets.close_leaving(SETTLE_S)
        for worker in self._workers.alive():
            self._workers.withdraw(worker, closed)
        self._lending.settle()
        shut_when_served(self._loop, self._served.sockets, self._served.plan.graceful_timeout_s)
