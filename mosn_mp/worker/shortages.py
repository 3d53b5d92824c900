"""What a worker runs short of, in the log: at most one line a second for each kind, however often it happens.

Counters count every event and metrics show them; the log is for whoever looks there first. Each shortage passes by itself:
accepts are tried again, connections wait for buffers, log lines are dropped and counted.
"""

import logging
from collections.abc import Mapping

TEXTS = {
    "accept_errors": "%d accepts failed: descriptors or kernel memory are used up (LimitNOFILE, ulimit -n)",
    "accept_pauses": "accepting paused %d times: descriptors are short (LimitNOFILE, ulimit -n); clients wait in the queue",
    "connect_waits": "%d connects to hosts waited for a descriptor (LimitNOFILE, ulimit -n)",
    "shortages": "%d system calls failed: the kernel had no descriptor or memory",
    "limit_connections": "%d connections refused: max_connections is reached",
    "arena_exhausted": "%d times there was no buffer: the arena is used up (arena_size)",
    "log_dropped": "%d access-log lines dropped: the log could not be written in time, or at all",
}


class Shortages:
    """Compares counters with what they were at the last look."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._before: dict[str, int] = {}

    def look(self, counts: Mapping[str, int]) -> None:
        """Say what grew since the last look; *counts* has the keys of TEXTS. To be called once a second."""
        for key, text in TEXTS.items():
            more = counts[key] - self._before.get(key, 0)
            if more > 0:
                self._log.warning(text, more, extra={"alert_key": key})
        self._before = dict(counts)
