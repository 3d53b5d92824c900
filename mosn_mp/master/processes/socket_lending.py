"""Sockets that nobody serves just now are lent to workers that do: the queue of a dead, leaving or full worker is not left alone.

A worker is full while it has no descriptors for one more client (net/connection/descriptors.py). The kernel goes on giving its
socket a share of the connections; they are accepted by the worker that has most room, until their own one has room again.

Nothing is remembered but who borrows what: settle() compares what is with what should be, so it may be called at any time, and
is called whenever a worker begins or ends to serve, is found full or not any more, and whenever the sockets change.
"""

from mosn_mp.ipc.frames import SocketName
from mosn_mp.master.events.loop import Loop
from mosn_mp.master.processes.workers import Worker, Workers
from mosn_mp.master.state.served import ServedState

RETRY_S = 0.2
LOOK_S = 0.25  # between looks for full workers; one that is full at two of them in a row is helped
LEAST_ROOM = 8  # descriptors; whoever has less needs them for its own clients


class Lending:
    """Who serves the sockets of slots without a worker that can."""

    def __init__(self, loop: Loop, workers: Workers, served: ServedState) -> None:
        self._loop = loop
        self._workers = workers
        self._served = served
        self._borrowers: dict[SocketName, Worker] = {}
        self._turn = 0  # of the workers, which is next to be asked
        self._rooms: dict[int, int] = {}  # by pid, as of the last look; negative: full
        self._full: set[int] = set()  # slots that were so at the last two looks
        self._is_looking = False

    def missed(self, worker: Worker, names: list[SocketName]) -> None:
        """*worker* has no descriptors for these: another one shall have them, or this one in a moment."""
        names = [name for name in names if self._borrowers.get(name) is worker]
        if not names:
            return  # they were taken back meanwhile
        worker.held.difference_update(names)
        for name in names:
            del self._borrowers[name]
        self._turn += 1
        self._loop.call_later(RETRY_S, self.settle)

    def settle(self) -> None:
        """Lend what needs a server, take back what has its own again."""
        serving = {worker.pid: worker for worker in self._workers.serving()}
        listening = self._served.sockets.listening()
        own = {worker.slot for worker in serving.values()} - self._full
        leaving = set(self._served.sockets.leaving())
        for name, worker in list(self._borrowers.items()):
            if worker.pid not in serving:
                del self._borrowers[name]  # dead, or draining and thus without sockets
            elif name not in listening or (name.slot in own and name not in leaving) or worker.slot in self._full:
                del self._borrowers[name]
                self._workers.withdraw(worker, [name])
        for name, fd in listening.items():
            if name not in self._borrowers:
                self._lend(name, fd, list(serving.values()))
        if not self._is_looking:
            self._is_looking = True
            self._loop.call_later(LOOK_S, self._look)

    def _lend(self, name: SocketName, fd: int, serving: list[Worker]) -> None:
        """Let somebody have *name* if it needs that."""
        holders = [worker for worker in serving if name in worker.held]
        if not holders and serving:
            borrower = serving[(name.slot + self._turn) % len(serving)]
        elif holders and all(worker.slot in self._full for worker in holders):
            borrower = max(serving, key=lambda worker: self._rooms.get(worker.pid, 0))
            if self._rooms.get(borrower.pid, 0) < LEAST_ROOM:
                return
        else:
            return
        self._workers.give(borrower, {name: fd}, is_lent=True)
        self._borrowers[name] = borrower

    def _look(self) -> None:
        """Find out who is full."""
        serving = self._workers.serving()
        before = {worker.slot for worker in serving if self._rooms.get(worker.pid, 0) < 0}
        memory = self._served.shared()
        self._rooms = {worker.pid: memory.room_of(worker.row) for worker in serving}
        full = before & {worker.slot for worker in serving if self._rooms[worker.pid] < 0}
        if full or self._full:
            self._full = full
            self.settle()
        self._loop.call_later(LOOK_S, self._look)
