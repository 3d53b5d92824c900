"""The master: what it does when something happens, from start to exit.

```
LOADING --Loaded--> ROLLOUT --all committed--> RUNNING --SIGTERM--> DRAINING --workers gone--> exit 0
   |                   |                          |----SIGINT, SIGQUIT--> STOPPING ---------> exit 0
   |                   |                          '----SIGUSR2 -> UPGRADING (another master serves) ---workers gone--> exit 0
   '--Rejected---------'--refused--> FAILED --children gone--> exit 1
```
Source: MOSN's pkg/server/keeper and pkg/stagemanager for signals and stages; gunicorn's arbiter for the loop.
"""

import enum
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from functools import partial

from mosn_mp.errors import ConfigError
from mosn_mp.ipc.channel import Channel, Delivery, close_fds
from mosn_mp.ipc.frames import (
    AdminUp,
    Committed,
    Drain,
    Filed,
    Given,
    Loaded,
    OpenLog,
    Propose,
    Quit,
    Ready,
    ReceiveFrom,
    Refused,
    Rejected,
    ReopenLogs,
    Served,
    SetLogEnabled,
    SetLogLevel,
    State,
    TakeOver,
    Unchanged,
)
from mosn_mp.ipc.memfd import read_sealed, seal_bytes
from mosn_mp.ipc.plan import Plan, decode_plan
from mosn_mp.ipc.report import ReloadReport
from mosn_mp.master.control.commands import Commands
from mosn_mp.master.control.pid_file import AlreadyRunningError, PidFile
from mosn_mp.master.control.server import ControlSocket, control_path
from mosn_mp.master.control.status import MasterView
from mosn_mp.master.events.loop import Loop
from mosn_mp.master.listeners.socket_activation import Claims, Passed
from mosn_mp.master.listeners.sockets import BindError, ListeningSockets
from mosn_mp.master.log_access import provide_logs
from mosn_mp.master.processes.controller import ControllerProcess
from mosn_mp.master.processes.launch import Launched, launch_controller
from mosn_mp.master.processes.rebalance import Rebalancer
from mosn_mp.master.processes.replacement import DRAIN_GRACE_S, Replacement
from mosn_mp.master.processes.socket_lending import Lending
from mosn_mp.master.processes.transfer import Send, Transfers
from mosn_mp.master.processes.watchdog import Watchdog
from mosn_mp.master.processes.workers import Worker, Workers, WorkerState
from mosn_mp.master.rollout.deployment import Deployment, Snapshot
from mosn_mp.master.rollout.proposals import log_change, take_proposal
from mosn_mp.master.rollout.reload import ChangeRequest, Reloader
from mosn_mp.master.rollout.two_phase_commit import PREPARE_TIMEOUT_S
from mosn_mp.master.state.shared_memory import SharedMemory
from mosn_mp.master.systemd.service_manager import ServiceManager
from mosn_mp.master.upgrade.handover import Inherited
from mosn_mp.master.upgrade.new_side import NewSide
from mosn_mp.master.upgrade.old_side import HandedOver, OldSide
from mosn_mp.observe.log_files import STREAMS, LogFiles
from mosn_mp.worker.boot import PlaneFactory, WorkerOrder

log = logging.getLogger("mosn_mp.master")

SIGNALS = (
    signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD,
)  # fmt: skip
LOAD_TIMEOUT_S = 60.0  # reading and checking a config takes milliseconds; a plug-in's import may take seconds
QUIT_TIMEOUT_S = 2.0  # children that were told to quit are killed after this
HURRIED_S = 2.0  # for what is in flight, from the second SIGTERM on
TRIM_EVERY_S = 5.0
SETTLE_S = 1.5  # handshakes that began before a socket was told to begin no more have ended by then; a lost segment takes 1 s
ROLLOUT_POLL_S = 0.02
HEART_STOPPED_S = PREPARE_TIMEOUT_S  # a worker whose last beat is longer ago does not work
RETRY_S = 1.0  # after the system had no room for a new process
# More than any proxy needs, and what a kernel without a limit of its own (2^30 in containers) is cut to.
MAX_FDS = 1 << 20


class Stage(enum.IntEnum):
    """MOSN's stage numbers (pkg/stagemanager) for /api/v1/states and `status`."""

    INITING = 2
    STARTING = 4
    RUNNING = 6
    GRACEFUL_STOPPING = 8
    STOPPING = 9
    UPGRADING = 13


class Master:
    """One run of the program. `run()` returns its exit status."""

    plan: Plan  # of the version being started or served

    def __init__(self, config_path: str, log_level: str, launched: Launched, passed: Passed, inherited: Inherited | None) -> None:
        """*log_level* "" = the config's. *launched* is the first controller, which reads the config already.

        *passed* is what the service manager gave this process, *inherited* (of an upgrade) what the master before us did.
        """
        self.config_path = config_path
        self.pid = os.getpid()
        self.stage = Stage.INITING
        self.started_at = time.monotonic()
        self.admin_address = ""
        self._logs = LogFiles("master")
        self._logs.open("stderr", "WARN")
        self._log_path = "stderr"
        self.loop = Loop(log)
        self.loop.on_failure = self._on_failure
        self.manager = ServiceManager(self.loop, passed, self._is_serving)
        self.workers = Workers(self.loop, self._make_order, self._on_worker_frame, self._on_worker_death)
        self.controller = ControllerProcess(self.loop, self._on_controller_frame, self._on_controller_death)
        self.controller.attach(launched)
        self._claims = Claims(passed.sockets, passed.kept_by_units)
        self.sockets = ListeningSockets(self._claims)
        self.shared: SharedMemory | None = None
        self.accepted: Snapshot | None = None
        self._log_level = log_level
        self._disabled_logs: set[str] = set()
        self._make_plane: PlaneFactory | None = None
        self._pid_file: PidFile | None = None
        self._control: ControlSocket | None = None
        self._deployments: list[Deployment] = []
        self.lending = Lending(self.workers, self.sockets)
        self.transfers = Transfers(self.workers)
        self.replacement = Replacement(self)
        self.rebalancer = Rebalancer(self.loop, self.workers, self.transfers, self.connections_of)
        self.reloader = Reloader(self)
        self.old_side = OldSide(self)
        self.commands = Commands(self)
        self.inherited = inherited
        self.new_side = NewSide(self, inherited) if inherited is not None else None
        self.watchdog = Watchdog(self.loop, self.workers, lambda _: self.lending.settle(), self.replacement.supersede)
        self.reloader.on_begin = self.manager.reloading
        self.reloader.on_end = self._tell_manager
        self._status = 0
        self._is_hurried = False

    # --- start ---------------------------------------------------------------------------------------------------------

    def run(self, make_plane: PlaneFactory) -> int:
        """Start, supervise until told to stop, and clean up; 0, or 1 if the start failed."""
        self._make_plane = make_plane
        self.loop.catch_signals(SIGNALS, self._on_signal)
        raise_fd_limit()
        load_timer = self.loop.call_later(LOAD_TIMEOUT_S, self._on_load_timeout)
        self.loop.call_later(0, self._reap)  # who died before the signals were caught
        try:
            self.loop.run()
        finally:
            load_timer.cancel()
            self._clean_up()
        return self._status

    def _on_load_timeout(self) -> None:
        if self.stage is Stage.INITING:
            self._fail_start([f"{self.config_path}: not loaded within {LOAD_TIMEOUT_S:g} s"])

    def _on_failure(self) -> None:
        """A bug of ours: a start cannot be trusted after it, a running program goes on."""
        if self.accepted is None and not self.is_stopping():
            self._fail_start(["internal error: the traceback is in the log"])

    def _on_loaded(self, delivery: Delivery) -> None:
        """The controller's config is valid: take what it needs from the system, then roll it out."""
        snapshot_fd, plan_fd = delivery.fds
        plan = decode_plan(read_sealed(plan_fd))
        os.close(plan_fd)
        if self.stage is not Stage.INITING:
            os.close(snapshot_fd)
            return
        version = 1
        try:
            if self.new_side is None:
                self._pid_file = PidFile(plan.pid_path)
                self._control = ControlSocket(self.loop, control_path(plan.pid_path), self.commands.answer)
            else:
                version = self.new_side.next_version()
                snapshot_fd, plan = self.new_side.decide(snapshot_fd, plan)
            self._open_log(plan)
            self.sockets.open(plan.listeners, plan.workers)
            self.shared = SharedMemory(plan, self.new_side.memory() if self.new_side is not None else None)
            self.workers.rows = self.shared.rows
            if self.new_side is not None:
                self.new_side.watch_rows(self.shared)
            tables_fd = seal_bytes("mosn_mp-tables", self.shared.place(plan))
        except (AlreadyRunningError, BindError, ConfigError) as e:
            self._fail_start([str(e)])
        except OSError as e:
            self._fail_start([f"{e.filename or self.config_path}: {e.strerror or e}"])
        else:
            self._report_passed()
            self.reloader.versions = version
            self._begin_start(Snapshot(version, snapshot_fd, tables_fd, plan))

    def _report_passed(self) -> None:
        """What the service manager passed and nobody serves is closed, and not in silence."""
        for name, problem in self.manager.unusable:
            log.error("the service manager passed %r, which cannot be served: %s", name, problem)
        for passed in self._claims.take_unclaimed():
            log.warning("the service manager passed %r on %s port %d: no listener has that address", *passed[:3])
            passed.sock.close()

    def _open_log(self, plan: Plan) -> None:
        """Log where the config says from now on; until here it was stderr."""
        logs = LogFiles("master", plan.identity)
        logs.open(plan.log_path, plan.log_level)
        self._logs.close()
        self._logs, self._log_path = logs, plan.log_path

    def _begin_start(self, snapshot: Snapshot) -> None:
        self.stage = Stage.STARTING
        self.plan = snapshot.plan
        log.info("start: version %d of %s to %d workers", snapshot.version, self.config_path, snapshot.plan.workers)
        workers = [self.workers.spawn(slot) for slot in range(snapshot.plan.workers)]
        self.deploy(
            snapshot,
            workers,
            lambda: self._on_first_commit(snapshot),
            lambda reason: self._fail_start([reason]),
            self._on_all_serve,
        )
        self.loop.call_later(TRIM_EVERY_S, self._trim)

    def _on_first_commit(self, snapshot: Snapshot) -> None:
        try:
            self.sockets.listen(snapshot.plan.listeners, snapshot.plan.workers)
        except BindError as e:
            self._fail_start([str(e)])
            return
        assert self.shared is not None
        self.accepted = snapshot
        self._set_watch(snapshot.plan)
        self.watchdog.start(self.shared.metrics)
        if self.sockets.retire(snapshot.plan.listeners, snapshot.plan.workers):
            self.loop.call_later(SETTLE_S + 0.1, self._close_leaving)
        log.info("serving version %d on %s", snapshot.version, ", ".join(f"{p.host}:{p.port}" for p in snapshot.plan.listeners))
        if self.new_side is None:
            self._enter_service()

    def _on_all_serve(self) -> None:
        """Every worker serves the first version: the master before us may go."""
        if self.new_side is not None and self.accepted is not None and not self.is_stopping():
            self.new_side.ready(self.accepted)

    def take_over(self) -> None:
        """There is no other master any more, or it gave way: be the program."""
        assert self.inherited is not None
        if self._pid_file is None and not self.is_stopping():
            self._pid_file = PidFile.take_over(self.plan.pid_path, self.inherited.pid_file)
            path = control_path(self.plan.pid_path)
            self._control = ControlSocket(self.loop, path, self.commands.answer, self.inherited.control)
            self._enter_service()
            if self.new_side is not None:
                self.new_side.took_over()

    def _enter_service(self) -> None:
        self.stage = Stage.RUNNING
        self._tell_served()
        self._tell_manager()

    def _tell_manager(self, report: ReloadReport | None = None) -> None:
        """The service manager hears what is served now, and why it is still the old version if *report* tells of a refusal."""
        assert self.accepted is not None
        version, plan = self.accepted.version, self.accepted.plan
        status = f"Serving version {version} of {self.config_path} with {plan.workers} workers."
        if report is not None and report.problems:
            status += f" The last reload was refused: {report.problems[0]}"
        self.manager.serving(status, self.sockets.to_store())

    def _is_serving(self) -> bool:
        """Whether the heart of some worker beats; one that prepares a new version may skip a few beats."""
        now = time.monotonic()
        return any(now - worker.pulse_at < HEART_STOPPED_S for worker in self.workers.alive())

    def _fail_start(self, problems: list[str]) -> None:
        """Say why on stderr (and in the log, if that is elsewhere), and leave with exit status 1."""
        if self.is_stopping():
            return
        if self.new_side is not None:
            self.new_side.failed(problems)
        else:
            self.manager.tell(f"Start failed: {problems[0]}")
        for problem in problems:
            sys.stderr.write(f"{problem}\n")
            if self._log_path not in STREAMS:
                log.error("start failed: %s", problem)
        self._status = 1
        self._quit()

    # --- controller ----------------------------------------------------------------------------------------------------

    def _on_controller_frame(self, delivery: Delivery) -> None:
        frame = delivery.frame
        if isinstance(frame, Loaded | Unchanged | Rejected) and frame.number:
            self.reloader.take(delivery)
            return
        if isinstance(frame, Loaded):
            self._on_loaded(delivery)
            return
        if isinstance(frame, Propose):
            take_proposal(self.reloader, self.controller, delivery)
            return
        if isinstance(frame, Rejected):
            problems = read_sealed(delivery.fds[0]).decode()
            close_fds(delivery.fds)
            self._fail_start([problems])
            return
        close_fds(delivery.fds)
        if isinstance(frame, Filed):
            self.controller.filed = frame
        elif isinstance(frame, AdminUp):
            self.admin_address = frame.address
            if frame.problem:
                log.error("admin: %s", frame.problem)
        elif isinstance(frame, SetLogLevel):
            self._logs.set_level(frame.path, frame.level)
            self.workers.broadcast(frame)
        elif isinstance(frame, SetLogEnabled):
            self._logs.set_enabled(frame.path, frame.enabled)
            (self._disabled_logs.discard if frame.enabled else self._disabled_logs.add)(frame.path)
            self.workers.broadcast(frame)

    def _on_controller_death(self, how: str) -> None:
        if self.is_stopping():
            self._leave_if_alone()
        elif self.accepted is None:
            self._fail_start([f"the controller ended while it loaded {self.config_path}: {how}"])
        else:
            self.reloader.on_controller_down(how)
            delay_s = self.controller.delay_s()
            log.error("controller ended (%s): a new one in %g s; workers go on", how, delay_s)
            self.loop.call_later(delay_s, self._restart_controller)

    def _restart_controller(self) -> None:
        if self.is_stopping() or self.accepted is None:
            return
        try:
            self.controller.attach(launch_controller(self.config_path, self._log_level, True, self.plan.identity))
        except OSError as e:
            log.error("cannot start a controller: %s", e)
            self.loop.call_later(RETRY_S, self._restart_controller)
            return
        self.controller.adopt(self.accepted.version, self.accepted.snapshot_fd, self.accepted.plan)
        self._tell_served()
        self.controller.send(SetLogLevel("", self._logs.levels()[self._log_path]))  # which may have been changed meanwhile
        self.reloader.on_controller_up()

    def _tell_served(self) -> None:
        assert self.accepted is not None and self.shared is not None
        self.controller.send(Served(self.accepted.version), (self.accepted.tables_fd, *self.shared.fds()))
        self.controller.send(State(int(self.stage)))

    # --- workers -------------------------------------------------------------------------------------------------------

    def _make_order(self, slot: int, row: int, channel: Channel) -> WorkerOrder:
        assert self.shared is not None and self._make_plane is not None
        level = self._logs.levels()[self._log_path]  # which the admin API may have changed
        provide_logs(self.plan)
        return WorkerOrder(
            slot, row, channel, self._logs, self._log_path, level, self.plan.graceful_timeout_s, self._make_plane, self.shared,
            self.plan.identity,
        )  # fmt: skip

    def deploy(
        self,
        snapshot: Snapshot,
        workers: list[Worker],
        on_commit: Callable[[], None],
        on_abort: Callable[[str], None],
        on_done: Callable[[], None] | None = None,
    ) -> None:
        """Roll *snapshot* out to *workers*."""

        def done() -> None:
            self.lending.settle()
            if on_done is not None:
                on_done()

        self._deployments = [d for d in self._deployments if not d.is_over()]
        deployment = Deployment(self.loop, self.workers, snapshot, workers, on_commit, on_abort, done)
        self._deployments.append(deployment)
        deployment.begin(self.sockets.of_slot)

    def is_replacing(self) -> bool:
        """Whether some worker is being prepared just now."""
        return any(not deployment.is_over() for deployment in self._deployments)

    def accept(self, snapshot: Snapshot) -> None:
        """*snapshot* is decided: serve it, and let go what it does not need. Its workers are told to commit after this."""
        assert self.accepted is not None
        before, self.accepted, self.plan = self.accepted, snapshot, snapshot.plan
        close_fds([before.snapshot_fd, before.tables_fd])
        plan = snapshot.plan
        self.config_path = plan.config_path
        self._set_watch(plan)
        try:
            self.sockets.listen(plan.listeners, plan.workers)
        except BindError as e:
            log.error("%s", e)
        if (plan.log_path, plan.log_level) != (before.plan.log_path, before.plan.log_level):
            self._move_log(plan)
        if self.sockets.retire(plan.listeners, plan.workers):
            self.loop.call_later(SETTLE_S + 0.1, self._close_leaving)
        surplus = [w for w in self.workers.alive() if w.slot >= plan.workers and w.state is not WorkerState.DRAINING]
        self.replacement.let_go(surplus)
        self._tell_served()

    def _set_watch(self, plan: Plan) -> None:
        self.watchdog.stall_s, self.watchdog.memory_limit = plan.stall_timeout_s, plan.memory_limit
        self.rebalancer.interval_s = plan.rebalance_interval_s
        self.rebalancer.watch()

    def connections_of(self, worker: Worker) -> int:
        """How many clients' connections *worker* has."""
        assert self.shared is not None
        return self.shared.connections_of(worker.row)

    def _close_leaving(self) -> None:
        """Nothing new has come to the leaving sockets for a while: let their servers take the rest."""
        if self.reloader.is_rolling_out():  # which may want them again
            self.loop.call_later(ROLLOUT_POLL_S, self._close_leaving)
            return
        closed = self.sockets.close_leaving(SETTLE_S)
        for worker in self.workers.alive():
            self.workers.withdraw(worker, closed)
        self.lending.settle()

    def _move_log(self, plan: Plan) -> None:
        try:
            self._logs.move(plan.log_path, plan.log_level)
        except ConfigError as e:
            log.error("%s; still logging to %s", e, self._log_path)
            return
        self._log_path = plan.log_path
        frame = OpenLog(plan.log_path, plan.log_level)
        self.workers.broadcast(frame)
        self.controller.send(frame)

    def _on_worker_frame(self, worker: Worker, delivery: Delivery) -> None:
        close_fds(delivery.fds)
        frame = delivery.frame
        if isinstance(frame, Ready | Refused | Committed):
            for deployment in self._deployments:
                if deployment.concerns(worker):
                    deployment.take(worker, frame)
        elif isinstance(frame, Given):
            self.transfers.take(frame)

    def _on_worker_death(self, worker: Worker, how: str) -> None:
        assert self.shared is not None
        # After an upgrade its row is the new master's to take back: it may have given it to a worker of its own.
        blocks = self.shared.release_slot(worker.row) if self.stage is not Stage.UPGRADING else 0
        self.transfers.lost(worker)
        if self.is_stopping():
            self._leave_if_alone()
            return
        if worker.state is WorkerState.DRAINING:
            log.info("%s left: %s", worker, how)
            return
        log.error("%s ended: %s; %d arena blocks taken back", worker, how, blocks)
        for deployment in self._deployments:
            if deployment.concerns(worker):
                deployment.lost(worker, how)
        self.lending.settle()
        if not self.is_stopping():
            delay_s = self.workers.delay_s(worker, how)
            if delay_s:
                log.warning("slot %d: a new worker in %g s", worker.slot, delay_s)
            self.replacement.refill(worker.slot, delay_s)

    def is_undecided(self) -> bool:
        """Whether workers are between two versions, or a new generation is starting."""
        return self.reloader.is_rolling_out() or self.old_side.is_under_way()

    def instruct(self, worker: Worker) -> None:
        """Tell a new worker which logs the admin API has switched off."""
        for path in self._disabled_logs:
            self.workers.send(worker, SetLogEnabled(path, False))

    def view(self) -> MasterView:
        """What `status` shows."""
        draining = self.new_side.draining_pid if self.new_side is not None else 0
        return MasterView(
            self.pid, self.started_at, self.stage.name.lower(), self.config_path, self.admin_address, self.accepted, self.shared,
            self.workers, self.controller, draining,
        )  # fmt: skip

    def stage_text(self) -> str:
        """The stage in words."""
        return self.stage.name.lower().replace("_", " ")

    # --- signals and the end -------------------------------------------------------------------------------------------

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        elif number == signal.SIGTERM:
            self._stop_gracefully()
        elif number in (signal.SIGINT, signal.SIGQUIT):
            log.info("%s: stopping now", signal.Signals(number).name)
            self._quit()
        elif number == signal.SIGUSR1:
            self._reopen_logs()
        elif number == signal.SIGHUP and self.stage is Stage.RUNNING:
            self.reloader.ask(ChangeRequest(self.config_path), lambda report: log_change("reload", report))
        elif number == signal.SIGUSR2 and self.stage is Stage.RUNNING:
            self.old_side.ask("", lambda _: None)
        else:
            log.warning("%s while %s: nothing was changed", signal.Signals(number).name, self.stage_text())

    def _reap(self) -> None:
        """Bury all dead children; as pid 1 of a container also those that are not ours."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if not self.workers.reaped(pid, status) and not self.old_side.reaped(pid, status):
                self.controller.reaped(pid, status)

    def _reopen_logs(self) -> None:
        self._logs.reopen()
        if self.accepted is not None:
            provide_logs(self.plan)
        self.workers.broadcast(ReopenLogs())
        self.controller.send(ReopenLogs())
        log.info("SIGUSR1: logs reopened")

    def is_stopping(self) -> bool:
        """Whether this master is on its way out, however."""
        return self.stage in (Stage.GRACEFUL_STOPPING, Stage.STOPPING, Stage.UPGRADING)

    # --- upgrade -------------------------------------------------------------------------------------------------------

    def is_changing(self) -> bool:
        """Whether a change is under way, or the generation before this one still drains."""
        return (
            not self.reloader.is_idle()
            or self.is_replacing()
            or (self.new_side is not None and self.new_side.draining_pid != 0)
        )

    def handed_over(self) -> HandedOver:
        """What goes to the next master."""
        assert self.accepted is not None and self.shared is not None and self._pid_file is not None and self._control is not None
        return HandedOver(self.accepted, self.shared, self._pid_file.fileno(), self._control.fileno())

    def hand_over(self, pid: int) -> None:
        """Master *pid* serves: give it what makes us the program, then the connections, drain the rest and leave."""
        assert self._pid_file is not None and self._control is not None
        log.info("upgrade: pid %d serves; connections move, up to %g s for what is in flight", pid, self.plan.graceful_timeout_s)
        self.stage = Stage.UPGRADING
        self.reloader.close()
        self.controller.send(Quit())  # its admin address is wanted by the other one
        self._control.leave()
        self._pid_file.leave()
        self.manager.leave(pid)
        self.old_side.send(TakeOver())
        for worker in self.workers.alive():
            worker.state = WorkerState.DRAINING
            self.replacement.transfer_all(worker, partial(self._send_to_new_side, worker.slot))
        self.sockets.close()
        self._leave_if_alone()

    def _send_to_new_side(self, slot: int) -> Send:
        return lambda _, fds: self.old_side.send(ReceiveFrom(slot), fds)

    def old_is_gone(self) -> None:
        """The generation before this one has ended."""
        if self.is_stopping():
            self._leave_if_alone()

    # --- the end -------------------------------------------------------------------------------------------------------

    def _stop_gracefully(self) -> None:
        """Nothing new, finish what is in flight; a second SIGTERM leaves little time for that, a third none."""
        if self.stage is Stage.GRACEFUL_STOPPING and not self._is_hurried:
            self._hurry()
            return
        if self.is_stopping() or self.accepted is None:
            self._quit()
            return
        deadline_s = self.plan.graceful_timeout_s
        log.info("SIGTERM: no new connections; up to %g s for what is in flight", deadline_s)
        self._set_stage(Stage.GRACEFUL_STOPPING)
        self.reloader.close()
        self.old_side.close()
        self.manager.stopping(f"No new connections; up to {deadline_s:g} s for what is in flight.")
        # What is queued in a socket is reset when its last descriptor is closed, so nothing new may come to it before. Where the
        # service manager has it in its store the queue stays for whoever starts next.
        settle_s = 0.0
        if not self.manager.keeps_sockets():
            self.sockets.refuse()
            settle_s = SETTLE_S
        # Ours first: a worker accepts what is queued and then closes the last descriptor.
        self.sockets.close()
        for worker in self.workers.alive():
            worker.state = WorkerState.DRAINING
        self.workers.broadcast(Drain(deadline_s, settle_s))
        self.loop.call_later(deadline_s + DRAIN_GRACE_S, self._kill_workers)
        self._leave_if_alone()

    def _hurry(self) -> None:
        """End what is idle, and give what is in flight HURRIED_S."""
        log.info("SIGTERM again: %g s for what is in flight", HURRIED_S)
        self._is_hurried = True
        self.workers.broadcast(Drain(HURRIED_S))
        self.loop.call_later(HURRIED_S + DRAIN_GRACE_S, self._kill_workers)

    def _quit(self) -> None:
        """End everything now."""
        if self.stage is not Stage.STOPPING:
            self._set_stage(Stage.STOPPING)
            self.reloader.close()
            self.old_side.close()
            if self.new_side is not None:
                self.new_side.end_old()
            self.manager.stopping("" if self._status else "Stopping now.")
            self.sockets.close()
            self.workers.broadcast(Quit())
            self.loop.call_later(QUIT_TIMEOUT_S, self._kill_workers)
            self._leave_if_alone()

    def _set_stage(self, stage: Stage) -> None:
        self.stage = stage
        self.controller.send(State(int(stage)))

    def _leave_if_alone(self) -> None:
        """Workers first, then the controller (its admin shows how the drain goes), then ourselves."""
        if self.workers.alive():
            return
        if self.stage is Stage.GRACEFUL_STOPPING and self.new_side is not None and self.new_side.draining_pid:
            return  # the service manager kills what is left when the main process is gone
        if self.controller.pid:
            self.controller.send(Quit())
            self.loop.call_later(QUIT_TIMEOUT_S, self.controller.kill)
        else:
            self.loop.stop()

    def _kill_workers(self) -> None:
        for worker in self.workers.alive():
            log.error("%s did not end in time: killing it", worker)
            self.workers.kill(worker)
        if self.new_side is not None:
            self.new_side.end_old()

    def _trim(self) -> None:
        assert self.shared is not None
        self.shared.trim()
        if self.accepted is not None and self.stage is Stage.RUNNING and not self.reloader.is_rolling_out():
            self.shared.retire_unused(self.plan)
        self.loop.call_later(TRIM_EVERY_S, self._trim)

    def _clean_up(self) -> None:
        self.sockets.close()
        if self._control is not None:
            self._control.close()
        if self._pid_file is not None:
            self._pid_file.release()
        log.info("stopped")
        self.manager.close()
        self.loop.close()


def raise_fd_limit() -> None:
    """Let this process and its workers open as many descriptors as they may: the soft limit is for programs that use select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_FDS if hard == resource.RLIM_INFINITY else min(hard, MAX_FDS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
