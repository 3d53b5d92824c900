"""The worker's own cells in its counter row: who it is, that it lives, what it serves."""

import os
import time

from mosn_mp.observe.metrics.cells import WORKER
from mosn_mp.observe.metrics.metrics import Metrics

_PID, _STARTED_AT, _HEARTBEAT_AT, _VERSION = (
    WORKER.cell(key).at for key in ("pid", "started_at", "heartbeat_at", "config_version")
)


class Vitals:
    """Writes them for the worker of *slot*; the master zeroes them when it is dead."""

    def __init__(self, metrics: Metrics, slot: int) -> None:
        self._metrics = metrics
        self._slot = slot
        metrics.put(slot, _PID, os.getpid())
        metrics.put(slot, _STARTED_AT, int(time.time()))
        self.beat()

    def beat(self) -> None:
        """The loop turns: a stuck worker is one whose last beat is long ago."""
        self._metrics.put(self._slot, _HEARTBEAT_AT, time.monotonic_ns() // 1_000_000)

    def serve(self, version: int) -> None:
        """Version *version* of the configuration is served from now on."""
        self._metrics.put(self._slot, _VERSION, version)
