"""`mosn_mp stop`: signal the running master and wait for its end (MOSN cmd/mosn/main/control.go: SIGINT, then up to 10 s)."""

import select
import signal

from mosn_mp.master.control.running import NotFoundError, find_running


class StopError(Exception):
    """There was nothing to stop, or it did not stop."""


def stop_master(config_path: str, graceful: bool, timeout_s: float) -> int:
    """Stop the master of *config_path* and return its pid once it is gone; raises StopError, ConfigErrors."""
    try:
        master = find_running(config_path)
    except NotFoundError as e:
        raise StopError(str(e)) from e
    try:
        # A pidfd stays with this process: its end is seen even if the number is taken by another one right after.
        master.signal(signal.SIGTERM if graceful else signal.SIGINT)
        master.sock.close()
        poller = select.poll()
        poller.register(master.pidfd, select.POLLIN)
        if not poller.poll(timeout_s * 1000):
            raise StopError(f"pid {master.pid} did not end within {timeout_s:g} s")
    except ProcessLookupError:
        return master.pid
    except PermissionError as e:
        raise StopError(f"pid {master.pid} is another user's: {e.strerror}") from e
    finally:
        master.close()
    return master.pid
