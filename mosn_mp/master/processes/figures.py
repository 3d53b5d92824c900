"""What the kernel knows of every process, read for the controller: only root may look into those that changed their user."""

import os
import time

from mosn_mp.ipc.frames import Figure, Figures
from mosn_mp.master.processes.controller import ControllerProcess
from mosn_mp.master.processes.workers import Workers
from mosn_mp.observe.proc import read_process

# The kernel walks the pages of each process to count them; a controller that asks more often hears the same again.
LEAST_AGE_S = 1.0


class FigureReader:
    """Answers Measure."""

    def __init__(self, workers: Workers, controller: ControllerProcess) -> None:
        self._workers = workers
        self._controller = controller
        self._read_at = -LEAST_AGE_S
        self._last = Figures({})

    def answer(self) -> None:
        """Tell the controller the figures of now, or those of a moment ago."""
        now = time.monotonic()
        if now - self._read_at >= LEAST_AGE_S:
            pids = {"master": os.getpid(), "controller": self._controller.pid}
            pids |= {f"worker {worker.row}": worker.pid for worker in self._workers.alive()}
            found: dict[str, Figure] = {}
            for name, pid in pids.items():
                if (reading := read_process(pid)) is not None:
                    found[name] = reading
            self._read_at, self._last = now, Figures(found)
        self._controller.send(self._last)
