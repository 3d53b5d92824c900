"""Even numbers of connections at all workers: when somebody asks, and by itself when one has had too many for a while.

The kernel spreads new connections by chance, and those that stay (RPC, WebSocket) keep a bad draw; after a worker was replaced,
or workers were added, the newcomers have nearly none.
"""

import logging
import time
from collections.abc import Callable

from mosn_mp.ipc.report import RebalanceReport
from mosn_mp.master.events.loop import Loop
from mosn_mp.master.processes.transfer import Transfers, even_out
from mosn_mp.master.processes.workers import Worker, Workers
from mosn_mp.master.state.served import ServedState

log = logging.getLogger("mosn_mp.master")

Reply = Callable[[RebalanceReport], None]

# What is worth moving by itself: this many connections above the average, and this part of it, at so many looks in a row.
LEAST_SURPLUS = 32
SURPLUS_PART = 0.25
LOOKS = 3


class Rebalancer:
    """One rebalance at a time."""

    def __init__(self, loop: Loop, workers: Workers, served: ServedState, transfers: Transfers) -> None:
        self._loop = loop
        self._workers = workers
        self._served = served
        self._transfers = transfers
        self._replies: list[Reply] = []
        self._left = 0  # transfers of the one under way
        self._moved = 0
        self._began_at = 0.0
        self._before: dict[int, int] = {}
        self._uneven = 0  # looks in a row that found a surplus
        self._is_looking = False
        self.interval_s = 0.0  # between looks; 0 = never by itself

    def begin(self, reply: Reply) -> None:
        """Even out, and tell *reply* how it went."""
        self._replies.append(reply)
        if self._left == 0 and len(self._replies) == 1:
            self._start()

    def watch(self) -> None:
        """Begin to look, if interval_s says so; to be called whenever it changed."""
        if not self._is_looking and self.interval_s > 0:
            self._is_looking = True
            self._loop.call_later(self.interval_s, self._look)

    def _connections_of(self, worker: Worker) -> int:
        return self._served.shared().connections_of(worker.row)

    def _start(self) -> None:
        workers = self._workers.serving()
        self._began_at = time.monotonic()
        self._before = {worker.slot: self._connections_of(worker) for worker in workers}
        self._moved = 0
        moves = even_out([self._before[worker.slot] for worker in workers]) if workers else []
        self._left = len(moves)
        for giver, receiver, count in moves:
            self._transfers.between(workers[giver], workers[receiver], count, self._on_given)
        if not moves:
            self._finish()

    def _on_given(self, count: int) -> None:
        self._moved += count
        self._left -= 1
        if self._left == 0:
            self._finish()

    def _finish(self) -> None:
        report = RebalanceReport(
            moved=self._moved,
            took_s=time.monotonic() - self._began_at,
            before=self._before,
            after={worker.slot: self._connections_of(worker) for worker in self._workers.serving()},
        )
        if report.moved:
            log.info("rebalance: %d connections moved in %.0f ms", report.moved, report.took_s * 1000)
        replies, self._replies = self._replies, []
        for reply in replies:
            reply(report)

    def _look(self) -> None:
        self._is_looking = False
        counts = [self._connections_of(worker) for worker in self._workers.serving()]
        average = sum(counts) / len(counts) if counts else 0.0
        is_uneven = bool(counts) and max(counts) - average > max(LEAST_SURPLUS, SURPLUS_PART * average)
        self._uneven = self._uneven + 1 if is_uneven else 0
        if self._uneven >= LOOKS and not self._replies:
            self._uneven = 0
            self.begin(lambda _: None)
        self.watch()
