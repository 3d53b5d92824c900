"""sd_notify(3): datagrams of `NAME=value` lines to the service manager's socket, with descriptors where it is to keep some.

Written here and not taken from libsystemd: a datagram is all there is to it, and the master must not wait for its reader.
"""

import array
import logging
import os
import socket
from collections import deque
from typing import NamedTuple

from mosn_mp.master.events.loop import Loop

log = logging.getLogger("mosn_mp.master")

RETRY_S = 0.02
# A manager that read nothing while these piled up does not read at all.
MAX_WAITING = 8192


class _Message(NamedTuple):
    text: bytes
    fds: tuple[int, ...]  # duplicates, closed once sent


class Notifier:
    """Sends in order and without waiting; says nothing where nobody listens (*address* "", as of a start by hand)."""

    def __init__(self, loop: Loop, address: str) -> None:
        """*address* as in NOTIFY_SOCKET: a path, or `@name` in the abstract namespace."""
        self._loop = loop
        self._waiting: deque[_Message] = deque()
        self._is_retrying = False
        self._sock: socket.socket | None = None
        self._address = "\0" + address[1:] if address.startswith("@") else address
        if address.startswith(("/", "@")):
            self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        elif address:
            log.error("NOTIFY_SOCKET=%s is neither a path nor @name: the service manager hears nothing", address)

    def is_heard(self) -> bool:
        """Whether there is a service manager."""
        return self._sock is not None

    def send(self, *lines: str, fds: tuple[int, ...] = ()) -> None:
        """Tell *lines*; *fds* stay the caller's, who may close them."""
        if self._sock is None:
            return
        if len(self._waiting) >= MAX_WAITING:
            log.error("the service manager does not read: %s is lost", " ".join(lines))
            return
        text = "\n".join(line.replace("\n", " ") for line in lines).encode()
        self._waiting.append(_Message(text, tuple(os.dup(fd) for fd in fds)))
        if not self._is_retrying:
            self._flush()

    def close(self) -> None:
        """Give what waits a last chance, and hang up."""
        if self._sock is not None:
            self._flush()
            self._sock.close()
            self._sock = None
        while self._waiting:
            _close(self._waiting.popleft().fds)

    def _flush(self) -> None:
        self._is_retrying = False
        while self._waiting and self._sock is not None:
            text, fds = self._waiting[0]
            try:
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
                self._sock.sendmsg([text], rights, 0, self._address)  # socket.send_fds() ignores its address (Python 3.11)
            except (BlockingIOError, InterruptedError):
                self._is_retrying = True
                self._loop.call_later(RETRY_S, self._flush)
                return
            except OSError as e:  # it restarts, or it was a test's: what we tell it is for it alone
                log.warning("the service manager cannot be told %s: %s", text.split(b"\n", 1)[0].decode(), e.strerror or e)
            self._waiting.popleft()
            _close(fds)


def _close(fds: tuple[int, ...]) -> None:
    for fd in fds:
        os.close(fd)
