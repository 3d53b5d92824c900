"""From a valid configuration to the first version in service, or to exit status 1 and the reason on stderr."""

import logging
import sys
from collections.abc import Callable

from mosn_mp.errors import ConfigError
from mosn_mp.ipc.channel import Delivery
from mosn_mp.ipc.memfd import seal_bytes
from mosn_mp.ipc.plan import Plan
from mosn_mp.master.border.plan_check import check_plan
from mosn_mp.master.border.received import plan_in
from mosn_mp.master.control.instance import Instance
from mosn_mp.master.control.pid_file import AlreadyRunningError
from mosn_mp.master.events.loop import Loop
from mosn_mp.master.listeners.socket_activation import Claims
from mosn_mp.master.listeners.sockets import BindError
from mosn_mp.master.rollout.rollout import Rollout
from mosn_mp.master.shutdown import Shutdown
from mosn_mp.master.state.logs import Logs
from mosn_mp.master.state.served import ServedState, Snapshot
from mosn_mp.master.state.shared_memory import SharedMemory
from mosn_mp.master.state.stages import Stage, Stages
from mosn_mp.master.systemd.service_manager import ServiceManager
from mosn_mp.master.upgrade.new_side import NewSide

log = logging.getLogger("mosn_mp.master")

LOAD_TIMEOUT_S = 60.0  # reading and checking a config takes milliseconds; a plug-in's import may take seconds


class Startup:
    """Takes what the configuration needs from the system, then rolls the first version out."""

    def __init__(
        self,
        loop: Loop,
        served: ServedState,
        stages: Stages,
        logs: Logs,
        claims: Claims,
        manager: ServiceManager,
        instance: Instance,
        rollout: Rollout,
        new_side: NewSide | None,
        shutdown: Shutdown,
        enter_service: Callable[[], None],
    ) -> None:
        """*new_side* of an upgrade decides itself when *enter_service* is due, else it is when the first version is decided."""
        self._loop = loop
        self._served = served
        self._stages = stages
        self._logs = logs
        self._claims = claims
        self._manager = manager
        self._instance = instance
        self._rollout = rollout
        self._new_side = new_side
        self._shutdown = shutdown
        self._enter_service = enter_service

    def begin(self) -> None:
        """The controller reads the configuration: wait for take(), but not for ever."""
        self._loop.call_later(LOAD_TIMEOUT_S, self._on_load_timeout)

    def take(self, delivery: Delivery) -> None:
        """The controller's config is valid: take what it needs from the system, then roll it out."""
        if self._stages.now is not Stage.INITING:
            return
        plan = plan_in(delivery.fds[1])
        problems = check_plan(plan, self._served.grant, self._served.config_path)
        if problems:
            self.fail(problems)
            return
        snapshot_fd = delivery.take_fd()
        try:
            snapshot = self._prepare(snapshot_fd, plan)
        except (AlreadyRunningError, BindError, ConfigError) as e:
            self.fail([str(e)])
        except OSError as e:
            self.fail([f"{e.filename or self._served.config_path}: {e.strerror or e}"])
        else:
            self._report_passed()
            self._begin_first(snapshot)

    def fail(self, problems: list[str]) -> None:
        """Say why on stderr (and in the log, if that is elsewhere), and leave with exit status 1."""
        if self._stages.is_stopping():
            return
        if self._new_side is not None:
            self._new_side.failed(problems)
        else:
            self._manager.tell(f"Start failed: {problems[0]}")
        for problem in problems:
            sys.stderr.write(f"{problem}\n")
            if not self._logs.is_terminal():
                log.error("start failed: %s", problem)
        self._shutdown.quit(exit_status=1)

    def _on_load_timeout(self) -> None:
        if self._stages.now is Stage.INITING:
            self.fail([f"{self._served.config_path}: not loaded within {LOAD_TIMEOUT_S:g} s"])

    def _prepare(self, snapshot_fd: int, plan: Plan) -> Snapshot:
        new_side = self._new_side
        if new_side is None:
            version, before = 1, None
            self._instance.claim(plan.pid_path)
        else:
            version, before = new_side.next_version(), new_side.memory()
            snapshot_fd, plan = new_side.decide(snapshot_fd, plan)
            self._served.grant = self._served.grant.covering(plan)
        self._logs.open(plan)
        self._served.sockets.open(plan.listeners, plan.workers)
        memory = self._served.memory = SharedMemory(plan, before)
        if new_side is not None:
            new_side.watch_rows(memory)
        return Snapshot(version, snapshot_fd, seal_bytes("mosn_mp-tables", memory.place(plan)), plan)

    def _report_passed(self) -> None:
        """What the service manager passed and nobody serves is closed, and not in silence."""
        for name, problem in self._manager.unusable:
            log.error("the service manager passed %r, which cannot be served: %s", name, problem)
        for passed in self._claims.take_unclaimed():
            log.warning("the service manager passed %r on %s port %d: no listener has that address", *passed[:3])
            passed.sock.close()

    def _begin_first(self, snapshot: Snapshot) -> None:
        self._stages.enter(Stage.STARTING)
        log.info("start: version %d of %s to %d workers", snapshot.version, self._served.config_path, snapshot.plan.workers)
        self._served.begin(snapshot)
        if self._new_side is not None:
            self._new_side.switch(snapshot.plan)
        self._rollout.begin_first(snapshot, self._on_decided, lambda reason: self.fail([reason]), self._on_all_serve)

    def _on_decided(self) -> None:
        if self._new_side is None:
            self._enter_service()

    def _on_all_serve(self) -> None:
        """Every worker serves the first version: the master before us may go."""
        if self._new_side is not None and self._served.accepted is not None and not self._stages.is_stopping():
            self._new_side.ready(self._served.accepted)
