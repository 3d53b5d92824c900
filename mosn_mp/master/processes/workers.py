"""The workers as the master sees them: forked into slots, spoken to over channels, reaped and replaced."""

import enum
import gc
import os
import signal
import time
from collections.abc import Callable, Iterable

from mosn_mp.ipc.channel import Channel, Delivery
from mosn_mp.ipc.frames import Frame, Lend, Pulse, SetLogEnabled, SocketName, Sockets, Withdraw, chunked
from mosn_mp.master.events.channel import EventChannel
from mosn_mp.master.events.loop import Loop
from mosn_mp.master.processes.respawn import Respawn
from mosn_mp.master.state.logs import Logs
from mosn_mp.master.state.served import ServedState
from mosn_mp.worker.boot import PlaneFactory, WorkerOrder, run_worker


class WorkerState(enum.Enum):
    """Where a worker stands, as `status` shows it."""

    STARTING = "starting"
    SERVING = "serving"
    STUCK = "stuck"  # does not answer; being ended
    DRAINING = "draining"


class NoRowError(OSError):
    """All rows of shared memory are taken by workers that still drain."""


class Worker:
    """One worker process: *slot* is its place among the listening sockets, *row* its place in shared memory.

    They differ while a predecessor in the same slot still drains: it keeps counting in its own row.
    """

    channel: EventChannel

    def __init__(self, slot: int, row: int, pid: int) -> None:
        self.slot = slot
        self.row = row
        self.pid = pid
        self.started_at = time.monotonic()
        self.state = WorkerState.STARTING
        self.version = 0
        self.active = 0
        self.pulse_at = self.started_at
        self.held: set[SocketName] = set()

    def __str__(self) -> str:
        return f"worker {self.slot} (pid {self.pid})"


class Workers:
    """All workers. The owner is told of frames and deaths, and decides about both."""

    def __init__(
        self,
        loop: Loop,
        served: ServedState,
        logs: Logs,
        on_frame: Callable[[Worker, Delivery], None],
        on_death: Callable[[Worker, str], None],
    ) -> None:
        self._loop = loop
        self._served = served
        self._logs = logs
        self._on_frame = on_frame
        self._on_death = on_death
        self._by_pid: dict[int, Worker] = {}
        self._respawns: dict[int, Respawn] = {}
        self._ends: dict[int, str] = {}
        self.make_plane: PlaneFactory | None = None  # what a worker runs; set before the first one is spawned
        self.rows_of_others: set[int] = set()  # of the generation before this one

    def alive(self) -> list[Worker]:
        """Those alive, by slot."""
        return sorted(self._by_pid.values(), key=lambda w: (w.slot, w.pid))

    def serving(self) -> list[Worker]:
        """Those that serve the accepted version and are not told to leave."""
        return [worker for worker in self.alive() if worker.state is WorkerState.SERVING]

    def is_any_responding(self, within_s: float) -> bool:
        """Whether the loop of some worker turned not longer than *within_s* ago."""
        now = time.monotonic()
        return any(now - worker.pulse_at < within_s for worker in self._by_pid.values())

    def of_slots(self, slots: int) -> list[Worker]:
        """Those of the first *slots* slots that are not told to leave."""
        return [w for w in self.alive() if w.slot < slots and w.state is not WorkerState.DRAINING]

    def deaths(self, slot: int) -> int:
        """How many workers of *slot* ended before they were told to."""
        return self._respawns[slot].deaths if slot in self._respawns else 0

    def last_end(self, slot: int) -> str:
        """How the last of them ended, "" if there was none."""
        return self._ends.get(slot, "")

    def delay_s(self, worker: Worker, how: str) -> float:
        """How long to wait with the replacement of *worker*, which just died as *how* says."""
        self._ends[worker.slot] = how
        return self._respawns[worker.slot].delay_s(time.monotonic() - worker.started_at)

    def spawn(self, slot: int) -> Worker:
        """Fork a worker of *slot*; OSError if there is no process, descriptor or row for it."""
        row = self._free_row(slot)
        ours, theirs = Channel.pair()
        pid = 0
        try:
            pid = self._fork(self._make_order(slot, row, theirs))
            worker = Worker(slot, row, pid)
            worker.channel = EventChannel(
                self._loop, ours, str(worker), lambda d: self._take(worker, d), lambda: self.kill(worker)
            )
        except OSError:
            ours.close()
            if pid:
                os.kill(pid, signal.SIGKILL)  # nobody could talk to it
            raise
        finally:
            theirs.close()
        self._by_pid[pid] = worker
        self._respawns.setdefault(slot, Respawn())
        return worker

    @staticmethod
    def _fork(order: WorkerOrder) -> int:
        gc.collect()
        gc.freeze()  # the collector never writes into the pages that master and workers share
        # A signal between fork() and the new handlers would be written to the wake-up pipe, which is still the master's.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                run_worker(order)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
        return pid

    def send(self, worker: Worker, frame: Frame, fds: tuple[int, ...] = ()) -> None:
        """Send *frame* to *worker*; one that is gone is left to reaped(), one that does not read is killed."""
        worker.channel.send(frame, fds)

    def give(self, worker: Worker, sockets: dict[SocketName, int], is_lent: bool = False) -> None:
        """Send *worker* those of *sockets* that it does not have: its own ones, to be served after Commit, or lent ones."""
        fresh = [name for name in sockets if name not in worker.held]
        for names in chunked(fresh):
            frame = Lend(list(names)) if is_lent else Sockets(list(names))
            self.send(worker, frame, tuple(sockets[name] for name in names))
        worker.held.update(fresh)

    def withdraw(self, worker: Worker, names: Iterable[SocketName]) -> None:
        """Take those of *names* back that *worker* has."""
        for some in chunked([name for name in names if name in worker.held]):
            self.send(worker, Withdraw(list(some)))
            worker.held.difference_update(some)

    def broadcast(self, frame: Frame) -> None:
        """Send *frame* to all."""
        for worker in self.alive():
            self.send(worker, frame)

    def silence(self, worker: Worker) -> None:
        """Tell a new worker which logs are switched off."""
        for path in self._logs.silent():
            self.send(worker, SetLogEnabled(path, False))

    def kill(self, worker: Worker) -> None:
        """SIGKILL; reap() hears of it."""
        self.signal(worker, signal.SIGKILL)

    def signal(self, worker: Worker, number: int) -> None:
        """Send *worker* the signal *number*."""
        if worker.pid in self._by_pid:  # not reaped yet, so the pid is still its own
            os.kill(worker.pid, number)

    def dismiss(self, worker: Worker) -> None:
        """End *worker*, which serves nothing yet; its end is none to be answered by a replacement."""
        worker.state = WorkerState.DRAINING
        self.kill(worker)

    def reaped(self, pid: int, status: int) -> bool:
        """Child *pid* ended with wait status *status*: tell the owner. False if it was no worker."""
        worker = self._by_pid.pop(pid, None)
        if worker is None:
            return False
        worker.channel.read_last()  # what it said last is heard before its death is
        worker.channel.close()
        self._on_death(worker, describe_end(status))
        return True

    def _make_order(self, slot: int, row: int, channel: Channel) -> WorkerOrder:
        assert self.make_plane is not None
        logs, plan = self._logs, self._served.plan
        logs.provide(plan)
        return WorkerOrder(
            slot, row, channel, logs.files, logs.path, logs.level(), plan.graceful_timeout_s, self.make_plane,
            self._served.shared(), self._served.reach, self._served.grant.identity,
        )  # fmt: skip

    def _free_row(self, slot: int) -> int:
        """The row of a new worker: numbered as its slot if it can be, so that graphs by row stay together."""
        count: int = self._served.shared().rows
        taken: set[int] = {worker.row for worker in self._by_pid.values()} | self.rows_of_others
        rows: list[int] = [slot, *range(count)]
        for row in rows:
            if row < count and row not in taken:
                return row
        raise NoRowError(0, f"all {count} rows of shared memory are taken by workers that still drain")

    def _take(self, worker: Worker, delivery: Delivery) -> None:
        if isinstance(delivery.frame, Pulse):
            worker.active = delivery.frame.active
            worker.pulse_at = time.monotonic()
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
