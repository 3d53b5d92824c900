"""Counters in shared memory: one row of 64-bit cells per slot, one writer per row, summed by whoever wants to know.

    | header 64 B | max_slots u32 | cells u32 | (page) row 0: worker block, blocks... | row 1 | ...

A row starts on a page of its own, a block on a cache line of its own: writers never meet, so a counter costs one plain addition.
Which block lies where says the Directory (directory.py), what a cell means cells.py. A gauge is +1 and -1 in the row of the
process that holds the thing, so the sum over rows is right; when a process dies, its gauges are zeroed and its counters stay.

Source: mosn-reference 10.2 for the purpose (counts that survive restarts and upgrades); MOSN's own layout (a hash set of named
entries behind one lock word) costs a lock and an atomic per count.
"""

import struct

import cython
from cython.cimports.libc.stdint import int16_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.mosn_mp.buffer.shared import address_of, leading_zeros, load_cell, store_cell

from mosn_mp.buffer.segment import HEADER_BYTES, Segment
from mosn_mp.observe.metrics.cells import BOUNDS_US, DOWNSTREAM, layout_number

KIND = "metrics"
LAYOUT = layout_number()
ROWS_AT = 4096
SIZES = struct.Struct("<II")

bounds = cython.declare(uint64_t[20])
# By bit length of the duration: the first bucket whose bound is not below the smallest number of that length.
first_bucket = cython.declare(uint8_t[65])
status_cells = cython.declare(int16_t[600])


@cython.cfunc
def _fill_tables() -> None:
    i: cython.int
    for i in range(BUCKETS - 1):
        bounds[i] = BOUNDS_US[i]
    bounds[BUCKETS - 1] = cython.cast(uint64_t, -1)
    smallest: uint64_t = 1
    bucket: cython.int = 0
    for i in range(1, 65):
        while bounds[bucket] < smallest:
            bucket += 1
        first_bucket[i] = bucket
        smallest <<= 1
    for i in range(600):
        status_cells[i] = D_REQUEST_OTHER_CODE
    for cell in DOWNSTREAM.cells:
        if cell.key.startswith("request_") and cell.key[8:11].isdigit():
            status_cells[int(cell.key[8:11])] = cell.at


_fill_tables()


def observe(hist: cython.pointer(uint64_t), us: uint64_t) -> cython.void:
    """Count a duration of *us* microseconds in the histogram at *hist*."""
    # Bounds differ by a factor of 2 at least, so at most one lies among the numbers of one bit length: one comparison decides.
    bucket: cython.uint = first_bucket[64 - leading_zeros(us | 1)]
    bucket += us > bounds[bucket]
    hist[bucket] += 1
    hist[HISTOGRAM_SUM] += us


def status_cell(status: cython.int) -> cython.int:
    """The D_REQUEST_* cell that counts responses of *status*."""
    if 0 <= status < 600:
        return status_cells[status]
    return D_REQUEST_OTHER_CODE


def observe_into(metrics: "Metrics", slot: cython.int, cell: uint32_t, us: uint64_t) -> None:
    """Count a duration of *us* microseconds in the histogram that begins at *cell* of the row of *slot*: observe() for Python."""
    metrics.check(slot, cython.cast(uint64_t, cell) + HISTOGRAM_CELLS)
    observe(metrics.cells(slot) + cell, us)


def cell_of_status(status: int) -> int:
    """status_cell() for Python."""
    return status_cell(status)


class Metrics:
    """The rows of all processes."""

    def __cinit__(self, segment: Segment) -> None:
        self.segment = segment.expect(KIND, LAYOUT)
        max_slots, row_cells = SIZES.unpack_from(segment.buffer, HEADER_BYTES)
        if segment_bytes(max_slots, row_cells) > segment.size:
            raise ValueError(f"metrics segment of {segment.size} bytes cannot hold {max_slots} rows of {row_cells} cells")
        self.max_slots = max_slots
        self.row_cells = row_cells
        self.stride = row_cells * 8
        rows_at: cython.size_t = ROWS_AT
        self.base = address_of(segment.buffer) + rows_at

    @staticmethod
    def create(max_slots: int, cells: int) -> "Metrics":
        """New rows, all zero. *cells* per row is rounded up to whole pages; untouched pages cost no memory.

        OSError ENOSPC if shared memory is short; max_slots counts every process that writes: workers of both generations of an
        upgrade, the controller, the master.
        """
        if max_slots < 1 or cells < W_CELLS:
            raise ValueError(f"metrics need a slot and {W_CELLS} cells at least, not {max_slots} and {cells}")
        rounded = -(-cells // 512) * 512
        segment = Segment.create(KIND, segment_bytes(max_slots, rounded), LAYOUT)
        SIZES.pack_into(segment.buffer, HEADER_BYTES, max_slots, rounded)
        return Metrics(segment)

    @staticmethod
    def attach(fd: int, size: int) -> "Metrics":
        """The rows behind an inherited descriptor; ValueError if it is something else."""
        return Metrics(Segment.attach(fd, size))

    @property
    def fd(self) -> int:
        """Descriptor of the shared memory, for attach() in a process that is started by exec."""
        return self.segment.fd

    @property
    def size(self) -> int:
        """Bytes of the shared memory, for attach()."""
        return self.segment.size

    def cells(self, slot: cython.int) -> cython.pointer(uint64_t):
        """The row of *slot*; NULL for a slot that does not exist."""
        if not 0 <= slot < self.max_slots:
            return cython.NULL
        return cython.cast(cython.pointer(uint64_t), self.base + self.stride * cython.cast(cython.size_t, slot))

    def sum(self, cell: uint32_t) -> uint64_t:
        """The sum of one cell over all rows."""
        total: uint64_t = 0
        slot: cython.int
        if cell < self.row_cells:
            for slot in range(self.max_slots):
                total += load_cell(self.cells(slot) + cell)
        return total

    def check(self, slot: cython.int, end: uint64_t) -> None:
        """IndexError unless *slot* has a row and cells before *end* exist in it."""
        if not 0 <= slot < self.max_slots or end > self.row_cells:
            raise IndexError(f"slot {slot} of {self.max_slots}, cell {end} of {self.row_cells}")

    def sums(self, base: uint32_t, count: uint32_t) -> list[int]:
        """The sums over all rows of *count* cells from *base*."""
        self.check(0, cython.cast(uint64_t, base) + count)
        return [self.sum(at) for at in range(base, base + count)]

    def row(self, slot: cython.int, base: uint32_t, count: uint32_t) -> list[int]:
        """*count* cells from *base* of one row."""
        self.check(slot, cython.cast(uint64_t, base) + count)
        cells: cython.pointer(uint64_t) = self.cells(slot)
        return [load_cell(cells + at) for at in range(base, base + count)]

    def add(self, slot: cython.int, cell: uint32_t, amount: cython.longlong = 1) -> None:
        """Add *amount* (may be negative) to one cell; only the process of *slot* may."""
        self.check(slot, cython.cast(uint64_t, cell) + 1)
        at: cython.pointer(uint64_t) = self.cells(slot) + cell
        store_cell(at, load_cell(at) + cython.cast(uint64_t, amount))

    def put(self, slot: cython.int, cell: uint32_t, value: uint64_t) -> None:
        """Set one cell; only the process of *slot* may, or the master when it is dead."""
        self.check(slot, cython.cast(uint64_t, cell) + 1)
        store_cell(self.cells(slot) + cell, value)

    def clear(self, slot: cython.int, cells: list[int]) -> None:
        """Zero *cells* of one row: the gauges of a dead process (Directory.gauges())."""
        for cell in cells:
            self.put(slot, cell, 0)

    def clear_block(self, base: uint32_t, count: uint32_t) -> None:
        """Zero *count* cells from *base* in every row: the block gets another meaning."""
        self.check(0, cython.cast(uint64_t, base) + count)
        slot: cython.int
        for slot in range(self.max_slots):
            memset(self.cells(slot) + base, 0, cython.cast(cython.size_t, count) * 8)


def segment_bytes(max_slots: int, cells: int) -> int:
    """Bytes of shared memory that hold *max_slots* rows of *cells*."""
    return ROWS_AT + max_slots * cells * 8
