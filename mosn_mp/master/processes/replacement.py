"""Workers that come into the place of others, and workers that leave: who replaces whom, who gets the connections, until when."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from mosn_mp.ipc.frames import Drain
from mosn_mp.ipc.plan import Plan
from mosn_mp.master.processes.socket_lending import Lending
from mosn_mp.master.processes.transfer import Send, TransferAll, Transfers
from mosn_mp.master.processes.workers import Worker, WorkerState
from mosn_mp.master.rollout.deployment import Deployer

log = logging.getLogger("mosn_mp.master")

DRAIN_GRACE_S = 1.0  # workers keep their own deadline; the master kills what is this late
POLL_S = 0.02
RETRY_S = 1.0  # after the system had no room for a new process


class Owner(Deployer, Protocol):
    """What replacing needs of the master."""

    plan: Plan
    lending: Lending
    transfers: Transfers

    def is_stopping(self) -> bool:
        """Whether no worker is to be started any more."""

    def is_undecided(self) -> bool:
        """Whether it will be clear in a moment what a new worker has to serve."""

    def connections_of(self, worker: Worker) -> int:
        """How many clients' connections it has."""

    def instruct(self, worker: Worker) -> None:
        """Tell a new worker what was switched since the start."""


class Replacement:
    """Refills slots, supersedes workers, lets them go."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    def refill(self, slot: int, delay_s: float = 0.0) -> None:
        """Start a worker of the accepted version in *slot*, after *delay_s*; its sockets were open all the time."""
        self._owner.loop.call_later(delay_s, lambda: self._refill(slot))

    def _refill(self, slot: int) -> None:
        owner = self._owner
        if owner.is_stopping() or owner.accepted is None or slot >= owner.plan.workers:
            return
        if owner.is_undecided():
            self.refill(slot, POLL_S)
            return
        if any(worker.slot == slot for worker in owner.workers.of_slots(owner.plan.workers)):
            return
        try:
            worker = owner.workers.spawn(slot)
        except OSError as e:  # no memory or no descriptors for one more process just now
            log.error("slot %d: cannot start a worker: %s", slot, e)
            self.refill(slot, RETRY_S)
            return
        log.info("%s started", worker)
        owner.deploy(owner.accepted, [worker], lambda: None, lambda reason: self._give_up(worker, reason))
        owner.instruct(worker)

    def supersede(self, worker: Worker) -> None:
        """Start another worker for the slot of *worker*, which works but shall leave when the other one serves."""
        owner = self._owner
        if owner.is_stopping() or owner.accepted is None or worker.slot >= owner.plan.workers:
            return
        if owner.is_undecided():
            owner.loop.call_later(POLL_S, lambda: self.supersede(worker))
            return

        def part() -> None:
            if successor.state is WorkerState.SERVING and worker.state is WorkerState.SERVING:
                self.let_go([worker])
                owner.lending.settle()

        try:
            successor = owner.workers.spawn(worker.slot)
        except OSError as e:
            log.error("slot %d: cannot start a worker: %s", worker.slot, e)
            return
        log.info("%s started, to replace %s", successor, worker)
        owner.deploy(owner.accepted, [successor], lambda: None, lambda reason: self._give_up(successor, reason), part)
        owner.instruct(successor)

    def let_go(self, workers: list[Worker]) -> None:
        """Let *workers* give their connections to others, finish what is left and leave; their queues are others' meanwhile."""
        for worker in workers:
            worker.state = WorkerState.DRAINING  # none of them is another one's receiver
        for worker in workers:
            self.transfer_all(worker, partial(self._find_receiver, worker.slot))

    def transfer_all(self, worker: Worker, find_receiver: Callable[[], Send | None]) -> None:
        """Let *worker* give what it can, and then drain."""
        owner = self._owner
        owner.workers.withdraw(worker, list(worker.held))
        TransferAll(owner.loop, owner.transfers, worker, find_receiver, owner.connections_of, self._drain).begin()

    def _find_receiver(self, slot: int) -> Send | None:
        workers = self._owner.workers
        receivers = [receiver for receiver in workers.alive() if receiver.state is WorkerState.SERVING]
        return partial(workers.send, receivers[slot % len(receivers)]) if receivers else None

    def _drain(self, worker: Worker) -> None:
        owner = self._owner
        deadline_s = owner.plan.graceful_timeout_s
        owner.workers.send(worker, Drain(deadline_s))
        owner.loop.call_later(deadline_s + DRAIN_GRACE_S, lambda: owner.workers.kill(worker))

    def _give_up(self, worker: Worker, reason: str) -> None:
        """A new worker cannot serve what the others serve: end it; its slot is refilled with back-off."""
        log.error("%s cannot serve: %s", worker, reason)
        self._owner.workers.kill(worker)
