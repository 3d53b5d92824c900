"""Looks after workers that live but do not work: stuck in a loop or a lock, stopped, or too large.

Each worker writes the time into its row of shared memory whenever its loop turns (worker/vitals.py), and says over its channel
every second that it lives: a row can be written by any worker, a channel by its own alone. One whose last sign of either kind
is too long ago is told to write its stacks to the log, then aborted; one that is stopped cannot do that and is killed.
A worker that only waits for a CPU is not stuck: the kernel counts that time (schedstat), and it gets more.
One that outgrows its memory limit works, so it is replaced first and drained then.

Sources: gunicorn's heartbeat and SIGABRT; proc(5) for stat, schedstat, and RssAnon, which leaves the arena out (it is a memfd).
"""

import logging
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mosn_mp.master.events.loop import Loop
from mosn_mp.master.processes.workers import Worker, Workers, WorkerState
from mosn_mp.observe.metrics.cells import WORKER
from mosn_mp.observe.metrics.metrics import Metrics
from mosn_mp.worker.stack_dump import DUMP_SIGNAL

log = logging.getLogger("mosn_mp.master")

LOOK_EVERY_S = 0.25
DUMP_S = 0.15  # to write a few stacks
ABORT_S = 0.35  # and to die of SIGABRT
# A worker that waits for a CPU for more than half of the time gets this many times the limit, unless it had ENOUGH to beat: a
# healthy one needs some milliseconds.
STARVED_TIMES = 4
ENOUGH_S = 0.1
# Memory is looked at in every fourth round; a worker that was just started may be importing.
MEMORY_ROUNDS = 4
LEAST_AGE_S = 5.0
RETRY_AFTER_S = 30.0  # a replacement that failed is not tried again at once

_BEAT_AT = WORKER.cell("heartbeat_at").at


class Shares(NamedTuple):
    """How long a process ran, and how long it could have run and did not get a CPU."""

    ran_s: float
    waited_s: float


class Doubt(NamedTuple):
    """When a worker was first late, and what it had had of the CPUs until then."""

    since: float
    shares: Shares


class Watchdog:
    """Looks at all workers every LOOK_EVERY_S."""

    def __init__(
        self, loop: Loop, workers: Workers, on_stuck: Callable[[Worker], None], on_too_large: Callable[[Worker], None]
    ) -> None:
        """*on_stuck* hears of a worker that is being ended, *on_too_large* of one that is to be replaced."""
        self._loop = loop
        self._workers = workers
        self._on_stuck = on_stuck
        self._on_too_large = on_too_large
        self._metrics: Metrics | None = None
        self._looked_at = 0.0
        self._trusted_from = 0.0
        self._rounds = 0
        self._doubts: dict[int, Doubt] = {}  # by pid
        self._asked: dict[int, float] = {}  # pid -> when its replacement was asked for
        self.stall_s = 0.0  # 0 = nobody is ever stuck
        self.memory_limit = 0  # 0 = none
        self.is_patient = False  # while workers compile a version: they are late, and have a deadline of their own

    def start(self, metrics: Metrics) -> None:
        """Look at the hearts in *metrics* from now on."""
        self._metrics = metrics
        self._looked_at = time.monotonic()
        self._look()

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked_at > 3 * LOOK_EVERY_S or self.is_patient:
            self._trusted_from = now  # we were late ourselves: so may be everybody
        self._looked_at = now
        self._rounds += 1
        workers = [w for w in self._workers.alive() if w.state in (WorkerState.SERVING, WorkerState.DRAINING)]
        for worker in workers if self.stall_s > 0 else ():
            self._check_heartbeat(worker, now)
        if self.memory_limit and self._rounds % MEMORY_ROUNDS == 0:
            for worker in workers:
                self._check_memory(worker, now)
        alive = {worker.pid for worker in workers}
        self._doubts = {pid: doubt for pid, doubt in self._doubts.items() if pid in alive}
        self._asked = {pid: at for pid, at in self._asked.items() if pid in alive}
        self._loop.call_later(LOOK_EVERY_S, self._look)

    def _check_heartbeat(self, worker: Worker, now: float) -> None:
        assert self._metrics is not None
        beat_at = self._metrics.row(worker.row, _BEAT_AT, 1)[0] / 1000
        silent_s = now - max(beat_at, worker.pulse_at, self._trusted_from, worker.started_at)
        if silent_s < self.stall_s / 2:
            self._doubts.pop(worker.pid, None)
            return
        shares = cpu_shares(worker.pid)
        doubt = self._doubts.setdefault(worker.pid, Doubt(now, shares))
        if silent_s < self.stall_s:
            return
        ran_s, waited_s = shares.ran_s - doubt.shares.ran_s, shares.waited_s - doubt.shares.waited_s
        is_starved = ran_s < ENOUGH_S and waited_s > (now - doubt.since) / 2
        if not is_starved or silent_s >= STARVED_TIMES * self.stall_s:
            self._end(worker, silent_s)

    def _end(self, worker: Worker, silent_s: float) -> None:
        is_stopped = process_state(worker.pid) in ("T", "t")
        what = "is stopped (by a signal or a debugger): killing it" if is_stopped else "is stuck: its stacks follow, then its end"
        log.error("%s has not turned its loop for %.1f s and %s", worker, silent_s, what)
        worker.state = WorkerState.STUCK
        self._on_stuck(worker)
        if is_stopped:
            self._workers.kill(worker)
            return
        self._workers.signal(worker, DUMP_SIGNAL)
        self._loop.call_later(DUMP_S, lambda: self._workers.signal(worker, signal.SIGABRT))
        self._loop.call_later(DUMP_S + ABORT_S, lambda: self._workers.kill(worker))

    def _check_memory(self, worker: Worker, now: float) -> None:
        if worker.state is not WorkerState.SERVING or now - worker.started_at < LEAST_AGE_S:
            return
        size = private_bytes(worker.pid)
        if size <= self.memory_limit or now - self._asked.get(worker.pid, -RETRY_AFTER_S) < RETRY_AFTER_S:
            return
        self._asked[worker.pid] = now
        log.warning("%s has %d MiB of its own, %d are allowed: replacing it", worker, size >> 20, self.memory_limit >> 20)
        self._on_too_large(worker)


def process_state(pid: int) -> str:
    """The kernel's letter for what *pid* does: R, S, D, T (stopped), t (traced), Z; "" if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def cpu_shares(pid: int) -> Shares:
    """What *pid* got of the CPUs; zeros if the kernel does not count it."""
    try:
        ran_ns, waited_ns, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    except (OSError, ValueError):
        return Shares(0.0, 0.0)
    return Shares(int(ran_ns) / 1e9, int(waited_ns) / 1e9)


def private_bytes(pid: int) -> int:
    """Memory that is *pid*'s own: neither the arena nor files; 0 if it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0
