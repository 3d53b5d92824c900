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
import os
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from mosn_mp.ipc.channel import Delivery, close_fds
from mosn_mp.ipc.frames import Failed, Load, Loaded, Rejected, Unchanged
from mosn_mp.ipc.memfd import seal_bytes
from mosn_mp.ipc.plan import Plan
from mosn_mp.ipc.report import Changes, ReloadReport
from mosn_mp.master.border.grant import Grant
from mosn_mp.master.border.plan_check import check_plan
from mosn_mp.master.border.reach import problems_of_reach
from mosn_mp.master.border.received import changes_in, plan_in, problems_in
from mosn_mp.master.events.loop import Loop, Timer
from mosn_mp.master.processes.controller import ControllerProcess
from mosn_mp.master.rollout.deployment import Deployments
from mosn_mp.master.rollout.renewal import Renewal
from mosn_mp.master.rollout.rollout import Rollout
from mosn_mp.master.state.served import ServedState

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

    def __init__(self, request: ChangeRequest, number: int, grant: Grant) -> None:
        self.request = request
        self.number = number
        self.replies: list[Reply] = []
        self.begun_at = 0.0
        self.workers_before = 0
        self.changes = Changes()
        self.grant = grant  # what its plan may name
        self.is_granted = False  # that is known
        self.is_sent = False

    def name(self) -> str:
        """What it is about, for messages."""
        return self.request.path or self.request.edit


class Reloader:
    """Takes requests and carries them out one after the other."""

    def __init__(
        self,
        loop: Loop,
        served: ServedState,
        controller: ControllerProcess,
        deployments: Deployments,
        rollout: Rollout,
        on_begin: Callable[[], None],
        on_end: Callable[[ReloadReport], None],
    ) -> None:
        """*on_begin* and *on_end* hear of each change that is none of a dry run."""
        self._loop = loop
        self._served = served
        self._controller = controller
        self._deployments = deployments
        self._rollout = rollout
        self._renewal = Renewal(loop, served)
        self._on_begin = on_begin
        self._on_end = on_end
        self._waiting: deque[Job] = deque()
        self._job: Job | None = None
        self._timer: Timer | None = None
        self._numbers = 0
        self._is_closed = False
        self._phase = Phase.IDLE

    def ask(self, request: ChangeRequest, reply: Reply) -> None:
        """Do as *request* says and tell *reply* what came of it."""
        job = self._find_same(request)
        if job is None:
            self._numbers += 1
            job = Job(request, self._numbers, self._served.grant)
            self._waiting.append(job)
        job.replies.append(reply)
        if self._is_closed:
            self._waiting.clear()
            self._answer(job, ["the program is stopping"])
        elif len(self._waiting) > MAX_WAITING:
            self._waiting.remove(job)
            self._answer(job, [f"{MAX_WAITING} other changes wait to be made"])
        self._begin_next()

    def refusal(self, problem: str) -> ReloadReport:
        """The answer to a change that is not even tried."""
        version, workers = self._served.snapshot().version, self._served.plan.workers
        return ReloadReport(ok=False, version=version, took_s=0.0, workers_before=workers, workers=workers, problems=(problem,))

    def is_idle(self) -> bool:
        """Whether no change is under way and none waits."""
        return self._phase is Phase.IDLE and not self._waiting

    def close(self) -> None:
        """The program stops: everybody is told that nothing will come of it."""
        jobs = [*([self._job] if self._job is not None else []), *self._waiting]
        self._waiting.clear()
        self._is_closed = True
        self._rollout.close()
        self._end()
        for job in jobs:
            self._answer(job, ["the program is stopping"])

    def _find_same(self, request: ChangeRequest) -> Job | None:
        """The job that waits for the same file. What is asked after an edit comes after it; an edit is never like another."""
        for job in reversed(self._waiting):
            if job.request.edit or request.edit:
                return None
            if job.request == request:
                return job
        return None

    # --- the controller ------------------------------------------------------------------------------------------------

    def on_controller_up(self) -> None:
        """There is a controller (again): ask it what waits to be asked."""
        if self._job is not None and self._phase is Phase.LOADING and self._job.is_granted and not self._job.is_sent:
            self._send_load(self._job)

    def on_controller_down(self, how: str) -> None:
        """The controller died; one that was reading the file takes the blame."""
        if self._job is not None and self._phase is Phase.LOADING and self._job.is_sent:
            self._refuse([f"the controller ended while it read {self._job.name()}: {how}"])

    def take(self, delivery: Delivery) -> None:
        """The controller's answer to Load; takes the snapshot, if it goes on. BadFrameError."""
        frame, fds = delivery.frame, delivery.fds
        assert isinstance(frame, Loaded | Unchanged | Rejected)
        job = self._job
        if job is None or self._phase is not Phase.LOADING or frame.number != job.number:
            return  # of one that was given up
        if isinstance(frame, Rejected):
            self._refuse(problems_in(fds[0]))
            return
        job.changes = changes_in(fds[-1])
        if isinstance(frame, Unchanged):
            self._conclude([])
            return
        plan = plan_in(fds[1])
        problems = check_plan(plan, job.grant, job.request.path or self._served.config_path, self._served.plan.pid_path)
        problems = problems or problems_of_reach(plan, self._served.reach)
        if problems:
            self._refuse(problems)
        elif job.request.is_dry_run:
            self._conclude([], plan.workers)
        else:
            self._phase = Phase.WAITING
            self._roll_out(delivery.take_fd(), plan, loaded_by=self._controller.pid)

    def _send_load(self, job: Job) -> None:
        if not self._controller.pid or self._controller.is_ending:
            return  # on_controller_up() will come
        request = job.request
        try:
            fds = (seal_bytes("mosn_mp-edit", request.body),) if request.edit else ()
        except OSError as e:
            self._refuse([f"{job.name()}: {e.strerror}"])
            return
        job.is_sent = True
        self._controller.send(Load(job.number, request.path or self._served.config_path, request.is_dry_run, request.edit), fds)
        close_fds(fds)

    def _on_load_timeout(self) -> None:
        assert self._job is not None
        if self._job.is_sent:
            self._controller.kill()  # its loop hangs in the import of somebody's module
        self._refuse([f"{self._job.name()}: not loaded within {LOAD_TIMEOUT_S:g} s"])

    # --- one after the other -------------------------------------------------------------------------------------------

    def _begin_next(self) -> None:
        if self._phase is not Phase.IDLE or not self._waiting:
            return
        job = self._job = self._waiting.popleft()
        job.begun_at = time.monotonic()
        job.workers_before = self._served.snapshot().plan.workers
        self._phase = Phase.LOADING
        if not job.request.is_dry_run:
            self._on_begin()
        self._timer = self._loop.call_later(LOAD_TIMEOUT_S, self._on_load_timeout)
        job.grant = self._served.grant
        if job.request.edit:
            self._on_granted(job.grant, [])
        else:
            self._renewal.begin(job.request.path, self._on_granted)

    def _on_granted(self, grant: Grant, problems: list[str]) -> None:
        assert self._job is not None
        if problems:
            self._refuse(problems)
            return
        self._job.grant, self._job.is_granted = grant, True
        self._send_load(self._job)

    def _roll_out(self, snapshot_fd: int, plan: Plan, loaded_by: int) -> None:
        """Begin as soon as a worker that is just being prepared for the old version is done with it."""
        if self._phase is not Phase.WAITING:
            os.close(snapshot_fd)
        elif self._deployments.is_under_way():
            self._loop.call_later(POLL_S, lambda: self._roll_out(snapshot_fd, plan, loaded_by))
        else:
            self._phase = Phase.ROLLING_OUT
            self._rollout.begin(snapshot_fd, plan, loaded_by, self._on_rolled_out)

    def _on_rolled_out(self, problems: list[str]) -> None:
        if problems:
            self._refuse(problems)
        else:
            self._conclude([])

    # --- answers -------------------------------------------------------------------------------------------------------

    def _refuse(self, problems: list[str]) -> None:
        self._controller.send(Failed("; ".join(problems)[:2000]))
        self._conclude(problems)

    def _conclude(self, problems: list[str], workers: int = 0) -> None:
        job = self._job
        assert job is not None
        if not problems and not job.request.is_dry_run:
            self._served.grant = job.grant
        self._end()
        report = self._answer(job, problems, workers)
        if not job.request.is_dry_run:
            self._on_end(report)
        self._begin_next()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._renewal.close()
        self._phase, self._job, self._timer = Phase.IDLE, None, None

    def _answer(self, job: Job, problems: list[str], workers: int = 0) -> ReloadReport:
        version, plan = self._served.snapshot().version, self._served.plan
        report = ReloadReport(
            ok=not problems,
            is_dry_run=job.request.is_dry_run,
            version=version,
            took_s=time.monotonic() - job.begun_at if job.begun_at else 0.0,
            workers_before=job.workers_before or plan.workers,
            workers=workers or plan.workers,
            changes=job.changes,
            problems=tuple(problems),
        )
        for reply in job.replies:
            reply(report)
        return report
