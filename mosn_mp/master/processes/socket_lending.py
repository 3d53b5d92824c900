"""Sockets that nobody serves just now are lent to workers that do: the queue of a dead or leaving worker is never left alone.

Nothing is remembered but who borrows what: settle() compares what is with what should be, so it may be called at any time, and
is called whenever a worker begins or ends to serve and whenever the sockets change.
"""

from mosn_mp.ipc.frames import SocketName
from mosn_mp.master.listeners.sockets import ListeningSockets
from mosn_mp.master.processes.workers import Worker, Workers


class Lending:
    """Who serves the sockets of slots without a serving worker."""

    def __init__(self, workers: Workers, sockets: ListeningSockets) -> None:
        self._workers = workers
        self._sockets = sockets
        self._borrowers: dict[SocketName, Worker] = {}

    def settle(self) -> None:
        """Lend what needs a server, take back what has its own again."""
        serving = {worker.pid: worker for worker in self._workers.serving()}
        leaving = set(self._sockets.leaving())
        own = {worker.slot for worker in serving.values()}
        listening = self._sockets.listening()
        for name, worker in list(self._borrowers.items()):
            if worker.pid not in serving:
                del self._borrowers[name]  # dead, or draining and thus without sockets
            elif name not in listening or (name.slot in own and name not in leaving):
                del self._borrowers[name]
                self._workers.withdraw(worker, [name])
        if not serving:
            return
        workers = list(serving.values())
        for name, fd in listening.items():
            if name not in self._borrowers and not any(name in worker.held for worker in workers):
                worker = workers[name.slot % len(workers)]
                self._workers.give(worker, {name: fd}, is_lent=True)
                self._borrowers[name] = worker
