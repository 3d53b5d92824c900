"""The workers as the master sees them: forked into slots, spoken to over channels, reaped and replaced."""

import enum
import gc
import os
import signal
import time
from collections.abc import Callable

from mosn_mp.ipc.channel import Channel, Delivery, close_fds
from mosn_mp.ipc.frames import Frame, Pulse
from mosn_mp.master.line import Line
from mosn_mp.master.loop import Loop
from mosn_mp.master.respawn import Respawn
from mosn_mp.worker.boot import WorkerOrder, run_worker


class WorkerState(enum.Enum):
    """Where a worker stands, as `status` shows it."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class Worker:
    """One worker process."""

    line: Line

    def __init__(self, slot: int, pid: int) -> None:
        self.slot = slot
        self.pid = pid
        self.started_at = time.monotonic()
        self.state = WorkerState.STARTING
        self.version = 0
        self.active = 0
        self.pulse_at = self.started_at

    def __str__(self) -> str:
        return f"worker {self.slot} (pid {self.pid})"


class Crew:
    """All workers. The owner is told of frames and deaths, and decides about both."""

    def __init__(
        self,
        loop: Loop,
        make_order: Callable[[int, Channel], WorkerOrder],
        on_frame: Callable[[Worker, Delivery], None],
        on_death: Callable[[Worker, str], None],
    ) -> None:
        self._loop = loop
        self._make_order = make_order
        self._on_frame = on_frame
        self._on_death = on_death
        self._workers: dict[int, Worker] = {}
        self._respawns: dict[int, Respawn] = {}

    def workers(self) -> list[Worker]:
        """Those alive, by slot."""
        return sorted(self._workers.values(), key=lambda w: (w.slot, w.pid))

    def deaths(self, slot: int) -> int:
        """How many workers of *slot* ended before they were told to."""
        return self._respawns[slot].deaths if slot in self._respawns else 0

    def delay_s(self, worker: Worker) -> float:
        """How long to wait with the replacement of *worker*, which just died."""
        return self._respawns[worker.slot].delay_s(time.monotonic() - worker.started_at)

    def spawn(self, slot: int) -> Worker:
        """Fork the worker of *slot*."""
        ours, theirs = Channel.pair()
        order = self._make_order(slot, theirs)
        gc.collect()
        gc.freeze()  # the collector never writes into the pages that master and workers share
        # A signal between fork() and the new handlers would be written to the wake-up pipe, which is still the master's.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        pid = os.fork()
        if pid == 0:
            run_worker(order)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        theirs.close()
        worker = Worker(slot, pid)
        worker.line = Line(self._loop, ours, str(worker), lambda d: self._take(worker, d), lambda: self.kill(worker))
        self._workers[pid] = worker
        self._respawns.setdefault(slot, Respawn())
        return worker

    def send(self, worker: Worker, frame: Frame, fds: tuple[int, ...] = ()) -> None:
        """Send *frame* to *worker*; one that is gone is left to reaped(), one that does not read is killed."""
        worker.line.send(frame, fds)

    def broadcast(self, frame: Frame) -> None:
        """Send *frame* to all."""
        for worker in self.workers():
            self.send(worker, frame)

    def kill(self, worker: Worker) -> None:
        """SIGKILL; reap() hears of it."""
        if worker.pid in self._workers:  # not reaped yet, so the pid is still its own
            os.kill(worker.pid, signal.SIGKILL)

    def reaped(self, pid: int, status: int) -> bool:
        """Child *pid* ended with wait status *status*: tell the owner. False if it was no worker."""
        worker = self._workers.pop(pid, None)
        if worker is None:
            return False
        worker.line.read_all()  # what it said last is heard before its death is
        worker.line.close()
        self._on_death(worker, describe_end(status))
        return True

    def _take(self, worker: Worker, delivery: Delivery) -> None:
        if isinstance(delivery.frame, Pulse):
            worker.active = delivery.frame.active
            worker.pulse_at = time.monotonic()
            close_fds(delivery.fds)
        else:
            self._on_frame(worker, delivery)


def describe_end(status: int) -> str:
    """A wait status in words: "exit status 1", "killed by SIGKILL"."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        return f"killed by {name}" + (" (core dumped)" if os.WCOREDUMP(status) else "")
    return f"exit status {os.waitstatus_to_exitcode(status)}"
