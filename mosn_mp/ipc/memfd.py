"""Sealed memfds: one copy of what all processes read, which nobody can change any more (memfd_create(2), F_ADD_SEALS)."""

import fcntl
import os

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


def read_sealed(fd: int) -> bytes:
    """The content of sealed memfd *fd*, whatever its offset (it is shared by all holders); ValueError if it is not sealed."""
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError as e:
        raise ValueError(f"descriptor {fd} is no memfd") from e
    if seals & _SEALS != _SEALS:
        raise ValueError(f"memfd {fd} is not sealed (seals {seals:#x})")
    size = os.fstat(fd).st_size
    pieces: list[bytes] = []
    at = 0
    while at < size:
        piece = os.pread(fd, size - at, at)
        if not piece:
            break
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)
