"""Every few seconds: give back the shared memory that nobody uses any more."""

from collections.abc import Callable

from mosn_mp.master.events.loop import Loop
from mosn_mp.master.processes.workers import Workers
from mosn_mp.master.state.served import ServedState
from mosn_mp.master.state.stages import Stage, Stages

TRIM_EVERY_S = 5.0


class Upkeep:
    """Goes on until the loop ends."""

    def __init__(
        self, loop: Loop, served: ServedState, stages: Stages, workers: Workers, is_numbering_in_use: Callable[[], bool]
    ) -> None:
        """*is_numbering_in_use*: a version that is on its way has numbers, and the generation before this one counts by them."""
        self._loop = loop
        self._served = served
        self._stages = stages
        self._workers = workers
        self._is_numbering_in_use = is_numbering_in_use

    def begin(self) -> None:
        """Look for the first time after a while."""
        self._loop.call_later(TRIM_EVERY_S, self._trim)

    def _trim(self) -> None:
        served = self._served
        if served.memory is not None:
            served.memory.expect_buffers_of({worker.row for worker in self._workers.alive()})
            if served.accepted is not None and self._stages.now is Stage.RUNNING and not self._is_numbering_in_use():
                served.memory.retire_unused(served.plan)
        self.begin()
