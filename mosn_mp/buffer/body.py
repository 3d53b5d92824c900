"""A message body held whole: in place in the block it was read into, or collected piece by piece.

Protocols that put messages of many streams on one connection write each message in one go; so the body must be there before its
frame begins. Memory grows with the bytes that have come, never with what a length announces.
"""

import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.stdlib import free, realloc
from cython.cimports.libc.string import memcpy

# A collected body up to this size keeps its memory for the next one.
KEPT = cython.declare(uint64_t, 65536)
FIRST = cython.declare(uint64_t, 4096)


class Body:
    """The body of one message; reused by the next."""

    def __cinit__(self, arena=None) -> None:
        self.arena = arena

    def __dealloc__(self) -> None:
        if self.block != cython.NULL:
            self.arena.drop(self.block)
        free(self.heap)

    def clear(self) -> cython.void:
        """Empty; no block is held."""
        if self.block != cython.NULL:
            self.arena.drop(self.block)
            self.block = cython.NULL
        if self.heap_cap > KEPT:
            free(self.heap)
            self.heap = cython.NULL
            self.heap_cap = 0
        self.data = cython.NULL
        self.length = 0

    def borrow(self, data: cython.p_const_char, length: uint64_t) -> cython.void:
        """The whole body lies at *data* in an arena block, which lives on until clear(). The body must be empty."""
        if length:
            self.data = data
            self.length = length
            self.block = cython.cast(cython.p_char, data)
            self.arena.hold(data)

    def append(self, data: cython.p_const_char, length: uint64_t) -> cython.int:
        """Copy one more piece; MemoryError if there is no memory."""
        if length == 0:
            return 0
        if self.block != cython.NULL:
            self._collect()
        self._grow(self.length + length)
        memcpy(self.heap + self.length, data, length)
        self.length += length
        self.data = self.heap
        return 0

    def _collect(self) -> cython.int:
        """Copy a borrowed body, so that it can grow."""
        length: uint64_t = self.length
        data: cython.p_const_char = self.data
        self._grow(length)
        memcpy(self.heap, data, length)
        self.data = self.heap
        self.arena.drop(self.block)
        self.block = cython.NULL
        return 0

    def _grow(self, needed: uint64_t) -> cython.int:
        grown: cython.p_char
        size: uint64_t = self.heap_cap if self.heap_cap else FIRST
        if needed <= self.heap_cap:
            return 0
        while size < needed:
            size *= 2
        grown = cython.cast(cython.p_char, realloc(self.heap, size))
        if grown == cython.NULL:
            raise MemoryError(f"no memory for a message of {needed} bytes")
        self.heap = grown
        self.heap_cap = size
        return 0

    def move_from(self, other: Body) -> cython.void:
        """Take over what *other* holds; it is empty afterwards."""
        heap: cython.p_char = self.heap
        heap_cap: uint64_t = self.heap_cap
        if self.block != cython.NULL:
            self.arena.drop(self.block)
        self.data = other.data
        self.length = other.length
        self.block = other.block
        self.heap = other.heap
        self.heap_cap = other.heap_cap
        other.heap = heap
        other.heap_cap = heap_cap
        other.block = cython.NULL
        other.data = cython.NULL
        other.length = 0
