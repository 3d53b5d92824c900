"""Named pieces of shared memory without a name: posix_ipc segments, unlinked at once, passed on by inherited descriptor.

A segment begins with a header that whoever attaches to it later (a controller started by exec, the next master of an upgrade)
compares before it believes a byte; the rest belongs to the class that laid the segment out.

    0        8         12       16       24               40       64
    +--------+---------+--------+--------+----------------+--------+---
    | magic  | layout  | zero   | size   | kind, NUL-     | zero   | what the kind puts there
    | 8 B    | u32     | u32    | u64    | padded, 16 B   | 24 B   |
    +--------+---------+--------+--------+----------------+--------+---

Source: shm_open(3), shm_overview(7); MOSN keeps a named file instead (mosn-reference 10.2), which a kill -9 leaves behind.
"""

import errno
import mmap
import os
import secrets
import struct

import posix_ipc  # type: ignore[import-not-found]

MAGIC = b"MOSNMPSH"
HEADER = struct.Struct("<8sIIQ16s24x")
HEADER_BYTES = HEADER.size
SHM_DIRECTORY = "/dev/shm"


def free_bytes() -> int:
    """Bytes that shared memory may still grow by: the free space of the tmpfs behind it (Docker gives it 64 MiB by default)."""
    state = os.statvfs(SHM_DIRECTORY)
    return state.f_bavail * state.f_frsize


def _whole_pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


class Segment:
    """One mapping of shared memory, its descriptor (close-on-exec until passed on) and its header.

    The memory stays mapped until close() or until the last object that holds the segment is gone. `requested` is what create()
    was asked for: larger than `size` when the tmpfs could not give it.
    """

    __slots__ = ("_memory", "fd", "kind", "layout", "requested", "size")

    def __init__(self, fd: int, memory: mmap.mmap, kind: str, layout: int, size: int, requested: int) -> None:
        self.fd = fd
        self._memory = memory
        self.kind = kind
        self.layout = layout
        self.size = size
        self.requested = requested

    @classmethod
    def create(cls, kind: str, size: int, layout: int = 1, at_least: int | None = None) -> "Segment":
        """A new zeroed segment of *size* bytes rounded up to pages, header included, mode 0600, already unlinked.

        Touching a page that a full tmpfs cannot back is SIGBUS, so a segment takes at most half of what is free there: it is made
        smaller, but not below *at_least* (default: *size*); if that is too much, OSError ENOSPC says what to enlarge.
        """
        if not 1 <= len(kind.encode()) <= 16:
            raise ValueError(f"segment kind {kind!r}: 1 to 16 bytes")
        wanted = _whole_pages(max(size, HEADER_BYTES))
        granted = min(wanted, free_bytes() // 2 // mmap.PAGESIZE * mmap.PAGESIZE)
        if granted < (wanted if at_least is None else _whole_pages(max(at_least, HEADER_BYTES))):
            text = f"segment {kind!r} needs {at_least or size} bytes of {SHM_DIRECTORY}, half of its free space is {granted}"
            raise OSError(errno.ENOSPC, f"{text}; enlarge it (docker run --shm-size) or ask for less", SHM_DIRECTORY)
        fd = _unlinked_memory(kind)
        try:
            os.ftruncate(fd, granted)
            memory = mmap.mmap(fd, granted)
        except BaseException:
            os.close(fd)
            raise
        HEADER.pack_into(memory, 0, MAGIC, layout, 0, granted, kind.encode())
        return cls(fd, memory, kind, layout, granted, wanted)

    @classmethod
    def attach(cls, fd: int, size: int) -> "Segment":
        """The segment behind an inherited or received descriptor, which the Segment owns from now on.

        Raises ValueError if it is not a segment of *size* bytes; the descriptor is then still the caller's.
        """
        actual = os.fstat(fd).st_size
        if actual != size or size < HEADER_BYTES:
            raise ValueError(f"descriptor {fd} holds {actual} bytes, not a segment of {size}")
        memory = mmap.mmap(fd, size)
        magic, layout, _, written_size, kind = HEADER.unpack_from(memory, 0)
        if magic != MAGIC or written_size != size:
            memory.close()
            raise ValueError(f"descriptor {fd} is no mosn_mp segment (magic {magic!r}, size {written_size})")
        return cls(fd, memory, kind.rstrip(b"\0").decode(), layout, size, size)

    def expect(self, kind: str, layout: int) -> "Segment":
        """This segment, if it is of *kind* and *layout*; else ValueError (another release wrote it, or fds were mixed up)."""
        if (self.kind, self.layout) != (kind, layout):
            raise ValueError(f"segment is {self.kind!r} layout {self.layout}, expected {kind!r} layout {layout}")
        return self

    @property
    def view(self) -> memoryview:
        """The whole mapping, header included, writable. Release it before close()."""
        return memoryview(self._memory)

    @property
    def buffer(self) -> mmap.mmap:
        """The mapping itself, for compiled code that takes its address through the buffer protocol."""
        return self._memory

    @property
    def is_capped(self) -> bool:
        """True if the tmpfs had no room for all that was requested."""
        return self.size < self.requested

    def close(self) -> None:
        """Unmap and close; nothing made from this segment may be used afterwards."""
        self._memory.close()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _unlinked_memory(kind: str) -> int:
    """The descriptor of new, empty shared memory whose name is gone: nothing is left behind by a kill -9 from here on."""
    name = f"/mosn_mp-{kind}-{os.getpid()}-{secrets.token_hex(8)}"
    memory = posix_ipc.SharedMemory(name, posix_ipc.O_CREX, mode=0o600)
    posix_ipc.unlink_shared_memory(name)
    fd: int = memory.fd
    return fd
