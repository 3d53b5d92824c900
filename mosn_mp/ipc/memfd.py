"""Sealed memfds: one copy of what all processes read, which nobody can change any more (memfd_create(2), F_ADD_SEALS)."""

import fcntl
import os
from collections.abc import Mapping

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def seal_bytes(name: str, content: bytes) -> int:
    """A new descriptor (close-on-exec) of a sealed memfd with *content*; *name* shows in /proc/<pid>/fd."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        written = 0
        while written < len(content):
            written += os.write(fd, memoryview(content)[written:])
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(fd)
        raise
    return fd


def seal_each(contents: Mapping[str, bytes]) -> tuple[int, ...]:
    """A sealed memfd for each of *contents*, by its name: all of them, or OSError and none."""
    fds: list[int] = []
    try:
        for name, content in contents.items():
            fds.append(seal_bytes(name, content))
    except OSError:
        for fd in fds:
            os.close(fd)
        raise
    return tuple(fds)


# What each kind may hold. 100,000 hosts with weights of their own are a plan of 4.6 MB.
MAX_SNAPSHOT_BYTES = 1 << 30
MAX_PLAN_BYTES = 32 << 20
MAX_CHANGES_BYTES = 64 << 20
MAX_EDIT_BYTES = 8 << 20
MAX_TEXT_BYTES = 1 << 20


def check_sealed(fd: int, most: int) -> int:
    """The size of sealed memfd *fd*; ValueError if it is none, or has more than *most* bytes."""
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError as e:
        raise ValueError(f"descriptor {fd} is no memfd") from e
    if seals & _SEALS != _SEALS:
        raise ValueError(f"memfd {fd} is not sealed (seals {seals:#x})")
    size = os.fstat(fd).st_size
    if size > most:
        raise ValueError(f"memfd {fd} has {size} bytes: at most {most}")
    return size


def read_sealed(fd: int, most: int = MAX_SNAPSHOT_BYTES) -> bytes:
    """The content of sealed memfd *fd*, whatever its offset (it is shared by all holders); ValueError as check_sealed()."""
    size = check_sealed(fd, most)
    pieces: list[bytes] = []
    at = 0
    while at < size:
        piece = os.pread(fd, size - at, at)
        if not piece:
            break
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)
