"""Ports for tests that run side by side, in any number of processes and runs: each is given out once.

A proxy listens with SO_REUSEPORT: two programs on one port would share its connections silently.
"""

import fcntl
import os
import socket
import tempfile
from pathlib import Path

# Below the range that Linux itself takes ports from (32768 on): no connection and no bind to port 0 gets one meanwhile.
FREE = range(10_000, 32_768)
PRIVILEGED = range(500, 1024)
COUNTERS = Path(tempfile.gettempdir()) / f"ports-of-tests-{os.getuid()}"


def free_port() -> int:
    """A port that nobody uses and that nobody else is given."""
    return next_port(FREE)


def privileged_port() -> int:
    """The same, one that only root may listen on."""
    return next_port(PRIVILEGED)


def next_port(ports: range, counters: Path = COUNTERS) -> int:
    """The unused one of *ports* behind the one that was given out last, by whichever process: they count in one file."""
    counters.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(counters / str(ports.start), os.O_RDWR | os.O_CREAT), "r+") as counter:
        fcntl.flock(counter, fcntl.LOCK_EX)
        last = int(counter.read() or 0) % len(ports)
        for step in range(1, len(ports) + 1):
            at = (last + step) % len(ports)
            if is_unused(ports[at]):
                counter.seek(0)
                counter.write(f"{at:05}")
                return ports[at]
    raise OSError(f"all ports from {ports.start} to {ports.stop - 1} are in use")


def is_unused(port: int) -> bool:
    """Whether no socket of this machine has *port*."""
    with socket.socket() as sock:
        try:
            sock.bind(("", port))
        except OSError:
            return False
    return True
