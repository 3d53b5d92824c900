"""The controller as the master sees it: started by exec, restarted with back-off, told what serves."""

import logging
import os
import signal
import time
from collections.abc import Callable

from mosn_mp.ipc.channel import Channel, Delivery
from mosn_mp.ipc.frames import Adopt, Filed, Frame, Served, SetLogEnabled, SetLogLevel, State
from mosn_mp.ipc.memfd import seal_bytes
from mosn_mp.ipc.plan import Plan, encode_plan
from mosn_mp.master.border.received import CONTROLLER_FDS
from mosn_mp.master.events.channel import EventChannel
from mosn_mp.master.events.loop import Loop
from mosn_mp.master.processes.launch import Launched, launch_controller
from mosn_mp.master.processes.respawn import Respawn
from mosn_mp.master.processes.workers import describe_end
from mosn_mp.master.state.logs import Logs
from mosn_mp.master.state.served import ServedState
from mosn_mp.master.state.stages import Stages

log = logging.getLogger("mosn_mp.master")

RETRY_S = 1.0  # after the system had no room for a new process


class ControllerProcess:
    """Runs one controller; the owner is told of its frames and of every death, and decides about both."""

    def __init__(
        self,
        loop: Loop,
        served: ServedState,
        stages: Stages,
        logs: Logs,
        log_level: str,
        on_frame: Callable[[Delivery], None],
        on_death: Callable[[str], None],
    ) -> None:
        """*log_level* "" = the config's."""
        self._loop = loop
        self._served = served
        self._stages = stages
        self._logs = logs
        self._log_level = log_level
        self._on_frame = on_frame
        self._on_death = on_death
        self._channel: EventChannel | None = None
        self._respawn = Respawn()
        self.pid = 0
        self.is_ending = False  # it was killed, and is not reaped yet
        self.started_at = 0.0
        self.filed = Filed(0)  # what it said of the configuration file
        self.admin_address = ""

    def deaths(self) -> int:
        """How many controllers ended before they were told to."""
        return self._respawn.deaths

    def attach(self, launched: Launched) -> None:
        """Talk to the controller that was just *launched*."""
        who = f"controller (pid {launched.pid})"
        channel = Channel(launched.sock)
        self._channel = EventChannel(self._loop, channel, who, self._on_frame, self.kill, max_fds=CONTROLLER_FDS)
        self.pid = launched.pid
        self.is_ending = False
        self.started_at = time.monotonic()

    def restart(self, how: str, on_up: Callable[[], None]) -> None:
        """It died as *how* says: start another one, at once or after a while, and then call *on_up*."""
        delay_s = self._respawn.delay_s(time.monotonic() - self.started_at)
        log.error("controller ended (%s): a new one in %g s; workers go on", how, delay_s)
        self._loop.call_later(delay_s, lambda: self._restart(on_up))

    def _restart(self, on_up: Callable[[], None]) -> None:
        served, accepted = self._served, self._served.accepted
        if self._stages.is_stopping() or accepted is None:
            return
        try:
            self.attach(launch_controller(served.config_path, self._log_level, True, served.grant.identity))
        except OSError as e:
            log.error("cannot start a controller: %s", e)
            self._loop.call_later(RETRY_S, lambda: self._restart(on_up))
            return
        self.adopt(accepted.version, accepted.snapshot_fd, accepted.plan)
        self.tell_served()
        self.tell_logs()
        on_up()

    def tell_served(self) -> None:
        """Say what is served, where its counters are, and the stage of the program."""
        accepted = self._served.snapshot()
        self.send(Served(accepted.version), (accepted.tables_fd, *self._served.shared().fds()))
        self.tell_stage()

    def tell_logs(self) -> None:
        """Say what was switched in the logs since the configuration was read."""
        self.send(SetLogLevel("", self._logs.level()))
        for path in self._logs.silent():
            self.send(SetLogEnabled(path, False))

    def tell_stage(self) -> None:
        """Say what stage the program is in."""
        self.send(State(int(self._stages.now)))

    def send(self, frame: Frame, fds: tuple[int, ...] = ()) -> None:
        """Send *frame*; lost if there is no controller just now (it is told all that counts when it starts)."""
        if self._channel is not None:
            self._channel.send(frame, fds)

    def adopt(self, version: int, snapshot_fd: int, plan: Plan) -> None:
        """Let it take this snapshot, which it did not load, for what is served; it learns what was said in *filed*, too.

        If there is no descriptor or memory to tell it, another one will be told.
        """
        try:
            plan_fd = seal_bytes("mosn_mp-plan", encode_plan(plan))
        except OSError as e:
            log.error("the new controller cannot be told what is served: %s", e.strerror)
            self.kill()
            return
        self.send(Adopt(version, self.filed), (snapshot_fd, plan_fd))
        os.close(plan_fd)

    def kill(self) -> None:
        """SIGKILL it, if it runs; reaped() hears of it."""
        if self.pid:
            self.is_ending = True
            os.kill(self.pid, signal.SIGKILL)

    def reaped(self, pid: int, status: int) -> bool:
        """Child *pid* ended: tell the owner. False if it was not the controller."""
        if pid != self.pid:
            return False
        if self._channel is not None:
            self._channel.read_last()
            self._channel.close()
        self._channel = None
        self.pid = 0
        self._on_death(describe_end(status))
        return True
