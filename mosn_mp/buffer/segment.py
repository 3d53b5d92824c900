"""Pieces of shared memory: sealed memfds, passed on by inherited or sent descriptors, gone with the last process that has them.

A segment may be far larger than what is used of it: a page takes memory from the first time that it is written. Its size is
sealed (F_SEAL_SHRINK, F_SEAL_GROW): no process that has it can make the pages go that another one is about to touch, which would
be a SIGBUS there. Nothing about a segment is written in it: whoever may write there may write anything. What has to be known to
use it, its Shape, travels in the messages of the master.

Sources: memfd_create(2), fcntl(2) for the seals, lseek(2) for SEEK_DATA, madvise(2). A memfd is bounded by the memory of the
machine (or cgroup), not by /dev/shm, to which Docker gives 64 MiB by default. MOSN keeps a named file, which a kill -9 leaves
behind.
"""

import contextlib
import errno
import fcntl
import mmap
import os
from typing import NamedTuple

PAGE = mmap.PAGESIZE
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


class Shape(NamedTuple):
    """What has to be known of a segment to use it."""

    kind: str  # it shows in /proc/<pid>/fd and maps
    layout: int  # a number for the arrangement of its bytes: another release may have another
    size: int  # bytes, whole pages
    rows: int = 0  # processes that have a place of their own in it
    places: tuple[int, ...] = ()  # how many things of each kind it has room for


def whole_pages(size: int) -> int:
    """*size* rounded up to pages."""
    return -(-size // PAGE) * PAGE


class Segment:
    """One mapping of shared memory, and its descriptor (close-on-exec until passed on).

    The memory stays mapped until close() or until the last object that holds the segment is gone.
    """

    __slots__ = ("_memory", "fd", "is_read_only", "shape")

    def __init__(self, fd: int, shape: Shape, is_read_only: bool = False) -> None:
        """The memory behind *fd*, which the Segment owns if this succeeds. Use create() and attach()."""
        self._memory = mmap.mmap(fd, shape.size, access=mmap.ACCESS_READ if is_read_only else mmap.ACCESS_WRITE)
        self.fd = fd
        self.shape = shape
        self.is_read_only = is_read_only
        # A core dump would have every page of it, and make those that there are not; a huge page is more than what is used.
        for advice in (mmap.MADV_DONTDUMP, mmap.MADV_NOHUGEPAGE):
            with contextlib.suppress(OSError):  # a kernel without huge pages
                self._memory.madvise(advice)

    @classmethod
    def create(cls, shape: Shape) -> "Segment":
        """A new zeroed segment; OSError, with the limit that is to blame, if there cannot be one so large."""
        fd = os.memfd_create(f"mosn_mp-{shape.kind}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.fchmod(fd, 0o600)  # who has it to look cannot open it anew to write, as another user
            os.ftruncate(fd, shape.size)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
            return cls(fd, shape)
        except OSError as e:
            os.close(fd)
            limit = {errno.EFBIG: "RLIMIT_FSIZE (ulimit -f)", errno.ENOMEM: "RLIMIT_AS (ulimit -v)"}.get(e.errno or 0, "")
            text = f"{shape.size} bytes of address space for the segment '{shape.kind}': {e.strerror}"
            raise OSError(e.errno, f"{text}; raise {limit}" if limit else text) from e

    @classmethod
    def attach(cls, fd: int, shape: Shape, *, is_read_only: bool = False) -> "Segment":
        """The segment behind an inherited or received descriptor, which the Segment owns from now on.

        Raises ValueError if it is not one of that size whose size is sealed; the descriptor is then still the caller's.
        """
        try:
            seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        except OSError as e:
            raise ValueError(f"descriptor {fd} is no memfd") from e
        if seals & _SEALS != _SEALS:
            raise ValueError(f"descriptor {fd} has no sealed size (seals {seals:#x})")
        actual = os.fstat(fd).st_size
        if actual != shape.size or actual == 0:
            raise ValueError(f"descriptor {fd} holds {actual} bytes, not a segment '{shape.kind}' of {shape.size}")
        return cls(fd, shape, is_read_only)

    def open_to_look(self) -> int:
        """A descriptor of the same memory, for the caller, by which nobody can write."""
        return os.open(f"/proc/self/fd/{self.fd}", os.O_RDONLY | os.O_CLOEXEC)

    def expect(self, shape: Shape) -> "Segment":
        """This segment, if it is of *shape*; else ValueError (another release made it, or descriptors were mixed up)."""
        if self.shape != shape:
            raise ValueError(f"the segment is {self.shape}, expected {shape}")
        return self

    def check_writable(self) -> None:
        """ValueError if this process has the memory to look at only: a write would end it."""
        if self.is_read_only:
            raise ValueError(f"the segment {self.shape.kind!r} is mapped read-only")

    @property
    def size(self) -> int:
        """Bytes, used or not."""
        return self.shape.size

    @property
    def view(self) -> memoryview:
        """The whole mapping, writable unless the segment is read-only. Release it before close()."""
        return memoryview(self._memory)

    @property
    def buffer(self) -> mmap.mmap:
        """The mapping itself, for compiled code that takes its address through the buffer protocol."""
        return self._memory

    def used(self, start: int, end: int) -> list[tuple[int, int]]:
        """Where between *start* and *end*, both at pages, there is memory: [from, to) of whole pages. All else reads as zero.

        Reading a page that there is not through the mapping would make it, so whoever looks at everything looks only there.
        """
        found: list[tuple[int, int]] = []
        at = start
        while at < end:
            try:
                at = os.lseek(self.fd, at, os.SEEK_DATA)
            except OSError as e:
                if e.errno == errno.ENXIO:
                    break  # nothing from here to the end of the file
                raise
            if at < end:
                hole = min(end, os.lseek(self.fd, at, os.SEEK_HOLE))
                found.append((at, hole))
                at = hole
        return found

    def drop(self, start: int, end: int) -> None:
        """Give the memory between *start* and *end*, both at pages, back to the kernel: it reads as zero from now on."""
        self._memory.madvise(mmap.MADV_REMOVE, start, end - start)

    def close(self) -> None:
        """Unmap and close; nothing made from this segment may be used afterwards."""
        self._memory.close()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
