"""The controller as the master sees it: started by exec, restarted with back-off, told what serves."""

import os
import signal
import time
from collections.abc import Callable

from mosn_mp.ipc.channel import Channel, Delivery
from mosn_mp.ipc.frames import Adopt, Filed, Frame
from mosn_mp.ipc.memfd import seal_bytes
from mosn_mp.ipc.plan import Plan, encode_plan
from mosn_mp.master.events.channel import EventChannel
from mosn_mp.master.events.loop import Loop
from mosn_mp.master.processes.launch import Launched
from mosn_mp.master.processes.respawn import Respawn
from mosn_mp.master.processes.workers import describe_end


class ControllerProcess:
    """Runs one controller; the owner is told of its frames and of every death, and decides about both."""

    def __init__(self, loop: Loop, on_frame: Callable[[Delivery], None], on_death: Callable[[str], None]) -> None:
        self._loop = loop
        self._on_frame = on_frame
        self._on_death = on_death
        self._channel: EventChannel | None = None
        self._respawn = Respawn()
        self.pid = 0
        self.started_at = 0.0
        self.filed = Filed(0)  # what it said of the configuration file

    def deaths(self) -> int:
        """How many controllers ended before they were told to."""
        return self._respawn.deaths

    def delay_s(self) -> float:
        """How long to wait with the replacement of the one that just died."""
        return self._respawn.delay_s(time.monotonic() - self.started_at)

    def attach(self, launched: Launched) -> None:
        """Talk to the controller that was just *launched*."""
        self.pid = launched.pid
        self.started_at = time.monotonic()
        who = f"controller (pid {self.pid})"
        self._channel = EventChannel(self._loop, Channel(launched.sock), who, self._on_frame, self.kill)

    def send(self, frame: Frame, fds: tuple[int, ...] = ()) -> None:
        """Send *frame*; lost if there is no controller just now (it is told all that counts when it starts)."""
        if self._channel is not None:
            self._channel.send(frame, fds)

    def adopt(self, version: int, snapshot_fd: int, plan: Plan) -> None:
        """Let it take this snapshot, which it did not load, for what is served; it learns what was said in *filed*, too."""
        plan_fd = seal_bytes("mosn_mp-plan", encode_plan(plan))
        self.send(Adopt(version, self.filed), (snapshot_fd, plan_fd))
        os.close(plan_fd)

    def kill(self) -> None:
        """SIGKILL it, if it runs; reaped() hears of it."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)

    def reaped(self, pid: int, status: int) -> bool:
        """Child *pid* ended: tell the owner. False if it was not the controller."""
        if pid != self.pid:
            return False
        if self._channel is not None:
            self._channel.read_all()
            self._channel.close()
        self._channel = None
        self.pid = 0
        self._on_death(describe_end(status))
        return True
