"""Changes of the configuration while it serves: one at a time, all workers or none, and an answer to whoever asked.

```
IDLE --ask--> LOADING --Loaded--> WAITING --nobody is being replaced--> ROLLING_OUT --all serve it--> IDLE, accepted
                 |                                                          '--one refused--> IDLE, rolled back
                 '--Rejected, Unchanged, a dry run, the controller died or took too long--> IDLE
```
What asks for the same while it waits is answered together: a burst of SIGHUPs is two reloads at most, the one under way and one
after it that sees the last state of the file. Edits of what is served (the admin API) go the same way, each for itself: the
controller is asked when it is their turn, so they apply to what is served then.
"""

import enum
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from mosn_mp.errors import ConfigError
from mosn_mp.ipc.channel import Delivery, close_fds
from mosn_mp.ipc.frames import Failed, Load, Loaded, Rejected, SocketName, Unchanged
from mosn_mp.ipc.memfd import read_sealed, seal_bytes
from mosn_mp.ipc.plan import Plan, decode_plan
from mosn_mp.ipc.report import Changes, ReloadReport
from mosn_mp.master.events.loop import Timer
from mosn_mp.master.listeners.sockets import BindError, ListeningSockets
from mosn_mp.master.log_access import provide_logs, try_default_log
from mosn_mp.master.processes.controller import ControllerProcess
from mosn_mp.master.processes.watchdog import Watchdog
from mosn_mp.master.processes.workers import Worker
from mosn_mp.master.rollout.deployment import Deployer, Snapshot
from mosn_mp.master.state.shared_memory import SharedMemory

log = logging.getLogger("mosn_mp.master")

LOAD_TIMEOUT_S = 60.0  # as at the start
POLL_S = 0.02
# More questions than that are somebody's endless loop.
MAX_WAITING = 64

Reply = Callable[[ReloadReport], None]


class Phase(enum.Enum):
    """Where the change stands."""

    IDLE = "idle"
    LOADING = "loading"
    WAITING = "waiting"
    ROLLING_OUT = "rolling out"


class ChangeRequest(NamedTuple):
    """What somebody wants: the file at *path* served, or only to know what that would change; or (*edit*) a change of what is.

    *edit* is as in Load, *body* its JSON, which the master does not read.
    """

    path: str = ""  # "" = of an edit: the file that is served then
    is_dry_run: bool = False
    edit: str = ""
    body: bytes = b""


class Job:
    """A request in the queue, and all who wait for its answer."""

    def __init__(self, request: ChangeRequest, number: int) -> None:
        self.request = request
        self.number = number
        self.replies: list[Reply] = []
        self.begun_at = 0.0
        self.workers_before = 0
        self.changes = Changes()
        self.is_sent = False
        self.loaded_by = 0  # pid of the controller whose snapshot is rolled out


class Rollout(NamedTuple):
    """What a rollout opened, to be closed again if it is refused."""

    snapshot: Snapshot
    sockets: list[SocketName]
    workers: list[Worker]


class Owner(Deployer, Protocol):
    """What the reloader needs of the master."""

    config_path: str
    controller: ControllerProcess
    sockets: ListeningSockets
    shared: SharedMemory | None
    watchdog: Watchdog

    def is_replacing(self) -> bool:
        """Whether some worker is being prepared just now."""

    def accept(self, snapshot: Snapshot) -> None:
        """*snapshot* is decided: it is what is served from now on."""


class Reloader:
    """Takes requests and carries them out one after the other."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._waiting: deque[Job] = deque()
        self._job: Job | None = None
        self._rollout: Rollout | None = None
        self._timer: Timer | None = None
        self._numbers = 0
        self.versions = 1  # the number of the last version that was tried
        self._is_closed = False
        self.phase = Phase.IDLE
        self.on_begin: Callable[[], None] = _nothing  # the service manager is told that a reload begins,
        self.on_end: Callable[[ReloadReport], None] = _ignore  # and that it has ended

    def ask(self, request: ChangeRequest, reply: Reply) -> None:
        """Do as *request* says and tell *reply* what came of it."""
        job = self._find_same(request)
        if job is None:
            self._numbers += 1
            job = Job(request, self._numbers)
            self._waiting.append(job)
        job.replies.append(reply)
        if self._is_closed:
            self._waiting.clear()
            self._answer(job, ["the program is stopping"])
        elif len(self._waiting) > MAX_WAITING:
            self._waiting.remove(job)
            self._answer(job, [f"{MAX_WAITING} other changes wait to be made"])
        self._begin_next()

    def is_idle(self) -> bool:
        """Whether no change is under way and none waits."""
        return self.phase is Phase.IDLE and not self._waiting

    def _find_same(self, request: ChangeRequest) -> Job | None:
        """The job that waits for the same file. What is asked after an edit comes after it; an edit is never like another."""
        for job in reversed(self._waiting):
            if job.request.edit or request.edit:
                return None
            if job.request == request:
                return job
        return None

    def is_rolling_out(self) -> bool:
        """Whether workers are between two versions: none may be replaced meanwhile."""
        return self.phase is Phase.ROLLING_OUT

    def close(self) -> None:
        """The program stops: everybody is told that nothing will come of it."""
        jobs = [*([self._job] if self._job is not None else []), *self._waiting]
        self._waiting.clear()
        self._is_closed = True
        self._end()
        for job in jobs:
            self._answer(job, ["the program is stopping"])

    # --- the controller ------------------------------------------------------------------------------------------------

    def on_controller_up(self) -> None:
        """There is a controller (again): ask it what waits to be asked."""
        if self._job is not None and self.phase is Phase.LOADING and not self._job.is_sent:
            self._send_load(self._job)

    def on_controller_down(self, how: str) -> None:
        """The controller died; one that was reading the file takes the blame."""
        if self._job is not None and self.phase is Phase.LOADING and self._job.is_sent:
            self._refuse([f"the controller ended while it read {self._job.request.path or self._job.request.edit}: {how}"])

    def take(self, delivery: Delivery) -> None:
        """The controller's answer to Load; closes its descriptors but the snapshot that goes on."""
        frame, fds = delivery.frame, delivery.fds
        assert isinstance(frame, Loaded | Unchanged | Rejected)
        job = self._job
        if job is None or self.phase is not Phase.LOADING or frame.number != job.number:
            close_fds(fds)  # of one that was given up
            return
        if isinstance(frame, Rejected):
            problems = read_sealed(fds[0]).decode().splitlines()
            close_fds(fds)
            self._refuse(problems)
            return
        job.changes = msgspec.msgpack.decode(read_sealed(fds[-1]), type=Changes)
        if isinstance(frame, Unchanged):
            close_fds(fds)
            self._conclude([])
            return
        snapshot_fd, plan_fd, changes_fd = fds
        plan = decode_plan(read_sealed(plan_fd))
        close_fds([plan_fd, changes_fd])
        if job.request.is_dry_run:
            os.close(snapshot_fd)
            self._conclude([], plan.workers)
            return
        self.phase = Phase.WAITING
        job.loaded_by = self._owner.controller.pid
        self._wait_quiet(snapshot_fd, plan)

    def _send_load(self, job: Job) -> None:
        if not self._owner.controller.pid:
            return  # on_controller_up() will come
        job.is_sent = True
        request = job.request
        fds = (seal_bytes("mosn_mp-edit", request.body),) if request.edit else ()
        path = request.path or self._owner.config_path
        self._owner.controller.send(Load(job.number, path, request.is_dry_run, request.edit), fds)
        close_fds(fds)

    def _on_load_timeout(self) -> None:
        assert self._job is not None
        if self._job.is_sent:
            self._owner.controller.kill()  # its loop hangs in the import of somebody's module
        self._refuse([f"{self._job.request.path or self._job.request.edit}: not loaded within {LOAD_TIMEOUT_S:g} s"])

    # --- one after the other -------------------------------------------------------------------------------------------

    def _begin_next(self) -> None:
        if self.phase is not Phase.IDLE or not self._waiting:
            return
        job = self._job = self._waiting.popleft()
        assert self._owner.accepted is not None
        job.begun_at = time.monotonic()
        job.workers_before = self._owner.accepted.plan.workers
        self.phase = Phase.LOADING
        if not job.request.is_dry_run:
            self.on_begin()
        self._timer = self._owner.loop.call_later(LOAD_TIMEOUT_S, self._on_load_timeout)
        self._send_load(job)

    def _wait_quiet(self, snapshot_fd: int, plan: Plan) -> None:
        """A worker that is just being prepared for the old version must be done with it."""
        if self.phase is not Phase.WAITING:
            os.close(snapshot_fd)
        elif self._owner.is_replacing():
            self._owner.loop.call_later(POLL_S, lambda: self._wait_quiet(snapshot_fd, plan))
        else:
            self._roll_out(snapshot_fd, plan)

    def _roll_out(self, snapshot_fd: int, plan: Plan) -> None:
        owner, shared = self._owner, self._owner.shared
        assert shared is not None and owner.accepted is not None
        self.versions += 1
        fresh: list[SocketName] = []
        workers: list[Worker] = []
        try:
            if plan.workers > shared.most_workers:
                raise ValueError(f"{plan.workers} workers: at most {shared.most_workers} without a restart")
            if plan.log_path != owner.accepted.plan.log_path:
                try_default_log(plan)
            provide_logs(plan)
            fresh = owner.sockets.open(plan.listeners, plan.workers, wait_s=0)
            tables_fd = seal_bytes("mosn_mp-tables", shared.place(plan))
            serving = owner.workers.of_slots(plan.workers)
            # Slots that are down just now have a replacement on its way, unless all are.
            slots = range(owner.accepted.plan.workers if serving else 0, plan.workers)
            for slot in set(slots) - {worker.slot for worker in serving}:
                workers.append(owner.workers.spawn(slot))
        except (BindError, ConfigError, ValueError, OSError) as e:
            os.close(snapshot_fd)
            self._undo(fresh, workers)
            self._refuse([str(e.strerror or e) if isinstance(e, OSError) else str(e)])
            return
        assert self._job is not None
        snapshot = Snapshot(self.versions, snapshot_fd, tables_fd, plan)
        self._rollout = Rollout(snapshot, fresh, workers)
        self.phase = Phase.ROLLING_OUT
        owner.watchdog.is_patient = True
        owner.deploy(self._rollout.snapshot, [*serving, *workers], self._on_commit, self._on_abort, self._on_done)

    def _on_commit(self) -> None:
        assert self._rollout is not None and self._job is not None
        snapshot, controller = self._rollout.snapshot, self._owner.controller
        if controller.pid != self._job.loaded_by:  # it came back meanwhile, with the version before this one
            controller.adopt(snapshot.version, snapshot.snapshot_fd, snapshot.plan)
        self._owner.accept(snapshot)

    def _on_done(self) -> None:
        self._conclude([])

    def _on_abort(self, reason: str) -> None:
        assert self._rollout is not None
        snapshot, sockets, workers = self._rollout
        close_fds([snapshot.snapshot_fd, snapshot.tables_fd])
        self._undo(sockets, workers)
        self._refuse([reason])

    def _undo(self, sockets: list[SocketName], workers: list[Worker]) -> None:
        """Close what was opened for a version that is not served."""
        for worker in workers:
            self._owner.workers.dismiss(worker)
        for worker in self._owner.workers.alive():
            self._owner.workers.withdraw(worker, sockets)
        self._owner.sockets.discard(sockets)

    # --- answers -------------------------------------------------------------------------------------------------------

    def _refuse(self, problems: list[str]) -> None:
        self._owner.controller.send(Failed("; ".join(problems)[:2000]))
        self._conclude(problems)

    def _conclude(self, problems: list[str], workers: int = 0) -> None:
        job = self._job
        assert job is not None
        self._end()
        report = self._answer(job, problems, workers)
        if not job.request.is_dry_run:
            self.on_end(report)
        self._begin_next()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._owner.watchdog.is_patient = False
        self.phase, self._job, self._rollout, self._timer = Phase.IDLE, None, None, None

    def _answer(self, job: Job, problems: list[str], workers: int = 0) -> ReloadReport:
        accepted = self._owner.accepted
        assert accepted is not None
        report = ReloadReport(
            ok=not problems,
            is_dry_run=job.request.is_dry_run,
            version=accepted.version,
            took_s=time.monotonic() - job.begun_at if job.begun_at else 0.0,
            workers_before=job.workers_before or accepted.plan.workers,
            workers=workers or accepted.plan.workers,
            changes=job.changes,
            problems=tuple(problems),
        )
        for reply in job.replies:
            reply(report)
        return report


def _nothing() -> None:
    """Nobody wants to know."""


def _ignore(_: ReloadReport) -> None:
    """Nobody wants to know."""
