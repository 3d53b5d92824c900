"""A Unix socket for the admin API: who may connect is said by its mode, and by the kernel of each one that did (unix(7)).

The mode is set by the umask when the socket is made: at no moment may more processes connect than in the end. Who connected is
asked for nevertheless (SO_PEERCRED, SO_PEERGROUPS): the mode and the directory can be changed by others later.
"""

import contextlib
import errno
import os
import socket as plain_socket
import stat
import struct
from typing import NamedTuple

from gevent import socket

from mosn_mp.admin.access import Caller

BACKLOG = 256
SO_PEERGROUPS = 59  # asm-generic/socket.h; Python's socket module has no name for it
MAX_GROUPS_BYTES = 1024  # what Python's getsockopt takes: 256 groups
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_UCRED = struct.Struct("3i")


class SocketFile(NamedTuple):
    """Where a Unix socket is, and its mode: 0o600 or 0o660."""

    path: str
    mode: int

    def __str__(self) -> str:
        return f"unix:{self.path}"


class UnixSocket:
    """A Unix socket that listens at *where*; OSError if it cannot be made, EADDRINUSE if somebody else listens there."""

    def __init__(self, where: SocketFile) -> None:
        self._path = where.path
        self.sock = _bound(where)
        try:
            made = os.lstat(where.path)
            self._file: tuple[int, int] | None = (made.st_dev, made.st_ino)
            self._group = made.st_gid if where.mode & stat.S_IRWXG else None
            self.sock.listen(BACKLOG)
        except OSError:
            self.sock.close()
            raise

    def caller(self, sock: socket.socket) -> Caller | None:
        """Who is at the other end of *sock*, None if he should not be: root and this process's own user may, and the group."""
        pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        if uid not in (0, os.geteuid()) and (self._group is None or self._group not in (gid, *_groups_of(sock))):
            return None
        return Caller(f"uid {uid}, pid {pid}", is_local=True, is_trusted=True)

    def close(self) -> None:
        """Stop listening; the file goes, unless somebody else's is there by now: which may have the number that ours had."""
        own, self._file = self._file, None
        with contextlib.suppress(OSError):
            named = os.lstat(self._path)
            if (named.st_dev, named.st_ino) == own:
                os.unlink(self._path)
        self.sock.close()


def _bound(where: SocketFile) -> socket.socket:
    directory = os.stat(os.path.dirname(where.path))
    if directory.st_uid not in (0, os.geteuid()) or (directory.st_mode & OTHERS_WRITE and not directory.st_mode & stat.S_ISVTX):
        raise PermissionError(errno.EACCES, "others may put a socket of theirs into its directory")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~where.mode)
    try:
        if _is_stale(where.path):
            os.unlink(where.path)
        sock.bind(where.path)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(before)
    return sock


def _is_stale(path: str) -> bool:
    """Whether the socket at *path* was left behind by a process that is gone."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
    except FileNotFoundError:
        return False
    with plain_socket.socket(plain_socket.AF_UNIX, plain_socket.SOCK_STREAM | plain_socket.SOCK_NONBLOCK) as sock:
        return sock.connect_ex(path) == errno.ECONNREFUSED


def _groups_of(sock: socket.socket) -> tuple[int, ...]:
    """The supplementary groups of the process at the other end."""
    try:
        packed = sock.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, MAX_GROUPS_BYTES)
    except OSError:  # ERANGE: more groups than that
        return ()
    return struct.unpack(f"{len(packed) // 4}I", packed)
