"""Root opens files by paths that others may change: what lies there was put there by root, or costs nobody but who put it there.

A path is walked directory by directory, each opened below the one before (openat(2), O_NOFOLLOW), so that nothing can be
exchanged between a look and a use. A directory is *firm* if root alone can change it and everything above it; below one with
the sticky bit only a directory of root's own is firm again (unlink(2): nobody else can rename it). Links are followed where
they stand in a firm directory, as `/var/run` does, and nowhere else. No open waits for anybody (O_NONBLOCK): a FIFO would hold
the master for ever.

For a master that is not root all directories are firm: it may do no more than whoever laid the trap.
"""

import enum
import errno
import os
import stat
from collections import deque
from typing import NamedTuple

FILE_MODE = 0o644
MAX_LINKS = 40  # as the kernel's MAXSYMLINKS
NO_FILE = "it is no regular file"
QUIET = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OF_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class Trust(enum.Enum):
    """Who can change what lies in a directory."""

    FIRM = "root alone"
    STICKY = "root alone, where it is root's"
    LOOSE = "others"


class Place(NamedTuple):
    """Where a file is or is to be: its directory (O_PATH; the owner closes it) and its name there; *path* as it was asked for."""

    fd: int
    name: str
    path: str
    trust: Trust  # of the directory


class UntrustedPathError(OSError):
    """Something at a path belongs to others, or may have been put there by others."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(errno.EPERM, problem, path)


def find_place(path: str, make: bool = False, is_followed: bool = False) -> Place:
    """Where the file at *path* is; with *make* directories that are missing are made. OSError, UntrustedPathError.

    *is_followed*: the file itself may be a link, where links are followed.
    """
    path = os.path.abspath(path)
    if os.geteuid() != 0:
        directory, name = os.path.split(path)
        if make:
            os.makedirs(directory, exist_ok=True)
        return Place(os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), name, path, Trust.FIRM)
    return _Walk(path, make, is_followed).go()


class _Walk:
    """One walk along a path, as root."""

    def __init__(self, path: str, make: bool, is_followed: bool) -> None:
        self._path = path
        self._make = make
        self._is_followed = is_followed
        self._left = deque(path.strip("/").split("/"))
        self._links = 0
        self._way: list[tuple[int, Trust]] = []  # the directories from / down to where it stands

    def go(self) -> Place:
        """Its end."""
        try:
            self._enter("/", None, Trust.FIRM)
            name = ""
            while self._left:
                name = self._left.popleft()
                self._step(name)
            fd, trust = self._way.pop()
            return Place(fd, name, self._path, trust)
        finally:
            for fd, _ in self._way:
                os.close(fd)

    def _step(self, name: str) -> None:
        fd, trust = self._way[-1]
        if name == "..":  # only in the target of a link: abspath() leaves none
            if len(self._way) > 1:
                os.close(self._way.pop()[0])
            return
        try:
            is_link = stat.S_ISLNK(os.lstat(name, dir_fd=fd).st_mode)
        except FileNotFoundError:
            is_link = False
            if self._left and self._make:
                os.mkdir(name, 0o755, dir_fd=fd)
        if is_link and (self._left or (self._is_followed and trust is Trust.FIRM)):
            self._follow(name, fd, trust)
        elif self._left:
            self._enter(name, fd, trust)

    def _enter(self, name: str, above: int | None, trust: Trust) -> None:
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=above)
        except OSError as e:
            raise OSError(e.errno, os.strerror(e.errno or 0), self._path) from e
        self._way.append((fd, _trust(os.fstat(fd), trust)))

    def _follow(self, name: str, fd: int, trust: Trust) -> None:
        self._links += 1
        if trust is not Trust.FIRM:
            raise UntrustedPathError(self._path, f"'{name}' is a link in a directory that others than root can change")
        if self._links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), self._path)
        target = os.readlink(name, dir_fd=fd)
        self._left.extendleft(reversed([part for part in target.split("/") if part not in ("", ".")]))
        if target.startswith("/"):
            while len(self._way) > 1:
                os.close(self._way.pop()[0])


def _trust(found: os.stat_result, above: Trust) -> Trust:
    if above is Trust.LOOSE or found.st_uid != 0:
        return Trust.LOOSE
    if not found.st_mode & _OF_OTHERS:
        return Trust.FIRM
    return Trust.STICKY if found.st_mode & stat.S_ISVTX else Trust.LOOSE


def open_own_file(place: Place) -> int:
    """The file at *place*, which is this process's user's, made if it is not there, to be read and written; OSError."""
    fd = open_there(place, os.O_RDWR | os.O_CREAT)
    return checked(fd, place.path, 0) if os.geteuid() == 0 else fd


def open_config(path: str) -> tuple[int, str]:
    """A descriptor that reads the regular file at *path*, and who else than root could change it ("" = nobody); OSError."""
    place = find_place(path, is_followed=True)
    try:
        fd = open_there(place, os.O_RDONLY)
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise UntrustedPathError(path, NO_FILE)
        return fd, _others(found, place)
    finally:
        os.close(place.fd)


def open_there(place: Place, flags: int) -> int:
    """What is at *place*, and no link."""
    try:
        return os.open(place.name, flags | QUIET, FILE_MODE, dir_fd=place.fd)
    except OSError as e:
        problems = {errno.ELOOP: "it is a link: name the file itself", errno.ENXIO: NO_FILE}
        raise OSError(e.errno, problems.get(e.errno or 0, os.strerror(e.errno or 0)), place.path) from e


def checked(fd: int, path: str, uid: int) -> int:
    """*fd* if it is a regular file of *uid* under no other name; else it is closed, UntrustedPathError."""
    found = os.fstat(fd)
    problem = ""
    if not stat.S_ISREG(found.st_mode):
        problem = NO_FILE
    elif found.st_uid != uid:
        problem = f"it belongs to user {found.st_uid}, not to user {uid}: move it away, or `chown {uid} {path}`"
    elif found.st_nlink > 1:
        problem = f"it has {found.st_nlink} names: move it away"
    if problem:
        os.close(fd)
        raise UntrustedPathError(path, problem)
    return fd


def _others(found: os.stat_result, place: Place) -> str:
    if place.trust is not Trust.FIRM:
        return f"others can change its directory {os.path.dirname(place.path)}, or one above it"
    if found.st_uid != 0:
        return f"it belongs to user {found.st_uid}"
    return f"its mode {stat.S_IMODE(found.st_mode):04o} lets others write" if found.st_mode & _OF_OTHERS else ""
