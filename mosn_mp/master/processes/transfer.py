"""Live connections that go from one worker to another: who gives how many to whom, and how it ended.

The master makes a channel and gives one end to each; what passes between both it does not see (worker/transfer.py).
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mosn_mp.ipc.channel import Channel
from mosn_mp.ipc.frames import Give, Given, Receive
from mosn_mp.master.events.loop import Loop, Timer
from mosn_mp.master.processes.workers import Worker, Workers

# What moves does so within milliseconds of coming to rest; the rest is told to close.
GIVE_S = 1.0
RETRY_S = 0.02

Send = Callable[[Receive, tuple[int, ...]], None]


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
        one, other = Channel.pair()
        self._numbers += 1
        self._under_way[self._numbers] = (giver.pid, done)
        send(Receive(), (other.fileno(),))
        self._workers.send(giver, Give(self._numbers, count), (one.fileno(),))
        one.close()
        other.close()

    def between(self, giver: Worker, receiver: Worker, count: int, done: Callable[[int], None]) -> None:
        """begin() between two workers of ours."""
        self.begin(giver, lambda frame, fds: self._workers.send(receiver, frame, fds), count, done)

    def take(self, frame: Given) -> None:
        """A giver is done."""
        _, done = self._under_way.pop(frame.number, (0, _nobody))
        done(frame.count)

    def lost(self, worker: Worker) -> None:
        """*worker* died: it gives nothing more."""
        for number, (pid, done) in list(self._under_way.items()):
            if pid == worker.pid:
                del self._under_way[number]
                done(0)


class TransferAll:
    """What a worker that leaves gives: all it has, to whom it can, within GIVE_S; then *then* is called, once."""

    def __init__(
        self,
        loop: Loop,
        transfers: Transfers,
        giver: Worker,
        find_receiver: Callable[[], Send | None],
        connections_of: Callable[[Worker], int],
        then: Callable[[Worker], None],
    ) -> None:
        """*find_receiver* says how to reach one that serves, None = there is none (any more)."""
        self._loop = loop
        self._transfers = transfers
        self._giver = giver
        self._find_receiver = find_receiver
        self._connections_of = connections_of
        self._then = then
        self._until = 0.0
        self._timer: Timer | None = None

    def begin(self) -> None:
        """Give."""
        self._until = time.monotonic() + GIVE_S
        self._timer = self._loop.call_later(GIVE_S, self._finish)
        self._give()

    def _give(self) -> None:
        send = self._find_receiver() if self._timer is not None else None
        if send is None:
            self._finish()
        else:
            self._transfers.begin(self._giver, send, -1, self._on_given)

    def _on_given(self, _: int) -> None:
        """All are gone, or the receiver is: then another one gets the rest."""
        if self._connections_of(self._giver) and time.monotonic() < self._until:
            self._loop.call_later(RETRY_S, self._give)
        else:
            self._finish()

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._then(self._giver)


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
