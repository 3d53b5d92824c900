"""An upgrade, as the new master sees it: what it took over, and when it becomes the program (handover.py has the conversation).

Until TakeOver the old master is the program, and whatever goes wrong here costs nothing. Once it is gone, however it went, this
one is the program.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Callable
from typing import Protocol

from mosn_mp.errors import ConfigError
from mosn_mp.ipc.channel import Delivery, close_fds
from mosn_mp.ipc.frames import Frame, Receive, ReceiveFrom, TakeOver, TookOver, UpgradeFailed, UpgradeReady
from mosn_mp.ipc.plan import Plan
from mosn_mp.master.events.channel import EventChannel
from mosn_mp.master.events.loop import Loop
from mosn_mp.master.processes.controller import ControllerProcess
from mosn_mp.master.processes.workers import Workers, WorkerState
from mosn_mp.master.rollout.deployment import Snapshot
from mosn_mp.master.state.shared_memory import Inheritance, SharedMemory
from mosn_mp.master.upgrade.handover import Inherited

log = logging.getLogger("mosn_mp.master")


class Owner(Protocol):
    """What the new side needs of the master."""

    loop: Loop
    workers: Workers
    controller: ControllerProcess
    shared: SharedMemory | None

    def old_is_gone(self) -> None:
        """The old master has ended."""

    def take_over(self) -> None:
        """Be the program from now on."""


class NewSide:
    """Between the old master's first word and its end."""

    def __init__(self, owner: Owner, inherited: Inherited) -> None:
        self._owner = owner
        self._inherited = inherited
        self._is_ready = False
        self._is_over = False  # TakeOver was said, or nobody is there to say it
        who = f"old master (pid {inherited.frame.pid})"
        self._channel: EventChannel | None = EventChannel(
            owner.loop, inherited.channel, who, self._take, self._on_end, on_end=self._on_end
        )

    @property
    def draining_pid(self) -> int:
        """The old master, while it lives; else 0."""
        return self._inherited.frame.pid if self._channel is not None else 0

    def next_version(self) -> int:
        """The number of the first configuration that this generation serves."""
        return self._inherited.frame.version + 1

    def memory(self) -> Inheritance:
        """The old generation's counters and state."""
        i = self._inherited
        return Inheritance(i.metrics, i.state, i.tables, i.totals, i.frame.rows)

    def decide(self, snapshot_fd: int, plan: Plan) -> tuple[int, Plan]:
        """What this generation is to serve, given what the file says: that, or what the old one serves; ConfigError."""
        i = self._inherited
        try:
            old = i.old_plan()
        except ValueError as e:
            raise ConfigError("inherit_old_mosnconfig", f"the old release's configuration cannot be read: {e}") from e
        if plan.pid_path != old.pid_path:
            text = f"an upgrade cannot change it from {old.pid_path} to {plan.pid_path}: stop and start instead"
            raise ConfigError("pid", text)
        if not plan.inherit_config:
            os.close(i.snapshot)
            return snapshot_fd, plan
        os.close(snapshot_fd)
        self._owner.controller.filed = i.frame.filed
        self._owner.controller.adopt(i.frame.version, i.snapshot, old)
        return i.snapshot, old

    def watch_rows(self, shared: SharedMemory) -> None:
        """Leave the rows of the old generation's workers alone until each is dead, and take back what it held then."""
        if shared.rebuilt:
            log.warning("counters go on in new shared memory, host states begin anew: %s", shared.rebuilt)
            return
        for row, pid in self._inherited.frame.rows:
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                self._free(row)
                continue
            self._owner.workers.rows_of_others.add(row)
            self._owner.loop.watch(pidfd, self._release_at_end(row, pidfd))

    def ready(self, snapshot: Snapshot) -> None:
        """Every worker serves *snapshot*."""
        self._is_ready = True
        self._send(UpgradeReady(snapshot.version))
        if self._is_over:
            self._owner.take_over()

    def took_over(self) -> None:
        """This generation is the program."""
        self._send(TookOver())

    def end_old(self) -> None:
        """The old generation shall not outlive us."""
        if self.draining_pid and self._is_over:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.draining_pid, signal.SIGINT)

    def failed(self, problems: list[str]) -> None:
        """This generation cannot serve."""
        self._send(UpgradeFailed([problem[:4000] for problem in problems[:20]]))

    def _send(self, frame: Frame) -> None:
        if self._channel is not None:
            self._channel.send(frame)

    def _take(self, delivery: Delivery) -> None:
        frame = delivery.frame
        if isinstance(frame, ReceiveFrom):
            workers = [worker for worker in self._owner.workers.alive() if worker.state is WorkerState.SERVING]
            if workers:
                self._owner.workers.send(workers[frame.slot % len(workers)], Receive(), tuple(delivery.fds))
        close_fds(delivery.fds)
        if isinstance(frame, TakeOver):
            self._take_over()

    def _on_end(self) -> None:
        """The old master is gone."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
            self._take_over()
            log.info("the generation before this one (pid %d) is gone", self._inherited.frame.pid)
            self._owner.old_is_gone()

    def _take_over(self) -> None:
        if not self._is_over:
            self._is_over = True
            if self._is_ready:
                self._owner.take_over()

    def _release_at_end(self, row: int, pidfd: int) -> Callable[[int], None]:
        def release(_: int) -> None:
            self._owner.loop.unwatch(pidfd)
            os.close(pidfd)
            self._free(row)

        return release

    def _free(self, row: int) -> None:
        assert self._owner.shared is not None
        self._owner.shared.release_row(row)
        self._owner.workers.rows_of_others.discard(row)
