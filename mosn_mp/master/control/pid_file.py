"""The pid file: who runs, and the lock that lets only one run (MOSN pkg/server/pid writes "<pid>\\n"; the lock is ours).

The lock is an open file description lock (F_OFD_SETLK, fcntl(2)) on the file itself: the kernel drops it when the last process
that has the description open dies, even by kill -9, so a stale file is known for certain and a recycled pid never keeps anyone
from starting. An upgrade passes the description on, so there is no moment without a holder; forked workers close it at once. The
file is written in place under the lock: a renamed one would be a different inode.
"""

import fcntl
import os
import struct

from mosn_mp.master.border.paths import Place, find_place, open_own_file

# struct flock of 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid
_FLOCK = struct.Struct("@hhqqi4x")


class AlreadyRunningError(Exception):
    """Another master holds the pid file."""

    def __init__(self, path: str, pid: int) -> None:
        super().__init__(
            f"already running: pid {pid} holds {path}; stop it (mosn_mp stop) or name another pid file in the config"
        )
        self.pid = pid


class PidFile:
    """A pid file that this process holds until release() or its death."""

    def __init__(self, path: str) -> None:
        """Lock *path* and write our pid; raises AlreadyRunningError, or OSError if it cannot be written."""
        self._place = find_place(path, make=True)
        try:
            self._fd = _lock(self._place)
        except (OSError, AlreadyRunningError):
            os.close(self._place.fd)
            raise
        self._write()

    @classmethod
    def take_over(cls, path: str, fd: int) -> "PidFile":
        """The file that another master held, by the descriptor that it passed on; from now on it says our pid."""
        self = cls.__new__(cls)
        self._place = find_place(path)
        self._fd = fd
        self._write()
        return self

    def fileno(self) -> int:
        """The descriptor that holds the lock."""
        return self._fd

    def leave(self) -> None:
        """The file is another master's now."""
        if self._fd >= 0:
            os.close(self._fd)
            os.close(self._place.fd)
            self._fd = -1

    def _write(self) -> None:
        text = b"%d\n" % os.getpid()
        os.pwrite(self._fd, text, 0)  # one write over the stale text: a reader never sees an empty file
        os.ftruncate(self._fd, len(text))

    def release(self) -> None:
        """Remove the file, then let go of the lock (in this order: nobody can lock a file that is about to vanish unnoticed)."""
        if self._fd >= 0:
            if _is_file_at(self._fd, self._place):
                os.unlink(self._place.name, dir_fd=self._place.fd)
            self.leave()


def _lock(place: Place) -> int:
    """The file at *place*, locked."""
    while True:
        fd = open_own_file(place)
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        except (BlockingIOError, PermissionError):
            pid = holder_of(fd)
            os.close(fd)
            if pid:
                raise AlreadyRunningError(place.path, pid) from None
            continue  # it was released between the two looks
        if _is_file_at(fd, place):
            return fd
        os.close(fd)  # the holder unlinked it while we waited to open it: take the new one


def holder_of(fd: int) -> int | None:
    """Who holds the lock of *fd*, without touching it: what the file says, for the lock itself belongs to no process."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    if kind == fcntl.F_UNLCK:
        return None
    if pid > 0:
        return int(pid)
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else -1


def _is_file_at(fd: int, place: Place) -> bool:
    try:
        there = os.stat(place.name, dir_fd=place.fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    ours = os.fstat(fd)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
