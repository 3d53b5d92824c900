"""The master: what it does when something happens, from start to exit.

```
INITING --Loaded--> STARTING --all committed--> RUNNING --SIGTERM--> GRACEFUL_STOPPING --workers gone--> exit 0
   |                   |                          |----SIGINT, SIGQUIT--> STOPPING ----------> exit 0
   |                   |                          '----SIGUSR2 -> UPGRADING (another master serves) ---workers gone--> exit 0
   '--Rejected---------'--refused--> STOPPING --children gone--> exit 1
```
One piece: that what a signal, a frame or a death sets going can be read from top to bottom, beside the rooms that it reaches.
Source: MOSN's pkg/server/keeper and pkg/stagemanager for signals and stages; gunicorn's arbiter for the loop.
"""

import logging
import os
import signal
from functools import partial

from mosn_mp.ipc.channel import Delivery
from mosn_mp.ipc.frames import (
    AdminUp,
    Committed,
    Filed,
    Given,
    Loaded,
    Measure,
    Missed,
    Propose,
    Ready,
    ReceiveFrom,
    Refused,
    Rejected,
    Retire,
    SetLogEnabled,
    SetLogLevel,
    TakeOver,
    Unchanged,
)
from mosn_mp.ipc.report import ReloadReport
from mosn_mp.master.border.grant import Grant
from mosn_mp.master.border.received import check_controller_frame, check_worker_frame, edit_in, problems_in, shown
from mosn_mp.master.control.changes import Changes
from mosn_mp.master.control.commands import Commands
from mosn_mp.master.control.instance import Instance
from mosn_mp.master.control.status import Status
from mosn_mp.master.events.loop import Loop
from mosn_mp.master.listeners.socket_activation import Claims, Passed
from mosn_mp.master.listeners.sockets import ListeningSockets
from mosn_mp.master.processes.controller import ControllerProcess
from mosn_mp.master.processes.drain import Draining
from mosn_mp.master.processes.fd_limit import raise_fd_limit
from mosn_mp.master.processes.figures import FigureReader
from mosn_mp.master.processes.launch import Launched
from mosn_mp.master.processes.rebalance import Rebalancer
from mosn_mp.master.processes.replacement import Replacement
from mosn_mp.master.processes.socket_lending import Lending
from mosn_mp.master.processes.transfer import Send, Transfers
from mosn_mp.master.processes.upkeep import Upkeep
from mosn_mp.master.processes.watchdog import Watchdog
from mosn_mp.master.processes.workers import Worker, Workers, WorkerState
from mosn_mp.master.rollout.deployment import Deployments
from mosn_mp.master.rollout.reload import Reloader
from mosn_mp.master.rollout.rollout import Rollout
from mosn_mp.master.rollout.two_phase_commit import PREPARE_TIMEOUT_S
from mosn_mp.master.shutdown import RETIRE_S, Shutdown
from mosn_mp.master.startup import Startup
from mosn_mp.master.state.logs import Logs
from mosn_mp.master.state.served import ServedState
from mosn_mp.master.state.stages import Stage, Stages
from mosn_mp.master.systemd.service_manager import ServiceManager
from mosn_mp.master.upgrade.deferral import Deferral
from mosn_mp.master.upgrade.handover import Inherited
from mosn_mp.master.upgrade.new_side import NewSide
from mosn_mp.master.upgrade.old_side import OldSide
from mosn_mp.worker.boot import PlaneFactory

log = logging.getLogger("mosn_mp.master")

SIGNALS = (
    signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD,
)  # fmt: skip
HEART_STOPPED_S = PREPARE_TIMEOUT_S  # a worker whose last beat is longer ago does not work; a version may cost a few beats


class Master:
    """One run of the program. `run()` returns its exit status."""

    def __init__(
        self, config_path: str, grant: Grant, log_level: str, launched: Launched, passed: Passed, inherited: Inherited | None
    ) -> None:
        """*log_level* "" = the config's. *launched* is the first controller, which reads the config already.

        *passed* is what the service manager gave this process, *inherited* (of an upgrade) what the master before us did.
        """
        self._logs = Logs(grant.identity)
        self._deferral = Deferral()
        self._loop = Loop(log)
        self._loop.on_failure = self._on_failure
        self._stages = Stages()
        claims = Claims(passed.sockets, passed.kept_by_units)
        self._served = ServedState(config_path, grant, ListeningSockets(claims))
        self._manager = ServiceManager(self._loop, passed, lambda: self._workers.is_any_responding(HEART_STOPPED_S))
        self._make_processes(launched, log_level)
        self._make_changes(inherited)
        self._shutdown = Shutdown(
            self._loop, self._served, self._stages, self._workers, self._controller, self._reloader, self._old_side,
            self._new_side, self._manager,
        )  # fmt: skip
        self._startup = Startup(
            self._loop, self._served, self._stages, self._logs, claims, self._manager, self._instance, self._rollout,
            self._new_side, self._shutdown, self._enter_service,
        )  # fmt: skip

    def _make_processes(self, launched: Launched, log_level: str) -> None:
        loop, served, stages, logs = self._loop, self._served, self._stages, self._logs
        self._workers = Workers(loop, served, logs, self._on_worker_frame, self._on_worker_death)
        self._controller = ControllerProcess(
            loop, served, stages, logs, log_level, self._on_controller_frame, self._on_controller_death
        )
        self._controller.attach(launched)
        self._figures = FigureReader(self._workers, self._controller)
        self._transfers = Transfers(self._workers)
        self._lending = Lending(loop, self._workers, served)
        self._draining = Draining(loop, self._workers, served, self._transfers)
        self._rebalancer = Rebalancer(loop, self._workers, served, self._transfers)
        self._deployments = Deployments(loop, self._workers, served, self._lending)
        self._replacement = Replacement(
            loop, self._workers, served, stages, self._lending, self._draining, logs, self._deployments.bring_up,
            self._is_undecided,
        )  # fmt: skip
        self._upkeep = Upkeep(loop, served, stages, self._workers, self._is_numbering_in_use)
        self._watchdog = Watchdog(loop, self._workers, lambda _: self._lending.settle(), self._replacement.supersede)

    def _make_changes(self, inherited: Inherited | None) -> None:
        loop, served, workers, controller = self._loop, self._served, self._workers, self._controller
        self._rollout = Rollout(
            loop, served, workers, controller, self._logs, self._deployments, self._draining, self._lending, self._watchdog,
            self._rebalancer,
        )  # fmt: skip
        self._reloader = Reloader(
            loop, served, controller, self._deployments, self._rollout, self._manager.reloading, self._tell_manager
        )
        self._new_side = None
        if inherited is not None:
            self._new_side = NewSide(
                loop, served, workers, controller, inherited, self._take_over, self._on_old_gone,
                lambda frame: self._changes.take_switch(frame),
                lambda delivery, send: self._changes.take_forwarded(delivery, send, self._instance.adopt),
            )  # fmt: skip
        self._instance = Instance(loop, lambda question: self._commands.answer(question))
        self._old_side = OldSide(
            loop, served, workers, controller, self._manager, self._instance.fds, self._logs, self._deferral,
            lambda: self._draining_master() != 0, self._is_changing, self._hand_over,
        )  # fmt: skip
        status = Status(served, self._stages, workers, controller, self._draining_master)
        self._commands = Commands(
            served, self._stages, status, self._reloader, self._rebalancer, self._old_side, self._deferral
        )
        self._changes = Changes(served, self._logs, workers, controller, self._reloader, self._old_side, self._deferral)

    def run(self, make_plane: PlaneFactory) -> int:
        """Start, supervise until told to stop, and clean up; 0, or 1 if the start failed."""
        self._workers.make_plane = make_plane
        self._loop.catch_signals(SIGNALS, self._on_signal)
        raise_fd_limit()
        self._startup.begin()
        self._loop.call_later(0, self._reap)  # who died before the signals were caught
        self._upkeep.begin()
        try:
            self._loop.run()
        finally:
            self._clean_up()
        return self._shutdown.exit_status

    def _on_failure(self) -> None:
        """A bug of ours: a start cannot be trusted after it, a running program goes on."""
        if self._served.accepted is None and not self._stages.is_stopping():
            self._startup.fail(["internal error: the traceback is in the log"])

    def _enter_service(self) -> None:
        self._stages.enter(Stage.RUNNING)
        self._controller.tell_served()
        self._controller.tell_logs()
        self._tell_manager()
        self._deferral.release()

    def _tell_manager(self, report: ReloadReport | None = None) -> None:
        """The service manager hears what is served now, and why it is still the old version if *report* tells of a refusal."""
        version, workers = self._served.snapshot().version, self._served.plan.workers
        status = f"Serving version {version} of {self._served.config_path} with {workers} workers."
        if report is not None and report.problems:
            status += f" The last reload was refused: {report.problems[0]}"
        self._manager.serving(status, self._served.sockets.to_store())

    def _clean_up(self) -> None:
        self._served.sockets.close()
        self._served.sockets.shut_all()
        self._instance.release()
        log.info("stopped")
        self._manager.close()
        self._loop.close()

    # --- controller ----------------------------------------------------------------------------------------------------

    def _on_controller_frame(self, delivery: Delivery) -> None:
        check_controller_frame(delivery)
        frame = delivery.frame
        if isinstance(frame, Loaded | Unchanged | Rejected) and frame.number:
            self._reloader.take(delivery)
        elif isinstance(frame, Loaded):
            self._startup.take(delivery)
        elif isinstance(frame, Rejected):
            self._startup.fail(problems_in(delivery.fds[0]))
        elif isinstance(frame, Propose):
            self._changes.propose(frame, edit_in(delivery.fds[0]), self._controller.send)
        elif isinstance(frame, Filed):
            self._controller.filed = frame
        elif isinstance(frame, Measure):
            self._figures.answer()
        elif isinstance(frame, AdminUp):
            self._controller.admin_address = shown(frame.address)
            if frame.problem:
                log.error("admin: %s", shown(frame.problem))
        elif isinstance(frame, SetLogLevel | SetLogEnabled) and self._served.accepted is not None:
            self._changes.switch_log(frame)

    def _on_controller_death(self, how: str) -> None:
        if self._stages.is_stopping():
            self._shutdown.leave_if_alone()
        elif self._served.accepted is None:
            self._startup.fail([f"the controller ended while it loaded {self._served.config_path}: {how}"])
        else:
            self._reloader.on_controller_down(how)
            self._controller.restart(how, self._reloader.on_controller_up)

    # --- workers -------------------------------------------------------------------------------------------------------

    def _on_worker_frame(self, worker: Worker, delivery: Delivery) -> None:
        check_worker_frame(delivery)
        frame = delivery.frame
        if isinstance(frame, Ready | Refused | Committed):
            self._deployments.take(worker, frame)
        elif isinstance(frame, Given):
            self._transfers.take(worker, frame)
        elif isinstance(frame, Missed):
            self._lending.missed(worker, frame.names)

    def _on_worker_death(self, worker: Worker, how: str) -> None:
        blocks = self._served.shared().release_buffers(worker.row)
        if self._stages.now is not Stage.UPGRADING:
            # After an upgrade its row is the new master's to take back: it may have given it to a worker of its own.
            self._served.shared().release_row(worker.row)
        self._transfers.lost(worker)
        if self._stages.is_stopping():
            self._shutdown.leave_if_alone()
            return
        if worker.state is WorkerState.DRAINING:
            log.info("%s left: %s", worker, how)
            return
        log.error("%s ended: %s; %d arena blocks taken back", worker, how, blocks)
        self._deployments.lost(worker, how)
        self._lending.settle()
        if not self._stages.is_stopping():
            delay_s = self._workers.delay_s(worker, how)
            if delay_s:
                log.warning("slot %d: a new worker in %g s", worker.slot, delay_s)
            self._replacement.refill(worker.slot, delay_s)

    def _is_numbering_in_use(self) -> bool:
        return self._rollout.is_under_way() or self._draining_master() != 0

    def _is_undecided(self) -> bool:
        """Whether workers are between two versions, or a new generation is starting: what a new one serves is not clear yet."""
        return self._rollout.is_under_way() or self._old_side.is_under_way()

    # --- signals -------------------------------------------------------------------------------------------------------

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        elif number == signal.SIGTERM:
            self._shutdown.stop_gracefully()
        elif number in (signal.SIGINT, signal.SIGQUIT):
            log.info("%s: stopping now", signal.Signals(number).name)
            self._shutdown.quit()
        elif number == signal.SIGUSR1:
            self._changes.reopen_logs()
        elif number == signal.SIGHUP and self._stages.now not in (Stage.GRACEFUL_STOPPING, Stage.STOPPING):
            self._changes.reload()
        elif number == signal.SIGUSR2 and self._stages.now is Stage.RUNNING:
            self._old_side.ask("", lambda _: None)
        else:
            log.warning("%s while %s: nothing was changed", signal.Signals(number).name, self._stages.text())

    def _reap(self) -> None:
        """Take notice of all dead children; as pid 1 of a container also those that are not ours."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if not self._workers.reaped(pid, status) and not self._old_side.reaped(pid, status):
                self._controller.reaped(pid, status)

    # --- upgrade -------------------------------------------------------------------------------------------------------

    def _is_changing(self) -> bool:
        """Whether a change is under way."""
        return not self._reloader.is_idle() or self._deployments.is_under_way()

    def _draining_master(self) -> int:
        """The pid of the master before us while it lives, else 0."""
        return self._new_side.draining_pid if self._new_side is not None else 0

    def _hand_over(self, pid: int) -> None:
        """Master *pid* serves: give it what makes us the program, then the connections, drain the rest and leave."""
        deadline_s = self._served.plan.graceful_timeout_s
        log.info("upgrade: pid %d serves; connections move, up to %g s for what is in flight", pid, deadline_s)
        self._stages.enter(Stage.UPGRADING)
        self._reloader.close()
        self._controller.send(Retire(RETIRE_S))  # its admin address is wanted by the other one
        self._instance.leave()
        self._manager.leave(pid)
        self._old_side.send(TakeOver())
        self._deferral.pass_on(self._old_side.send)
        for worker in self._workers.alive():
            worker.state = WorkerState.DRAINING
            self._draining.transfer_all(worker, partial(self._send_to_new_side, worker.slot))
        self._served.sockets.close()
        self._shutdown.leave_if_alone()

    def _send_to_new_side(self, slot: int) -> Send:
        return lambda _, fds: self._old_side.send(ReceiveFrom(slot), fds)

    def _take_over(self) -> None:
        """There is no other master any more, or it gave way: be the program."""
        assert self._new_side is not None
        if not self._instance.is_claimed() and not self._stages.is_stopping():
            self._instance.take_over(self._served.plan.pid_path, *self._new_side.instance_fds())
            self._enter_service()
            self._new_side.took_over()
            if self._new_side.is_abandoned:  # it may have been told to reload
                self._changes.reload()

    def _on_old_gone(self) -> None:
        if self._stages.is_stopping():
            self._shutdown.leave_if_alone()
