"""Takes the file system from a process, and all that it starts, but for the paths that it is given, and signals to all others.

What is open stays open. A path that is made later at the place of one that was given, a log directory that was removed for
example, is another one. Connections and sockets are not looked at. Rights are checked when something is opened: what the hot path
does costs as much as before.

Sources: landlock(7), linux/landlock.h; signals of ABI 6 (Linux 6.12) on, files from ABI 1 (5.13).
"""

import contextlib
import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable
from typing import NamedTuple

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every machine
_VERSION = 1
_PATH_BENEATH = 1
_SCOPE_SIGNAL = 1 << 1
_FIRST_WITH_SCOPES, _FIRST_WITH_NETWORK = 6, 4

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL_DEV = (1 << bit for bit in (0, 1, 2, 3, 14, 15))
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_ALL_BITS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # by ABI; later ones have as many as the last

# What programs of a system read wherever they run: libraries, names, certificates, zones, what /proc says of others.
SYSTEM = ("/bin", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/opt", "/proc", "/sbin", "/sys", "/usr", "/run/systemd/resolve")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")


class Reach(NamedTuple):
    """What of the file system a process keeps, with all that is below: what may be read, and what may be read and written."""

    read: frozenset[str] = frozenset()
    write: frozenset[str] = frozenset()

    def may_write(self, path: str) -> bool:
        """Whether *path*, which is absolute and may not be there yet, lies in what may be written."""
        path = os.path.realpath(path)
        return any(path == given or path.startswith(given.rstrip("/") + "/") for given in map(os.path.realpath, self.write))


def abi() -> int:
    """What this kernel has of Landlock; 0: nothing."""
    return max(0, int(_libc().syscall(_CREATE_RULESET, None, 0, _VERSION)))


def unconfined() -> list[str]:
    """What confine() does not do on this kernel, and why."""
    version = abi()
    if not version:
        return ["files: the kernel has no Landlock (5.13)", "signals: the kernel has no Landlock (6.12)"]
    return [] if version >= _FIRST_WITH_SCOPES else [f"signals: the kernel's Landlock is of ABI {version}; 6 knows them (6.12)"]


def confine(reach: Reach | None) -> str:
    """Signal nobody but what this process starts, and keep *reach* and SYSTEM of the file system (None: all of it), for good.

    To be called in a process that has no_new_privs and one thread. Returns why it could not be done, "" if it was. What is not
    there, or not ours to open, is left out.
    """
    version = abi()
    if not version:
        return "the kernel has no Landlock"
    if reach is None and version < _FIRST_WITH_SCOPES:
        return "the kernel's Landlock knows no signals"
    handled = (1 << _ALL_BITS.get(version, 16)) - 1 if reach is not None else 0
    attributes = struct.pack("=QQQ", handled, 0, _SCOPE_SIGNAL)
    size = 24 if version >= _FIRST_WITH_SCOPES else 16 if version >= _FIRST_WITH_NETWORK else 8
    libc = _libc()
    ruleset = libc.syscall(_CREATE_RULESET, attributes, size, 0)
    if ruleset < 0:
        return os.strerror(ctypes.get_errno())
    try:
        if reach is not None:
            _allow(libc, ruleset, reach.read | set(SYSTEM), _READ & handled)
            _allow(libc, ruleset, DEVICES, (_READ | _WRITE_FILE) & handled)
            _allow(libc, ruleset, reach.write, handled)
        if libc.syscall(_RESTRICT_SELF, ruleset, 0) < 0:
            return os.strerror(ctypes.get_errno())
    except OSError as e:
        return str(e)
    finally:
        os.close(ruleset)
    return ""


def _allow(libc: ctypes.CDLL, ruleset: int, paths: Iterable[str], rights: int) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError, PermissionError, NotADirectoryError):
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                of_this = rights if stat.S_ISDIR(os.fstat(place).st_mode) else rights & _OF_FILES
                if libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", of_this, place), 0) < 0:
                    raise OSError(ctypes.get_errno() or errno.EINVAL, os.strerror(ctypes.get_errno()), path)
            finally:
                os.close(place)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
