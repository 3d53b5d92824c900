"""The end: nothing new and what is in flight finished (SIGTERM), or at once (SIGINT, SIGQUIT, a failed start).

```
stop_gracefully() --a second SIGTERM: little time--> --a third, SIGINT--> quit() --workers gone--> controller gone--> exit
```
"""

import logging

from mosn_mp.ipc.frames import Drain, Quit
from mosn_mp.master.events.loop import Loop
from mosn_mp.master.listeners.shutting import shut_when_served
from mosn_mp.master.listeners.sockets import SETTLE_S
from mosn_mp.master.processes.controller import ControllerProcess
from mosn_mp.master.processes.drain import DRAIN_GRACE_S
from mosn_mp.master.processes.workers import Workers, WorkerState
from mosn_mp.master.rollout.reload import Reloader
from mosn_mp.master.state.served import ServedState
from mosn_mp.master.state.stages import Stage, Stages
from mosn_mp.master.systemd.service_manager import ServiceManager
from mosn_mp.master.upgrade.new_side import NewSide
from mosn_mp.master.upgrade.old_side import OldSide

log = logging.getLogger("mosn_mp.master")

QUIT_TIMEOUT_S = 2.0  # children that were told to quit are killed after this
RETIRE_S = 30.0  # a controller whose master gave way may answer what it was asked for so long; then its clients hear nothing
HURRIED_S = 2.0  # for what is in flight, from the second SIGTERM on


class Shutdown:
    """Ends the other processes, workers first, and then this one."""

    def __init__(
        self,
        loop: Loop,
        served: ServedState,
        stages: Stages,
        workers: Workers,
        controller: ControllerProcess,
        reloader: Reloader,
        old_side: OldSide,
        new_side: NewSide | None,
        manager: ServiceManager,
    ) -> None:
        self._loop = loop
        self._served = served
        self._stages = stages
        self._workers = workers
        self._controller = controller
        self._reloader = reloader
        self._old_side = old_side
        self._new_side = new_side
        self._manager = manager
        self._is_hurried = False
        self.exit_status = 0

    def stop_gracefully(self) -> None:
        """Nothing new, finish what is in flight; asked a second time leave little time for that, a third time none."""
        if self._stages.now is Stage.GRACEFUL_STOPPING and not self._is_hurried:
            self._hurry()
            return
        if self._stages.is_stopping() or self._served.accepted is None:
            self.quit()
            return
        deadline_s = self._served.plan.graceful_timeout_s
        self._enter(Stage.GRACEFUL_STOPPING)
        self._manager.stopping(f"No new connections; up to {deadline_s:g} s for what is in flight.")
        # What is queued in a socket is reset when its last descriptor is closed, so nothing new may come to it before. Where the
        # service manager has it in its store the queue stays for whoever starts next.
        settle_s = 0.0
        if not self._manager.keeps_sockets():
            self._served.sockets.refuse()
            settle_s = SETTLE_S
            self._loop.call_later(settle_s, lambda: shut_when_served(self._loop, self._served.sockets, deadline_s))
        log.info("SIGTERM: no new connections; up to %g s for what is in flight", deadline_s)
        # Ours first: a worker accepts what is queued and then closes the last descriptor, or its socket is shut.
        self._end_sockets()
        for worker in self._workers.alive():
            worker.state = WorkerState.DRAINING
        self._workers.broadcast(Drain(deadline_s, settle_s))
        self._loop.call_later(deadline_s + DRAIN_GRACE_S, self._kill_workers)
        self.leave_if_alone()

    def quit(self, exit_status: int = 0) -> None:
        """End everything now."""
        if self._stages.now is Stage.STOPPING:
            return
        self.exit_status = exit_status
        self._enter(Stage.STOPPING)
        if self._new_side is not None:
            self._new_side.end_old()
        self._manager.stopping("" if exit_status else "Stopping now.")
        self._end_sockets()
        self._workers.broadcast(Quit())
        self._loop.call_later(QUIT_TIMEOUT_S, self._kill_workers)
        self.leave_if_alone()

    def leave_if_alone(self) -> None:
        """Workers first, then the controller (its admin shows how the drain goes), then ourselves."""
        if self._workers.alive():
            return
        if self._stages.now is Stage.GRACEFUL_STOPPING and self._new_side is not None and self._new_side.draining_pid:
            return  # the service manager kills what is left when the main process is gone
        if not self._controller.pid:
            self._loop.stop()
        elif self._stages.now is Stage.UPGRADING:  # it was told to retire, and answers yet
            self._loop.call_later(RETIRE_S + QUIT_TIMEOUT_S, self._controller.kill)
        else:
            self._controller.send(Quit())
            self._loop.call_later(QUIT_TIMEOUT_S, self._controller.kill)

    def _end_sockets(self) -> None:
        """Close them, for us; those that nobody is to have after us are shut when they are served, or at our end."""
        if self._manager.keeps_sockets() or (self._new_side is not None and self._new_side.shares_sockets):
            self._served.sockets.close()
        else:
            self._served.sockets.end()

    def _enter(self, stage: Stage) -> None:
        self._stages.enter(stage)
        self._controller.tell_stage()
        self._reloader.close()
        self._old_side.close()

    def _hurry(self) -> None:
        """End what is idle, and give what is in flight HURRIED_S."""
        log.info("SIGTERM again: %g s for what is in flight", HURRIED_S)
        self._is_hurried = True
        self._workers.broadcast(Drain(HURRIED_S))
        self._loop.call_later(HURRIED_S + DRAIN_GRACE_S, self._kill_workers)

    def _kill_workers(self) -> None:
        for worker in self._workers.alive():
            log.error("%s did not end in time: killing it", worker)
            self._workers.kill(worker)
        if self._new_side is not None:
            self._new_side.end_old()
