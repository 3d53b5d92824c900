"""An upgrade, as the master that is replaced sees it (SIGUSR2, `mosn_mp upgrade`; handover.py has the conversation).

```
IDLE --ask--> WAITING --nothing else is changing--> STARTING --UpgradeReady--> OVER: the owner hands over and drains
                                                       '--UpgradeFailed, its end, too late--> IDLE, as if nothing had been
```
What is asked for from the end of WAITING on is held (deferral.py), and done here or there.
The new program is started as this one was: its file is found anew, so a link that now leads to another environment counts.
"""

import contextlib
import enum
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable

import msgspec

from mosn_mp.ipc.channel import Channel, Delivery, close_fds
from mosn_mp.ipc.frames import Concluded, Frame, Handover, HandoverSockets, TookOver, UpgradeFailed, UpgradeReady, chunked
from mosn_mp.ipc.memfd import seal_each
from mosn_mp.ipc.plan import encode_plan
from mosn_mp.ipc.report import UpgradeReport
from mosn_mp.master.events.channel import EventChannel
from mosn_mp.master.events.loop import Loop, Timer
from mosn_mp.master.processes.controller import ControllerProcess
from mosn_mp.master.processes.workers import Workers
from mosn_mp.master.state.hosts import disabled_hosts
from mosn_mp.master.state.logs import Logs
from mosn_mp.master.state.served import ServedState
from mosn_mp.master.systemd.service_manager import ServiceManager
from mosn_mp.master.upgrade.deferral import Deferral
from mosn_mp.master.upgrade.handover import VARIABLE, Switches

log = logging.getLogger("mosn_mp.master")

# A start takes a second; a configuration with many plug-ins more. The old generation serves meanwhile as ever.
START_TIMEOUT_S = 90.0
# The new program reads the file: what was changed before (auto_config) shall be in it, unless the disk is stuck.
FILE_TIMEOUT_S = 5.0
POLL_S = 0.05

Reply = Callable[[UpgradeReport], None]


class Phase(enum.Enum):
    """Where it stands."""

    IDLE = "idle"
    WAITING = "waiting"
    STARTING = "starting"
    OVER = "over"


class OldSide:
    """One upgrade at a time."""

    def __init__(
        self,
        loop: Loop,
        served: ServedState,
        workers: Workers,
        controller: ControllerProcess,
        manager: ServiceManager,
        instance_fds: Callable[[], tuple[int, int]],
        logs: Logs,
        deferral: Deferral,
        is_draining: Callable[[], bool],
        is_changing: Callable[[], bool],
        hand_over: Callable[[int], None],
    ) -> None:
        """*instance_fds* are those of pid file and control socket; an upgrade waits while the generation before
        this one is there yet (*is_draining*) or a change is under way (*is_changing*). *hand_over* hears the pid of
        a new master that serves: this one is to be no longer the program.
        """
        self._loop = loop
        self._served = served
        self._workers = workers
        self._controller = controller
        self._manager = manager
        self._instance_fds = instance_fds
        self._logs = logs
        self._deferral = deferral
        self._is_draining = is_draining
        self._is_changing = is_changing
        self._hand_over = hand_over
        self._own_pid = os.getpid()
        self._replies: list[Reply] = []
        self._program = ""
        self._channel: EventChannel | None = None
        self._timer: Timer | None = None
        self._began_at = time.monotonic()
        self._held_at = 0.0
        self._problems: list[str] = []
        self._version = 0
        self.phase = Phase.IDLE
        self.pid = 0  # of the new master

    def ask(self, program: str, reply: Reply) -> None:
        """Start *program* ("" = the one this was started as) in our place, and tell *reply* what came of it."""
        refusal = "disable_upgrade is set" if self._served.plan.disable_upgrade else ""
        if self._own_pid == 1:
            refusal = "pid 1 cannot be replaced: start me under an init"
        if refusal:
            log.error("upgrade refused: %s", refusal)
            reply(self._report([refusal]))
            return
        self._replies.append(reply)
        if self.phase is not Phase.IDLE:
            if program not in ("", self._program):
                self._replies.remove(reply)
                reply(self._report([f"another upgrade, to {self._program or 'the installed program'}, is under way"]))
            return
        self._program = program
        self._began_at = time.monotonic()
        self.phase = Phase.WAITING
        self._wait_quiet()

    def is_under_way(self) -> bool:
        """Whether a new generation is starting: nothing that it was told may change now."""
        return self.phase is Phase.STARTING

    def send(self, frame: Frame, fds: tuple[int, ...] = ()) -> None:
        """Tell the new master something."""
        if self._channel is not None:
            self._channel.send(frame, fds)

    def close(self) -> None:
        """The program stops: there will be no upgrade."""
        if self.phase in (Phase.WAITING, Phase.STARTING):
            self._give_up(["the program is stopping"])

    def reaped(self, pid: int, status: int) -> bool:
        """Child *pid* ended; False if it was not the new master."""
        if pid != self.pid:
            return False
        if self.phase is Phase.STARTING:
            if self._channel is not None:
                self._channel.read_last()
            self._give_up(self._problems or [f"the new program ended before it served ({os.waitstatus_to_exitcode(status)})"])
        return True

    def _wait_quiet(self) -> None:
        if self.phase is not Phase.WAITING:
            return
        if self._is_draining():  # which may take long: changes are made meanwhile
            self._loop.call_later(POLL_S, self._wait_quiet)
            return
        self._deferral.hold()
        self._held_at = time.monotonic()
        self._wait_unchanging()

    def _wait_unchanging(self) -> None:
        if self.phase is not Phase.WAITING:
            return
        is_unsaid = self._controller.filed.served != self._served.snapshot().version
        if self._is_changing() or (is_unsaid and time.monotonic() < self._held_at + FILE_TIMEOUT_S):
            self._loop.call_later(POLL_S, self._wait_unchanging)
            return
        try:
            self._begin()
        except OSError as e:
            self._give_up([f"{e.filename or self._program or sys.argv[0]}: {e.strerror or e}"])

    def _begin(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            os.set_inheritable(theirs.fileno(), True)
            try:
                command = command_line(self._program)
                environment = {**os.environ, VARIABLE: str(theirs.fileno())}
                self.pid = os.posix_spawnp(command[0], command, environment, setsigmask=(), setsigdef=signal.valid_signals())
            except OSError:
                ours.close()
                raise
        log.info("upgrade: %s starts as pid %d", " ".join(command), self.pid)
        self.phase = Phase.STARTING
        self._problems = []
        self._timer = self._loop.call_later(START_TIMEOUT_S, self._on_timeout)
        who = f"new master (pid {self.pid})"
        self._channel = EventChannel(self._loop, Channel(ours), who, self._take, self._on_fault, max_fds=1)
        self._send_handover()

    def _send_handover(self) -> None:
        self._served.last_version += 1  # the new generation's, whatever comes of it: a number names one content
        snapshot, shared, served_sockets = self._served.snapshot(), self._served.shared(), self._served.sockets
        sockets = {name: fd for name, fd in served_sockets.listening().items() if name not in served_sockets.leaving()}
        address, watchdog_s, stored = self._manager.passed_on()
        frame = Handover(
            pid=self._own_pid,
            version=snapshot.version,
            next_version=self._served.last_version,
            notify_address=address,
            watchdog_s=watchdog_s,
            rows=[(worker.row, worker.pid) for worker in self._workers.alive()],
            stored=stored,
            units=served_sockets.kept_by_units(),
            filed=self._controller.filed,
            sockets=len(sockets),
        )
        own = seal_each({
            "mosn_mp-plan": encode_plan(snapshot.plan),
            "mosn_mp-tables": shared.place(snapshot.plan),
            "mosn_mp-totals": shared.totals(),
            "mosn_mp-switches": msgspec.msgpack.encode(self._switches()),
        })  # fmt: skip
        segments = (shared.metrics.segment.fd, shared.state.segment.fd)
        self.send(frame, (*self._instance_fds(), snapshot.snapshot_fd, *own, *segments))
        close_fds(own)
        for names in chunked(list(sockets)):
            self.send(HandoverSockets(list(names)), tuple(sockets[name] for name in names))

    def _switches(self) -> Switches:
        shared, plan = self._served.shared(), self._served.plan
        return Switches(
            log_level=self._logs.level(), silent_logs=self._logs.silent(), disabled_hosts=disabled_hosts(shared, plan)
        )

    def _take(self, delivery: Delivery) -> None:
        if isinstance(delivery.frame, Concluded):
            self._controller.send(delivery.frame, tuple(delivery.fds))
        if self.phase is Phase.OVER and isinstance(delivery.frame, TookOver):
            report = self._report([])
            for reply in self._take_replies():
                reply(report)
        if self.phase is not Phase.STARTING:
            return
        if isinstance(delivery.frame, UpgradeFailed):
            self._problems = list(delivery.frame.problems)
        elif isinstance(delivery.frame, UpgradeReady):
            self._version = delivery.frame.version
            self.phase = Phase.OVER
            self._cancel_timer()
            self._hand_over(self.pid)

    def _on_fault(self) -> None:
        if self.phase is Phase.STARTING:
            self._give_up(["the new program sent what is no frame of ours"])

    def _on_timeout(self) -> None:
        if self.phase is Phase.STARTING:
            self._give_up([f"the new program did not serve within {START_TIMEOUT_S:g} s"])

    def _give_up(self, problems: list[str]) -> None:
        """The old generation goes on; what there is of the new one is ended."""
        was_starting = self.phase is Phase.STARTING
        self.phase = Phase.IDLE
        self._cancel_timer()
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if was_starting:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # its workers and its controller see the end of their channels
        log.error("upgrade refused, pid %d goes on: %s", self._own_pid, "; ".join(problems))
        report = self._report(problems)
        for reply in self._take_replies():
            reply(report)
        self._deferral.release()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take_replies(self) -> list[Reply]:
        replies, self._replies = self._replies, []
        return replies

    def _report(self, problems: list[str]) -> UpgradeReport:
        return UpgradeReport(
            ok=not problems,
            old_pid=self._own_pid,
            new_pid=self.pid if not problems else 0,
            program=self._program or sys.argv[0],
            version=self._version,
            took_s=time.monotonic() - self._began_at,
            problems=tuple(problems),
        )


def command_line(program: str) -> list[str]:
    """How to start *program*, or the installed one anew, with the arguments of this process."""
    if program:
        return [program, *sys.argv[1:]]
    if os.path.basename(sys.argv[0]) != "__main__.py" and os.access(sys.argv[0], os.X_OK):
        return list(sys.argv)  # a script: its first line names the Python of the environment that it is in now
    return [sys.executable if os.sep not in sys.orig_argv[0] else sys.orig_argv[0], *sys.orig_argv[1:]]
