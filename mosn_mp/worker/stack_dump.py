"""What a stuck worker was doing: on a signal faulthandler writes its stacks to the log, in C, without a turning loop."""

import faulthandler
import os
import signal

from mosn_mp.observe.log_files import STREAMS

# A real-time signal: nothing else that a filter may import uses it.
DUMP_SIGNAL = signal.SIGRTMIN + 3


class StackDump:
    """Keeps the descriptor that the stacks go to; the log's own may be closed by a rotation at any moment."""

    def __init__(self) -> None:
        self._fd = -1
        self._path = ""

    def follow(self, log_path: str) -> None:
        """Write to the log at *log_path* from now on; if it cannot be opened, to the one before it of that path, or to stderr."""
        before, self._fd = self._fd, -1
        if log_path not in STREAMS and not log_path.startswith("syslog"):
            try:
                self._fd = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK)
            except OSError:  # the log itself says what is wrong with it
                if log_path == self._path:
                    before, self._fd = -1, before  # rotated away, and better than nothing
        self._path = log_path
        faulthandler.register(DUMP_SIGNAL, self._fd if self._fd >= 0 else STREAMS.get(log_path, 2), all_threads=True)
        if before >= 0:
            os.close(before)
