"""What workers have of the file system: decided when the program starts, since a running worker never gets more (landlock(7))."""

import os.path
import sys

from mosn_mp.ipc.landlock import Reach, abi
from mosn_mp.ipc.plan import Plan
from mosn_mp.observe.log_files import STREAMS


def reach_of(plan: Plan) -> Reach:
    """The interpreter and its modules, what *plan* names, and the directories of its logs."""
    python = {sys.prefix, sys.base_prefix, sys.exec_prefix, *map(os.path.realpath, filter(None, sys.path))}
    return Reach(frozenset(python | set(plan.read_paths)), frozenset({*_log_directories(plan), *plan.write_paths}))


def problems_of_reach(plan: Plan, reach: Reach | None) -> list[str]:
    """Which log files of *plan* the workers that run could not make, with *reach*."""
    if reach is None or not abi():
        return []
    return [
        f"{plan.config_path}: the log directory '{directory}': workers that run may not write there. "
        "Run `mosn_mp upgrade`, or name it in read_write_paths before the next start"
        for directory in sorted(_log_directories(plan))
        if os.path.isdir(directory) and not reach.may_write(directory)  # of any other one the workers say what is wrong with it
    ]


def _log_directories(plan: Plan) -> set[str]:
    return {os.path.dirname(path) for path in (plan.log_path, *plan.access_logs) if path not in STREAMS}
