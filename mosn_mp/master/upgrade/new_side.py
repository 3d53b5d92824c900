"""An upgrade, as the new master sees it: what it took over, and when it becomes the program (handover.py has the conversation).

Until TakeOver the old master is the program, and whatever goes wrong here costs nothing. Once it is gone, however it went, this
one is the program.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Callable

from mosn_mp.errors import ConfigError
from mosn_mp.ipc.channel import Delivery
from mosn_mp.ipc.frames import (
    MAX_FDS,
    Forward,
    Frame,
    Propose,
    Receive,
    ReceiveFrom,
    ReopenLogs,
    SetLogEnabled,
    SetLogLevel,
    SwitchHost,
    TakeOver,
    TookOver,
    UpgradeFailed,
    UpgradeReady,
)
from mosn_mp.ipc.plan import Plan
from mosn_mp.master.events.channel import EventChannel, Send
from mosn_mp.master.events.loop import Loop
from mosn_mp.master.processes.controller import ControllerProcess
from mosn_mp.master.processes.workers import Workers
from mosn_mp.master.state.served import ServedState, Snapshot
from mosn_mp.master.state.shared_memory import Inheritance, SharedMemory
from mosn_mp.master.upgrade.handover import Inherited

log = logging.getLogger("mosn_mp.master")


class NewSide:
    """Between the old master's first word and its end."""

    def __init__(
        self,
        loop: Loop,
        served: ServedState,
        workers: Workers,
        controller: ControllerProcess,
        inherited: Inherited,
        take_over: Callable[[], None],
        on_old_gone: Callable[[], None],
        on_switch: Callable[[Frame], None],
        on_forwarded: Callable[[Delivery, Send], None],
    ) -> None:
        """*take_over*: be the program from now on; *on_old_gone*: the old master has ended.

        *on_switch* hears what operators switch while the old one is the program, *on_forwarded* what they ask for (it closes the
        descriptors, and answers the old master).
        """
        self._loop = loop
        self._served = served
        self._workers = workers
        self._controller = controller
        self._inherited = inherited
        self._take_over = take_over
        self._on_old_gone = on_old_gone
        self._on_switch = on_switch
        self._on_forwarded = on_forwarded
        self._switched: list[Frame] | None = []  # before this master could do it; None: it can
        self._is_ready = False
        self._is_over = False  # TakeOver was said, or nobody is there to say it
        self.is_abandoned = False  # nobody was there: what the old master was asked for was not passed on
        who = f"old master (pid {inherited.frame.pid})"
        self._channel: EventChannel | None = EventChannel(
            loop, inherited.channel, who, self._take, self._on_end, on_end=self._on_end, max_fds=MAX_FDS
        )

    @property
    def draining_pid(self) -> int:
        """The old master, while it lives; else 0."""
        return self._inherited.frame.pid if self._channel is not None else 0

    @property
    def shares_sockets(self) -> bool:
        """Whether the old generation may go on to serve what it gave us."""
        return not self._is_over

    def next_version(self) -> int:
        """The number of the first configuration that this generation serves."""
        return self._inherited.frame.next_version

    def instance_fds(self) -> tuple[int, int]:
        """The descriptors of the old master's pid file and control socket."""
        return self._inherited.pid_file, self._inherited.control

    def memory(self) -> Inheritance:
        """The old generation's counters and state; decide() has seen that its plan can be read."""
        i = self._inherited
        return Inheritance(i.metrics, i.state, i.old_plan(), i.tables, i.totals, i.frame.rows)

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
        self._controller.filed = i.frame.filed
        self._controller.adopt(i.frame.version, i.snapshot, old)
        return i.snapshot, old

    def switch(self, plan: Plan) -> None:
        """Do what operators switched in the old generation, now that logs and shared memory of *plan* are there."""
        old, switches = self._inherited.old_plan(), self._inherited.switches
        if (plan.log_path, plan.log_level) == (old.log_path, old.log_level):
            self._on_switch(SetLogLevel("", switches.log_level))
        for path in switches.silent_logs:
            self._on_switch(SetLogEnabled(path, False))
        if self._served.shared().rebuilt:
            for cluster, address in switches.disabled_hosts:
                self._on_switch(SwitchHost(cluster, address, False))
        early, self._switched = self._switched or [], None
        for frame in early:
            self._on_switch(frame)

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
            self._workers.rows_of_others.add(row)
            self._loop.watch(pidfd, self._release_at_end(row, pidfd))

    def ready(self, snapshot: Snapshot) -> None:
        """Every worker serves *snapshot*."""
        self._is_ready = True
        self.send(UpgradeReady(snapshot.version))
        if self._is_over:
            self._take_over()

    def took_over(self) -> None:
        """This generation is the program."""
        self.send(TookOver())

    def end_old(self) -> None:
        """The old generation shall not outlive us."""
        if self.draining_pid and self._is_over:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.draining_pid, signal.SIGINT)

    def failed(self, problems: list[str]) -> None:
        """This generation cannot serve."""
        self.send(UpgradeFailed([problem[:4000] for problem in problems[:20]]))

    def send(self, frame: Frame, fds: tuple[int, ...] = ()) -> None:
        """Tell the old master something."""
        if self._channel is not None:
            self._channel.send(frame, fds)

    def _take(self, delivery: Delivery) -> None:
        frame = delivery.frame
        if isinstance(frame, Forward | Propose):
            self._on_forwarded(delivery, self.send)
            return
        if isinstance(frame, SetLogLevel | SetLogEnabled | SwitchHost | ReopenLogs):
            if self._switched is None:
                self._on_switch(frame)
            else:
                self._switched.append(frame)
        elif isinstance(frame, ReceiveFrom):
            workers = self._workers.serving()
            if workers:
                self._workers.send(workers[frame.slot % len(workers)], Receive(), tuple(delivery.fds))
        if isinstance(frame, TakeOver):
            self._finish()

    def _on_end(self) -> None:
        """The old master is gone."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
            self.is_abandoned = not self._is_over
            self._finish()
            log.info("the generation before this one (pid %d) is gone", self._inherited.frame.pid)
            self._on_old_gone()

    def _finish(self) -> None:
        if not self._is_over:
            self._is_over = True
            if self._is_ready:
                self._take_over()

    def _release_at_end(self, row: int, pidfd: int) -> Callable[[int], None]:
        def release(_: int) -> None:
            self._loop.unwatch(pidfd)
            os.close(pidfd)
            self._free(row)

        return release

    def _free(self, row: int) -> None:
        self._served.shared().release_row(row)
        self._workers.rows_of_others.discard(row)
