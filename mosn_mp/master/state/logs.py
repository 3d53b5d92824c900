"""The log of the master, what the admin API switched in the logs of all, and log files as root makes them for its children."""

import contextlib
import logging
import os
from functools import partial

from mosn_mp.config.identity import Identity
from mosn_mp.errors import ConfigError
from mosn_mp.ipc.frames import OpenLog, SetLogEnabled, SetLogLevel
from mosn_mp.ipc.plan import Plan
from mosn_mp.master.border.user_logs import open_log
from mosn_mp.observe.log_files import STREAMS, LogFiles

log = logging.getLogger("mosn_mp.master")


class Logs:
    """Where the master logs to: stderr, until the configuration says more."""

    def __init__(self, owner: Identity | None) -> None:
        """*owner*: whom controller and workers become, who write to the same files."""
        self._owner = owner
        self.files = LogFiles("master")
        self.files.open("stderr", "WARN")
        self.path = "stderr"
        self._silent: set[str] = set()

    def open(self, plan: Plan) -> None:
        """Log where *plan* says from now on; ConfigError."""
        files = LogFiles("master", partial(open_log, owner=self._owner))
        files.open(plan.log_path, plan.log_level)
        self.files.close()
        self.files, self.path = files, plan.log_path

    def move(self, plan: Plan) -> OpenLog | None:
        """Log where a new version says; returns what the other processes are to be told, None if it cannot be opened."""
        try:
            self.files.move(plan.log_path, plan.log_level)
        except ConfigError as e:
            log.error("%s; still logging to %s", e, self.path)
            return None
        self.path = plan.log_path
        return OpenLog(plan.log_path, plan.log_level)

    def level(self) -> str:
        """The level of the default log, which the admin API may have changed."""
        return self.files.levels()[self.path]

    def is_terminal(self) -> bool:
        """Whether it is standard output or error."""
        return self.path in STREAMS

    def switch(self, frame: SetLogLevel | SetLogEnabled, plan: Plan) -> bool:
        """Do what the admin API was told, if it is about a log of *plan*, which is served."""
        if isinstance(frame, SetLogLevel):
            return self.files.set_level(frame.path, frame.level)
        if frame.path not in (self.path, plan.log_path, *plan.access_logs, *STREAMS):
            return False
        self.files.set_enabled(frame.path, frame.enabled)
        (self._silent.discard if frame.enabled else self._silent.add)(frame.path)
        return True

    def silent(self) -> list[str]:
        """The logs that are switched off."""
        return sorted(self._silent)

    def provide(self, plan: Plan) -> None:
        """Make the log files of *plan* that are not there for their owner, before a process of his opens them.

        A file that cannot be made is left for the process that needs it, which says what that is.
        """
        if self._owner is not None:
            for path in {plan.log_path, *plan.access_logs} - STREAMS.keys():
                with contextlib.suppress(OSError):
                    os.close(open_log(path, self._owner))

    def try_default(self, plan: Plan) -> None:
        """ConfigError if the default log of *plan* cannot be written to."""
        LogFiles("master", partial(open_log, owner=self._owner)).try_open(plan.log_path)
