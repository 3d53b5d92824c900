"""What each worker holds of the arena: the bound of all of them together, in cells that are believed as far as it harms nobody.

Buffers are each worker's own memory (arena.py). All that workers share of the arena is a row of cells each, written by it alone:

    row:   | 4 KiB: held owned touched | 16 KiB: held owned touched | 64 KiB: held owned touched | unused up to 64 bytes |

    held       blocks that count against the arena: with memory behind them, or in use, or in a magazine
    owned      ... of these in use or in a magazine
    touched    ... of these with memory behind them

A worker that needs one more adds up what all hold. A false row can only deny: it never gives anybody more, and what a worker may
have whatever the others say (one refill of its magazine) nobody can deny. The master empties the rows of workers that are gone.
"""

from collections.abc import Container
from typing import NamedTuple

from mosn_mp.buffer.segment import Segment, Shape, whole_pages

KIND = "holdings"
LAYOUT = 1
ROW_BYTES = 64  # a cache line: no worker waits for the writes of another one
ROW_CELLS = ROW_BYTES // 4
HELD, OWNED, TOUCHED, CLASS_CELLS = 0, 1, 2, 3

BLOCK_SHIFTS = (12, 14, 16)
# Eighths of the arena per class. A connection lives in 16 KiB blocks (a head with its limits, a TLS record, a read that one recv
# fills); 4 KiB serves small answers, 64 KiB bulk bodies.
BLOCK_SHARES = (1, 5, 2)


class ClassUsage(NamedTuple):
    """One size class of the arena, as all workers together say."""

    block_size: int
    total: int
    free: int  # neither in use nor in a magazine
    owned: int
    touched: int  # with memory behind them


def block_counts(arena_bytes: int) -> tuple[int, ...]:
    """Blocks per class in an arena of so many bytes: what all workers together may have, and room for in the memory of each."""
    counts = [arena_bytes * share // 8 >> shift for share, shift in zip(BLOCK_SHARES, BLOCK_SHIFTS, strict=True)]
    if min(counts) < 1:
        raise ValueError(f"an arena of {arena_bytes} bytes has no room for one block of each class; 256 KiB is the least")
    return tuple(counts)


def holdings_shape(arena_bytes: int, rows: int) -> Shape:
    """For *rows* workers that share an arena of so many bytes."""
    return _shape(rows, block_counts(arena_bytes))


def _shape(rows: int, counts: tuple[int, ...]) -> Shape:
    return Shape(KIND, LAYOUT, whole_pages(rows * ROW_BYTES), rows, counts)


class Holdings:
    """The cells in *segment*, of holdings_shape(): written by each worker's Arena, read here."""

    def __init__(self, segment: Segment) -> None:
        shape = segment.shape
        if len(shape.places) != len(BLOCK_SHIFTS):
            raise ValueError(f"the segment is {shape}, expected one of holdings")
        self.segment = segment.expect(_shape(shape.rows, tuple(shape.places)))
        self.rows = shape.rows
        self.counts = tuple(shape.places)
        self._cells = segment.view.cast("I")

    def usage(self) -> list[ClassUsage]:
        """The state of each class, smallest first; no figure is larger than there are blocks."""
        found = []
        for c, (shift, total) in enumerate(zip(BLOCK_SHIFTS, self.counts, strict=True)):
            owned, touched = (min(total, self._sum(c * CLASS_CELLS + which)) for which in (OWNED, TOUCHED))
            found.append(ClassUsage(1 << shift, total, total - owned, owned, touched))
        return found

    def _sum(self, cell: int) -> int:
        return sum(self._cells[cell : self.rows * ROW_CELLS : ROW_CELLS])

    def owned_by(self, row: int) -> int:
        """Blocks that the worker of *row* says it owns."""
        at = row * ROW_CELLS + OWNED
        return sum(min(total, self._cells[at + c * CLASS_CELLS]) for c, total in enumerate(self.counts))

    def clear(self, row: int) -> None:
        """The worker of *row* is gone, and its memory with it."""
        self.segment.check_writable()
        self._cells[row * ROW_CELLS : (row + 1) * ROW_CELLS] = memoryview(bytes(ROW_BYTES)).cast("I")

    def clear_all_but(self, rows: Container[int]) -> None:
        """No worker but those of *rows* holds anything, whatever was written there."""
        for row in range(self.rows):
            if row not in rows:
                self.clear(row)
