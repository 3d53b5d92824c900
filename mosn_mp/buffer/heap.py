"""The process's heap: what a burst left free in it goes back to the kernel when it is over.

malloc keeps free pages that lie below used ones. Giving them back is a walk over all that is free, 0.3 to 1 ms a MiB in one go,
and costs faults when they are used again: it is done for what was free all through a period, and only when that is much.
"""

import os
import sys

import cython
from cython.cimports.libc.stdint import uint64_t

# Looks in one period. Once a second: a load that comes in waves keeps what it needs for the next one.
PERIOD = cython.declare(cython.int, 10)
WORTH_BYTES = cython.declare(uint64_t, 1 << 20)
# A debugging allocator asks of each object whether it made it.
IS_DEBUGGED = cython.declare(
    cython.bint, sys.flags.dev_mode or hasattr(sys, "gettotalrefcount") or "debug" in os.environ.get("PYTHONMALLOC", "")
)


def allocate_apart(usual: cython.pointer(Allocator)) -> cython.void:
    """From now on objects come from malloc; what was the case before goes to *usual*."""
    if IS_DEBUGGED:
        PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, usual)
    else:
        leave_arenas(usual)


def allocate_as_usual(usual: cython.pointer(Allocator)) -> cython.void:
    """Objects come from where they came before."""
    PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, usual)


class Heap:
    """Watches the heap of this process, for a timer of a second."""

    def __cinit__(self) -> None:
        self.given = self.low = free_bytes()

    def look(self) -> None:
        """Give pages back if the time has come for it."""
        free: uint64_t = free_bytes()
        self.given = min(self.given, free)
        self.low = min(self.low, free)
        self.looks += 1
        if self.looks < PERIOD:
            return
        if self.low >= self.given + WORTH_BYTES:
            trim()
            self.given = free
        self.low = free
        self.looks = 0
