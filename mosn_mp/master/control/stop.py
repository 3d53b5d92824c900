"""`mosn_mp stop`: signal the running master and wait for its end (MOSN cmd/mosn/main/control.go: SIGINT, then up to 10 s)."""

import os
import select
import signal

from mosn_mp.master.control.pid_file import running_pid
from mosn_mp.master.control.pid_path import pid_path_of


class StopError(Exception):
    """There was nothing to stop, or it did not stop."""


def stop_master(config_path: str, graceful: bool, timeout_s: float) -> int:
    """Stop the master of *config_path* and return its pid once it is gone; raises StopError, ConfigErrors."""
    pid_path = pid_path_of(config_path)
    pid = running_pid(pid_path)
    if pid is None:
        raise StopError(f"not running: nobody holds {pid_path}")
    try:
        # A pidfd stays with this process: its end is seen even if the number is taken by another one right after.
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return pid
    try:
        if running_pid(pid_path) != pid:
            return pid  # it ended between the look and the open: the pidfd may be a stranger's
        signal.pidfd_send_signal(pidfd, signal.SIGTERM if graceful else signal.SIGINT)
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        if not poller.poll(timeout_s * 1000):
            raise StopError(f"pid {pid} did not end within {timeout_s:g} s")
    except PermissionError as e:
        raise StopError(f"pid {pid} is another user's: {e.strerror}") from e
    finally:
        os.close(pidfd)
    return pid
