"""Workers that leave: they give their connections to others, finish what is left within the graceful timeout, and end."""

import time
from collections.abc import Callable
from functools import partial

from mosn_mp.ipc.frames import Drain
from mosn_mp.master.events.loop import Loop, Timer
from mosn_mp.master.processes.transfer import Send, Transfers
from mosn_mp.master.processes.workers import Worker, Workers, WorkerState
from mosn_mp.master.state.served import ServedState

DRAIN_GRACE_S = 1.0  # workers keep their own deadline; the master kills what is this late
# What moves does so within milliseconds of coming to rest; the rest is told to close.
GIVE_S = 1.0
RETRY_S = 0.02


class Draining:
    """Lets workers go."""

    def __init__(self, loop: Loop, workers: Workers, served: ServedState, transfers: Transfers) -> None:
        self._loop = loop
        self._workers = workers
        self._served = served
        self._transfers = transfers

    def begin(self, leaving: list[Worker]) -> None:
        """Let *leaving* give their connections to others, finish what is left and leave; their queues are others' meanwhile."""
        for worker in leaving:
            worker.state = WorkerState.DRAINING  # none of them receives what another one gives
        for worker in leaving:
            self.transfer_all(worker, partial(self._find_receiver, worker.slot))

    def transfer_all(self, worker: Worker, find_receiver: Callable[[], Send | None]) -> None:
        """Let *worker* give what it can, and then drain."""
        self._workers.withdraw(worker, list(worker.held))
        connections = partial(self._served.shared().connections_of, worker.row)
        TransferAll(self._loop, self._transfers, worker, find_receiver, connections, lambda: self._drain(worker)).begin()

    def _find_receiver(self, slot: int) -> Send | None:
        receivers = self._workers.serving()
        return partial(self._workers.send, receivers[slot % len(receivers)]) if receivers else None

    def _drain(self, worker: Worker) -> None:
        deadline_s = self._served.plan.graceful_timeout_s
        self._workers.send(worker, Drain(deadline_s))
        self._loop.call_later(deadline_s + DRAIN_GRACE_S, lambda: self._workers.kill(worker))


class TransferAll:
    """All connections of a worker go to whom can take them, within GIVE_S; then *then* is called, once."""

    def __init__(
        self,
        loop: Loop,
        transfers: Transfers,
        giver: Worker,
        find_receiver: Callable[[], Send | None],
        connections: Callable[[], int],
        then: Callable[[], None],
    ) -> None:
        """*find_receiver* says how to reach one that serves, None = there is none (any more); *connections* how many are left."""
        self._loop = loop
        self._transfers = transfers
        self._giver = giver
        self._find_receiver = find_receiver
        self._connections = connections
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
        if self._connections() and time.monotonic() < self._until:
            self._loop.call_later(RETRY_S, self._give)
        else:
            self._finish()

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._then()
