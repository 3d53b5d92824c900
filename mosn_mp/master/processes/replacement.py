"""Workers that come into the place of others: of one that died, and of one that works but shall leave."""

import logging
from collections.abc import Callable

from mosn_mp.master.events.loop import Loop
from mosn_mp.master.processes.drain import Draining
from mosn_mp.master.processes.socket_lending import Lending
from mosn_mp.master.processes.workers import Worker, Workers, WorkerState
from mosn_mp.master.state.logs import Logs
from mosn_mp.master.state.served import ServedState
from mosn_mp.master.state.stages import Stages

log = logging.getLogger("mosn_mp.master")

POLL_S = 0.02
RETRY_S = 1.0  # after the system had no room for a new process

# Lets a new worker serve what is served; called back with the reason why it cannot, or when it does.
BringUp = Callable[[Worker, Callable[[str], None], Callable[[], None] | None], None]


class Replacement:
    """Refills slots and supersedes workers."""

    def __init__(
        self,
        loop: Loop,
        workers: Workers,
        served: ServedState,
        stages: Stages,
        lending: Lending,
        draining: Draining,
        logs: Logs,
        bring_up: BringUp,
        is_undecided: Callable[[], bool],
    ) -> None:
        """*is_undecided*: whether it will be clear in a moment what a new worker has to serve."""
        self._loop = loop
        self._workers = workers
        self._served = served
        self._stages = stages
        self._lending = lending
        self._draining = draining
        self._bring_up = bring_up
        self._is_undecided = is_undecided

    def refill(self, slot: int, delay_s: float = 0.0) -> None:
        """Start a worker of the accepted version in *slot*, after *delay_s*; its sockets were open all the time."""
        self._loop.call_later(delay_s, lambda: self._refill(slot))

    def supersede(self, worker: Worker) -> None:
        """Start another worker for the slot of *worker*, which works but shall leave when the other one serves."""
        if not self._is_wanted(worker.slot):
            return
        if self._is_undecided():
            self._loop.call_later(POLL_S, lambda: self.supersede(worker))
            return

        def part() -> None:
            if successor.state is WorkerState.SERVING and worker.state is WorkerState.SERVING:
                self._draining.begin([worker])
                self._lending.settle()

        try:
            successor = self._workers.spawn(worker.slot)
        except OSError as e:
            log.error("slot %d: cannot start a worker: %s", worker.slot, e)
            return
        log.info("%s started, to replace %s", successor, worker)
        self._begin(successor, part)

    def _refill(self, slot: int) -> None:
        if not self._is_wanted(slot):
            return
        if self._is_undecided():
            self.refill(slot, POLL_S)
            return
        if any(worker.slot == slot for worker in self._workers.of_slots(self._served.plan.workers)):
            return
        try:
            worker = self._workers.spawn(slot)
        except OSError as e:  # no memory or no descriptors for one more process just now
            log.error("slot %d: cannot start a worker: %s", slot, e)
            self.refill(slot, RETRY_S)
            return
        log.info("%s started", worker)
        self._begin(worker, None)

    def _is_wanted(self, slot: int) -> bool:
        served = self._served
        return not self._stages.is_stopping() and served.accepted is not None and slot < served.plan.workers

    def _begin(self, worker: Worker, on_serving: Callable[[], None] | None) -> None:
        self._bring_up(worker, lambda reason: self._give_up(worker, reason), on_serving)

    def _give_up(self, worker: Worker, reason: str) -> None:
        """A new worker cannot serve what the others serve: end it; its slot is refilled with back-off."""
        log.error("%s cannot serve: %s", worker, reason)
        self._workers.kill(worker)
