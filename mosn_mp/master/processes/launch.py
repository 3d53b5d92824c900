"""Starts a controller process; imports next to nothing, so that `start` can do it before everything else."""

import os
import socket
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mosn_mp.config.identity import Identity


class Launched(NamedTuple):
    """A controller that was started: its pid and our end of its channel (SOCK_SEQPACKET)."""

    pid: int
    sock: socket.socket


def launch_controller(
    config_path: str, log_level: str, is_restart: bool = False, identity: "Identity | None" = None
) -> Launched:
    """Start `python -m mosn_mp.controller`; one that *is_restart* waits for Adopt instead of reading the file.

    It becomes *identity* before it reads anything.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-P", "-m", "mosn_mp.controller", str(theirs.fileno()), config_path]
    if log_level:
        command.append(f"--log-level={log_level}")
    if is_restart:
        command.append("--adopt")
    if identity is not None:
        groups = ",".join(map(str, identity.groups))
        command.append(f"--become={identity.user}:{identity.uid}:{identity.gid}:{groups}")
    # It must find the same modules as the workers (a filter of the user's is checked here and run there).
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path)}
    with theirs:
        os.set_inheritable(theirs.fileno(), True)
        try:
            pid = os.posix_spawn(sys.executable, command, environment, setsid=True, setsigmask=())
        except OSError:
            ours.close()
            raise
    return Launched(pid, ours)
