"""Two-phase commit carried out: Prepare to every worker concerned, and by their answers Commit or Abort, each with a deadline."""

import logging
from collections.abc import Callable, Iterable

from mosn_mp.ipc.frames import Abort, Commit, Committed, Prepare, Ready, Refused, SocketName
from mosn_mp.master.border.received import shown
from mosn_mp.master.events.loop import Loop, Timer
from mosn_mp.master.processes.socket_lending import Lending
from mosn_mp.master.processes.workers import Worker, Workers, WorkerState
from mosn_mp.master.rollout.two_phase_commit import COMMIT_TIMEOUT_S, PREPARE_TIMEOUT_S, Phase, TwoPhaseCommit
from mosn_mp.master.state.served import ServedState, Snapshot

log = logging.getLogger("mosn_mp.master")


class Deployment:
    """*snapshot* on its way to *participants*; calls *on_commit* when it is decided, or *on_abort* with the reason.

    *on_done*, if any, is called when every worker serves it, or is dead.
    """

    def __init__(
        self,
        loop: Loop,
        workers: Workers,
        snapshot: Snapshot,
        participants: Iterable[Worker],
        on_commit: Callable[[], None],
        on_abort: Callable[[str], None],
        on_done: Callable[[], None] | None = None,
    ) -> None:
        self._loop = loop
        self._workers = workers
        self.snapshot = snapshot
        self._participants = {worker.pid: worker for worker in participants}
        self._commit = TwoPhaseCommit(snapshot.version, self._participants)
        self._on_commit = on_commit
        self._on_abort = on_abort
        self._on_done = on_done
        self._timer: Timer | None = None
        self._is_closed = False

    def begin(self, sockets_of: Callable[[int], dict[SocketName, int]]) -> None:
        """Send the sockets of its slot (*sockets_of*) and the snapshot to each worker."""
        self._timer = self._loop.call_later(PREPARE_TIMEOUT_S, self._expire)
        for worker in self._participants.values():
            self._workers.give(worker, sockets_of(worker.slot))
            self._workers.send(worker, Prepare(self.snapshot.version), (self.snapshot.snapshot_fd, self.snapshot.tables_fd))
            if worker.state is WorkerState.STARTING:
                self._workers.silence(worker)  # behind Prepare, which opens the logs

    def is_over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self._is_closed or self._commit.phase in (Phase.DONE, Phase.ABORTED)

    def close(self) -> None:
        """Decide nothing any more, and tell nobody."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def concerns(self, worker: Worker) -> bool:
        """Whether *worker* takes part."""
        return worker.pid in self._participants

    def take(self, worker: Worker, frame: Ready | Refused | Committed) -> None:
        """An answer of *worker*."""
        if frame.version != self.snapshot.version:
            return  # of a rollout that was aborted meanwhile
        before = self._commit.phase
        if isinstance(frame, Ready):
            self._commit.ready(worker.pid)
        elif isinstance(frame, Refused):
            self._commit.refused(worker.pid, f"worker {worker.slot} refused: {shown(frame.reason)}")
        else:
            worker.version = frame.version
            if worker.state is WorkerState.STARTING:
                worker.state = WorkerState.SERVING
            self._commit.committed(worker.pid)
        self._follow(before)

    def lost(self, worker: Worker, how: str) -> None:
        """*worker* died."""
        before = self._commit.phase
        self._commit.lost(worker.pid, f"worker {worker.slot} died while it prepared: {how}")
        self._participants.pop(worker.pid, None)
        self._follow(before)

    def _follow(self, before: Phase) -> None:
        """Do what the new phase asks for."""
        phase = self._commit.phase
        if phase is before or self._is_closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        if phase is Phase.COMMITTING:
            self._timer = self._loop.call_later(COMMIT_TIMEOUT_S, self._expire)
            self._on_commit()
            for worker in list(self._participants.values()):
                self._workers.send(worker, Commit(self.snapshot.version))
        elif phase is Phase.ABORTED:
            for worker in list(self._participants.values()):
                self._workers.send(worker, Abort(self.snapshot.version))
            self._on_abort(self._commit.reason)
        elif phase is Phase.DONE and self._on_done is not None:
            self._on_done()

    def _expire(self) -> None:
        """The deadline of the phase: silence is a refusal, or after the decision the worker's end."""
        before = self._commit.phase
        for pid in self._commit.waiting():
            worker = self._participants.get(pid)
            if worker is None:
                continue
            if before is Phase.PREPARING:
                self._commit.refused(pid, f"worker {worker.slot} did not answer within {PREPARE_TIMEOUT_S:g} s")
            else:
                log.error("%s did not commit version %d within %g s: killing it", worker, self.snapshot.version, COMMIT_TIMEOUT_S)
                self._workers.kill(worker)
        self._follow(before)


class Deployments:
    """Those under way: of a new version to all workers, of the accepted one to workers that come into the place of others."""

    def __init__(self, loop: Loop, workers: Workers, served: ServedState, lending: Lending) -> None:
        self._loop = loop
        self._workers = workers
        self._served = served
        self._lending = lending
        self._under_way: list[Deployment] = []

    def begin(
        self,
        snapshot: Snapshot,
        participants: list[Worker],
        on_commit: Callable[[], None],
        on_abort: Callable[[str], None],
        on_done: Callable[[], None] | None = None,
    ) -> Deployment:
        """Let *participants* prepare and commit *snapshot*; the callbacks are those of Deployment."""

        def done() -> None:
            self._lending.settle()
            if on_done is not None:
                on_done()

        self._under_way = [deployment for deployment in self._under_way if not deployment.is_over()]
        deployment = Deployment(self._loop, self._workers, snapshot, participants, on_commit, on_abort, done)
        self._under_way.append(deployment)
        deployment.begin(self._served.sockets.of_slot)
        return deployment

    def bring_up(self, worker: Worker, on_abort: Callable[[str], None], on_serving: Callable[[], None] | None) -> None:
        """Let a new worker serve what the others serve."""
        self.begin(self._served.snapshot(), [worker], lambda: None, on_abort, on_serving)

    def is_under_way(self) -> bool:
        """Whether some worker is being prepared just now."""
        return any(not deployment.is_over() for deployment in self._under_way)

    def take(self, worker: Worker, frame: Ready | Refused | Committed) -> None:
        """An answer of *worker*."""
        for deployment in self._under_way:
            if deployment.concerns(worker):
                deployment.take(worker, frame)

    def lost(self, worker: Worker, how: str) -> None:
        """*worker* died."""
        for deployment in self._under_way:
            if deployment.concerns(worker):
                deployment.lost(worker, how)
