"""`mosn_mp start`: the master in this process, in the order that makes the start short.

The controller is launched before anything is imported here: it reads the configuration while we import the data plane, which the
workers then share by copy-on-write. As root the names of the file are read before that (border/): whom the controller becomes.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import mosn_mp
from mosn_mp.ipc.frames import UpgradeFailed
from mosn_mp.master.border.grant import GrantError, grant_at_start
from mosn_mp.master.hot_check import HotModuleError, check_hot_modules, check_loaded
from mosn_mp.master.listeners.socket_activation import take_passed
from mosn_mp.master.processes.launch import launch_controller
from mosn_mp.master.upgrade.handover import HandoverError, take_handover

if TYPE_CHECKING:
    from mosn_mp.worker.boot import PlaneFactory

MAX_PROBLEMS = 20  # told to the master before us; stderr has all
# What asks for something that only a master can do waits until there is one: left alone it would end the process.
WAITING_SIGNALS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def run_master(config_path: str, log_level: str, user: str, import_plane: "Callable[[], PlaneFactory]") -> int:
    """Serve *config_path* until told to stop; the exit status. *user*: that of `--user`, "" = the one of the file.

    HotModuleError if this installation must not run, GrantError if root must not start this file.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITING_SIGNALS)
    inherited = take_handover(os.environ)
    passed = inherited.passed if inherited is not None else take_passed(os.environ, os.getpid())
    try:
        grant = grant_at_start(config_path, user)
    except GrantError as e:
        if inherited is not None:
            inherited.channel.send(UpgradeFailed(e.problems[:MAX_PROBLEMS]))
        else:
            _tell_manager(passed.notify_address, e.problems[0])
        raise
    launched = launch_controller(config_path, log_level, identity=grant.identity)
    with launched.sock:  # a controller whose master gives up finds end-of-file and leaves
        check_hot_modules(Path(mosn_mp.__file__).parent)
        from mosn_mp.master.supervisor import Master

        master = Master(config_path, grant, log_level, launched, passed, inherited)
        make_plane = import_plane()
        check_loaded()
        return master.run(make_plane)


def _tell_manager(address: str, problem: str) -> None:
    import logging

    from mosn_mp.master.events.loop import Loop
    from mosn_mp.master.systemd.notify import Notifier

    notifier = Notifier(Loop(logging.getLogger("mosn_mp.master")), address)
    notifier.send(f"STATUS=Start failed: {problem}")
    notifier.close()


def import_data_plane() -> "PlaneFactory":
    """The real data plane; gevent is imported here and makes its hub in each worker, after fork."""
    from mosn_mp.worker.dataplane import make_data_plane

    return make_data_plane


__all__ = ["GrantError", "HandoverError", "HotModuleError", "import_data_plane", "run_master"]
