"""The log files as the master provides them: root makes what the workers' user could not, and tries what a reload names."""

import contextlib

from mosn_mp.ipc.plan import Plan
from mosn_mp.observe.log_files import LogFiles, provide


def provide_logs(plan: Plan) -> None:
    """Let the user of *plan* write to its log files, before a process of his opens them; does nothing if there is none.

    A file that cannot be made is left for the process that needs it, which says what that is.
    """
    if plan.identity is not None:
        for path in (plan.log_path, *plan.access_logs):
            with contextlib.suppress(OSError):
                provide(path, plan.identity)


def try_default_log(plan: Plan) -> None:
    """ConfigError if the default log of *plan* cannot be written to."""
    LogFiles("master", plan.identity).try_open(plan.log_path)
