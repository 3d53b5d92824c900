"""Live connections that go from one worker to another: who gives how many to whom, and how it ended.

The master makes a channel and gives one end to each; what passes between both it does not see (worker/transfer.py).
"""

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mosn_mp.ipc.channel import Channel
from mosn_mp.ipc.frames import Give, Given, Receive
from mosn_mp.master.processes.workers import Worker, Workers

log = logging.getLogger("mosn_mp.master")

Send = Callable[[Receive, tuple[int, ...]], None]

MAX_CONNECTIONS = 1 << 20  # of one worker; no more are believed to have gone


class Move(NamedTuple):
    """So many connections from one to another, by their places in a list."""

    giver: int
    receiver: int
    connections: int


class Transfers:
    """Those under way."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._numbers = 0
        self._under_way: dict[int, tuple[int, Callable[[int], None]]] = {}  # number -> giver's pid, whom to tell

    def begin(self, giver: Worker, send: Send, count: int, done: Callable[[int], None]) -> None:
        """Let *giver* give *count* connections (-1: all) to the one that *send* reaches; *done* hears how many went."""
        try:
            one, other = Channel.pair()
        except OSError as e:
            log.error("%s: its connections stay: %s", giver, e.strerror)
            done(0)
            return
        self._numbers += 1
        self._under_way[self._numbers] = (giver.pid, done)
        send(Receive(), (other.fileno(),))
        self._workers.send(giver, Give(self._numbers, count), (one.fileno(),))
        one.close()
        other.close()

    def between(self, giver: Worker, receiver: Worker, count: int, done: Callable[[int], None]) -> None:
        """begin() between two workers of ours."""
        self.begin(giver, lambda frame, fds: self._workers.send(receiver, frame, fds), count, done)

    def take(self, giver: Worker, frame: Given) -> None:
        """*giver* is done."""
        pid, done = self._under_way.get(frame.number, (0, _nobody))
        if pid == giver.pid:
            del self._under_way[frame.number]
            done(max(0, min(frame.count, MAX_CONNECTIONS)))

    def lost(self, worker: Worker) -> None:
        """*worker* died: it gives nothing more."""
        for number, (pid, done) in list(self._under_way.items()):
            if pid == worker.pid:
                del self._under_way[number]
                done(0)


def even_out(counts: Sequence[int]) -> list[Move]:
    """The moves after which no two of *counts* differ by more than one."""
    share, rest = divmod(sum(counts), len(counts))
    # Those that have most anyway keep the odd ones: fewer connections move.
    richest = set(sorted(range(len(counts)), key=lambda at: -counts[at])[:rest])
    surplus = [count - share - (at in richest) for at, count in enumerate(counts)]
    moves = []
    needy = [at for at, more in enumerate(surplus) if more < 0]
    for giver, more in enumerate(surplus):
        while more > 0:
            receiver = needy[0]
            count = min(more, -surplus[receiver])
            moves.append(Move(giver, receiver, count))
            more -= count
            surplus[receiver] += count
            if surplus[receiver] == 0:
                needy.pop(0)
    return moves


def _nobody(_: int) -> None:
    """The answer came too late."""
