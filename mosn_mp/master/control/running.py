"""The running master, found by the command line without believing what others may have put in its place.

The pid file is of root, or of whoever asks; root also takes one of another user, unless the configuration says that root starts
the program. Whoever listens at the control socket is the same user and the same process (SO_PEERCRED has who called listen(2)),
and that process is still that user's. So a command shows nobody's words but theirs, and its signal hits no process but one of
that user.
"""

import contextlib
import os
import signal
import socket
import stat
import struct
import time
from typing import NamedTuple

from mosn_mp.master.border.paths import Place, find_place, open_there
from mosn_mp.master.control.pid_file import holder_of
from mosn_mp.master.control.pid_path import Whereabouts, whereabouts_of
from mosn_mp.master.control.server import control_path, short_address

# Between two masters of an upgrade the pid file is the next one's some microseconds before the socket is.
SETTLE_S = 1.0
POLL_S = 0.02
_UCRED = struct.Struct("3i")


class NotFoundError(Exception):
    """There is no running master that could be believed."""


class Running(NamedTuple):
    """A master: connected to its control socket, its process held by a pidfd; the owner closes both."""

    pid: int
    uid: int
    pidfd: int
    sock: socket.socket

    def close(self) -> None:
        """Let go of it."""
        os.close(self.pidfd)
        self.sock.close()

    def signal(self, number: signal.Signals) -> None:
        """Send it *number*; PermissionError, ProcessLookupError."""
        signal.pidfd_send_signal(self.pidfd, number)


def find_running(config_path: str) -> Running:
    """The master of *config_path*; NotFoundError, ConfigErrors."""
    return find_master(whereabouts_of(config_path))


def find_master(where: Whereabouts) -> Running:
    """The master that is there; NotFoundError."""
    until = time.monotonic() + SETTLE_S
    while True:
        try:
            return _find(where)
        except _UnsettledError as e:
            if time.monotonic() >= until:
                raise NotFoundError(str(e)) from e
        except OSError as e:
            raise NotFoundError(f"{where.pid_path}: {e.strerror or e}") from e
        time.sleep(POLL_S)


class _UnsettledError(Exception):
    """Pid file and control socket tell of different processes."""


def _find(where: Whereabouts) -> Running:
    path = where.pid_path
    try:
        place = find_place(path)
    except FileNotFoundError:
        raise NotFoundError(f"not running: nobody holds {path}") from None
    try:
        pid, uid = _read_pid(place, where)
        sock = _connect(control_path(path), pid)
        try:
            _check_listener(sock, pid, uid, path)
            pidfd = _open_process(pid, uid, path)
        except BaseException:
            sock.close()
            raise
        return Running(pid, uid, pidfd, sock)
    finally:
        os.close(place.fd)


def _read_pid(place: Place, where: Whereabouts) -> tuple[int, int]:
    """Who holds the pid file at *place*, and whose it is."""
    try:
        fd = open_there(place, os.O_RDONLY)
    except FileNotFoundError:
        raise NotFoundError(f"not running: nobody holds {place.path}") from None
    try:
        found = os.fstat(fd)
        is_roots_program = os.geteuid() != 0 or where.has_user
        if not stat.S_ISREG(found.st_mode) or (is_roots_program and found.st_uid not in (0, os.geteuid())):
            raise NotFoundError(f"{place.path} is not believed: it is no file of root's or yours, but of user {found.st_uid}")
        pid = holder_of(fd)
    finally:
        os.close(fd)
    if pid is None:
        raise NotFoundError(f"not running: nobody holds {place.path}")
    return pid, found.st_uid


def _connect(path: str, pid: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    place = find_place(path)
    try:
        sock.connect(short_address(place))
    except PermissionError as e:
        sock.close()
        raise NotFoundError(f"pid {pid} is another user's: {e.strerror}") from e
    except OSError as e:
        sock.close()
        raise _UnsettledError(f"pid {pid} does not answer at {path}: {e.strerror or e}") from e
    finally:
        os.close(place.fd)
    return sock


def _check_listener(sock: socket.socket, pid: int, uid: int, path: str) -> None:
    peer, peer_uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    if (peer, peer_uid) != (pid, uid):
        what = f"{path} names pid {pid} of user {uid}, but pid {peer} of user {peer_uid} answers at {control_path(path)}"
        raise _UnsettledError(f"{what}: nothing was done")


def _open_process(pid: int, uid: int, path: str) -> int:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        raise NotFoundError(f"not running: pid {pid}, which {path} names, has just ended") from None
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        if any(line.split()[1:2] == [str(uid)] for line in status if line.startswith("Uid:")):
            return pidfd
    os.close(pidfd)
    raise _UnsettledError(f"{path} names pid {pid}, which is no process of user {uid}: nothing was done")
