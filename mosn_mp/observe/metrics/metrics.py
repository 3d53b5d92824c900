"""Counters in shared memory: one row of 64-bit cells per slot, one writer per row, summed by whoever wants to know.

    | row 0: worker block | (page) blocks of listeners ... | (page) blocks of hosts ... | (page) row 1 ...

The block of a listener or host lies in every row at the same place, which its number says (the master assigns it:
master/state/directory.py). There is room for far more of them than any configuration has, and none takes memory before something
is counted in it. What reads or empties the rows looks only at pages that there are (Segment.used), and no block lies on two: so
that looking costs no memory either.

A block has cache lines of its own: writers never meet, and a counter costs one plain addition. What a cell means says
cells.py. A gauge is +1 and -1 in the row of the process that holds the thing, so the sum over rows is right; when a
process dies, its gauges are zeroed and its counters stay.

MOSN's own layout (a hash set of named entries behind one lock word) costs a lock and an atomic per count.
"""

import mmap
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import cython
from cython.cimports.libc.stdint import int16_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.mosn_mp.buffer.shared import address_of, leading_zeros, load_cell, store_cell

from mosn_mp.buffer.segment import Segment, Shape
from mosn_mp.observe.metrics.cells import BOUNDS_US, DOWNSTREAM, UPSTREAM, WORKER, Block, layout_number

KIND = "metrics"
LAYOUT = layout_number()
PAGE_CELLS = mmap.PAGESIZE // 8

bounds = cython.declare(uint64_t[20])
# By bit length of the duration: the first bucket whose bound is not below the smallest number of that length.
first_bucket = cython.declare(uint8_t[65])
status_cells = cython.declare(int16_t[600])


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


class Region(NamedTuple):
    """Where in a row the blocks of one type lie."""

    block: Block
    at: int  # the first cell
    pages: int

    @property
    def per_page(self) -> int:
        """Blocks on a page."""
        return PAGE_CELLS // self.block.size

    def base(self, number: int) -> int:
        """The first cell of block *number*."""
        page, place = divmod(number, self.per_page)
        return self.at + page * PAGE_CELLS + place * self.block.size


def regions(listeners: int, hosts: int) -> dict[str, Region]:
    """The parts of a row with room for so many, by the type of their blocks, in their order."""
    found: dict[str, Region] = {}
    at = 0
    for block, count in ((WORKER, 1), (DOWNSTREAM, listeners), (UPSTREAM, hosts)):
        region = Region(block, at, -(-count // (PAGE_CELLS // block.size)))
        found[block.type] = region
        at += region.pages * PAGE_CELLS
    return found


def metrics_shape(rows: int, listeners: int, hosts: int) -> Shape:
    """*rows* for all processes that write; numbers of listeners and hosts are below the other two."""
    if min(rows, listeners, hosts) < 1:
        raise ValueError(f"metrics need a row, a listener and a host at least, not {rows}, {listeners} and {hosts}")
    row_cells = sum(region.pages for region in regions(listeners, hosts).values()) * PAGE_CELLS
    return Shape(KIND, LAYOUT, rows * row_cells * 8, rows, (listeners, hosts))


class Metrics:
    """The rows of all processes: `Metrics(Segment.create(metrics_shape(16, 100, 10_000)))`."""

    def __cinit__(self, segment: Segment) -> None:
        listeners, hosts = segment.shape.places
        self.segment = segment.expect(metrics_shape(segment.shape.rows, listeners, hosts))
        self.regions = regions(listeners, hosts)
        self.max_slots = segment.shape.rows
        self.stride = segment.size // self.max_slots
        self.row_cells = self.stride // 8
        self.base = address_of(segment.buffer)
        self.hosts_at = self.regions["upstream"].at
        self.page_cells = PAGE_CELLS

    def cells(self, slot: cython.int) -> cython.pointer(uint64_t):
        """The row of *slot*; NULL for a slot that does not exist."""
        if not 0 <= slot < self.max_slots:
            return cython.NULL
        return cython.cast(cython.pointer(uint64_t), self.base + self.stride * cython.cast(cython.size_t, slot))

    def upstream(self, slot: cython.int, host: uint32_t) -> cython.pointer(uint64_t):
        """The block of *host* in the row of *slot*, both of which exist: base_of(), for as many hosts as there are."""
        per_page: uint32_t = self.page_cells // U_CELLS
        page: uint32_t = host // per_page
        return self.cells(slot) + self.hosts_at + page * self.page_cells + (host - page * per_page) * U_CELLS

    def sum(self, cell: uint32_t) -> uint64_t:
        """The sum of one cell over all rows, for those that limit it: of a listener or worker, not of each of many hosts."""
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

    def base_of(self, type_: str, number: int) -> int:
        """The first cell of block *number* of that type; IndexError if there is no room for such a number."""
        region = self.regions[type_]
        if not 0 <= number < region.pages * region.per_page:
            raise IndexError(f"{type_} {number}: there is room for {region.pages * region.per_page}")
        return region.base(number)

    def row(self, slot: cython.int, base: uint32_t, count: uint32_t) -> list[int]:
        """*count* cells from *base* of one row, which is in use."""
        self.check(slot, cython.cast(uint64_t, base) + count)
        cells: cython.pointer(uint64_t) = self.cells(slot)
        return [load_cell(cells + at) for at in range(base, base + count)]

    def add(self, slot: cython.int, cell: uint32_t, amount: cython.longlong = 1) -> None:
        """Add *amount* (may be negative) to one cell; only the process of *slot* may."""
        self.segment.check_writable()
        self.check(slot, cython.cast(uint64_t, cell) + 1)
        at: cython.pointer(uint64_t) = self.cells(slot) + cell
        store_cell(at, load_cell(at) + cython.cast(uint64_t, amount))

    def put(self, slot: cython.int, cell: uint32_t, value: uint64_t) -> None:
        """Set one cell; only the process of *slot* may, or the master when it is dead."""
        self.segment.check_writable()
        self.check(slot, cython.cast(uint64_t, cell) + 1)
        store_cell(self.cells(slot) + cell, value)

    # -- for those that look at all rows -------------------------------------------------------------------------------------

    def parts(self, slot: int, base: int, count: int) -> list[tuple[int, int]]:
        """[from, to) of the cells from *base* to *base* + *count* in the row of *slot* that have memory; all others are 0."""
        self.check(slot, base + count)
        row_at = slot * self.row_cells
        first, last = (row_at + base) // PAGE_CELLS, -(-(row_at + base + count) // PAGE_CELLS)
        used = self.segment.used(first * mmap.PAGESIZE, last * mmap.PAGESIZE)
        return [(max(base, start // 8 - row_at), min(base + count, end // 8 - row_at)) for start, end in used]

    def sums(self, base: uint32_t, count: uint32_t) -> list[int]:
        """The sums over all rows of *count* cells from *base*."""
        found = [0] * count
        slot: cython.int
        at: uint32_t
        for slot in range(self.max_slots):
            for first, end in self.parts(slot, base, count):
                for at in range(first, end):
                    found[at - base] += load_cell(self.cells(slot) + at)
        return [number & 0xFFFFFFFFFFFFFFFF for number in found]

    def used(self, type_: str, end: int) -> Iterator[tuple[int, list[int]]]:
        """(number, sums over all rows) of each block of that type, numbered below *end*, in which anything was ever counted."""
        region = self.regions[type_]
        slots_of: dict[int, list[int]] = {}
        for slot in range(self.max_slots):
            for page in self._pages(slot, region, end):
                slots_of.setdefault(page, []).append(slot)
        for page in sorted(slots_of):
            for number in range(page * region.per_page, min(end, (page + 1) * region.per_page)):
                sums = self._sum_over(slots_of[page], region.base(number), region.block.size)
                if sums is not None:
                    yield number, sums

    def _pages(self, slot: int, region: Region, end: int) -> list[int]:
        """The pages with memory in the row of *slot* among those with blocks numbered below *end*."""
        pages = min(region.pages, -(-end // region.per_page))
        parts = self.parts(slot, region.at, pages * PAGE_CELLS)
        return [page for a, b in parts for page in range((a - region.at) // PAGE_CELLS, (b - region.at) // PAGE_CELLS)]

    def _sum_over(self, slots: list, base: uint32_t, count: uint32_t) -> list | None:
        """The sums of *count* cells, at most those of the largest block, over some rows; None if all of them are 0."""
        sums: uint64_t[D_CELLS]
        seen: uint64_t = 0
        i: uint32_t
        slot: cython.int
        memset(sums, 0, cython.sizeof(sums))
        for slot in slots:
            row: cython.pointer(uint64_t) = self.cells(slot) + base
            for i in range(count):
                value: uint64_t = load_cell(row + i)
                sums[i] += value
                seen |= value
        return [sums[i] for i in range(count)] if seen else None

    def clear_gauges(self, slot: int, ends: Mapping[str, int]) -> None:
        """Zero all gauges of the row of *slot*, whose process is dead, in the blocks numbered below *ends* of their type."""
        cells: cython.pointer(uint64_t)
        place: uint32_t
        gauge: uint32_t
        self.segment.check_writable()
        for region in self.regions.values():
            gauges = region.block.gauges()
            for page in self._pages(slot, region, ends[region.block.type]):
                cells = self.cells(slot) + cython.cast(uint32_t, region.at + page * PAGE_CELLS)
                for place in range(0, region.per_page * region.block.size, region.block.size):
                    for gauge in gauges:
                        if load_cell(cells + place + gauge):
                            store_cell(cells + place + gauge, 0)

    def drop_behind(self, ends: Mapping[str, int]) -> None:
        """Give memory back that somebody took in any row behind the blocks numbered below *ends*: nobody counts there."""
        for slot in range(self.max_slots):
            for region in self.regions.values():
                pages = min(region.pages, -(-ends[region.block.type] // region.per_page))
                at = slot * self.stride + (region.at + pages * PAGE_CELLS) * 8
                if pages < region.pages:
                    self.segment.drop(at, at + (region.pages - pages) * mmap.PAGESIZE)

    def clear(self, type_: str, numbers: Iterable[int], has_any: Callable[[int, int], bool]) -> None:
        """Zero the blocks *numbers* in all rows: they mean nothing any more.

        A page goes back to the kernel if none of the numbers on it, from first up to end, is somebody's: *has_any*(first, end).
        """
        self.segment.check_writable()
        region = self.regions[type_]
        on_page: dict[int, list[int]] = {}
        for number in numbers:
            on_page.setdefault(number // region.per_page, []).append(number)
        end = (max(on_page, default=-1) + 1) * region.per_page
        for slot in range(self.max_slots):
            for page in self._pages(slot, region, end):
                if page not in on_page:
                    continue
                if not has_any(page * region.per_page, (page + 1) * region.per_page):
                    at = slot * self.stride + (region.at + page * PAGE_CELLS) * 8
                    self.segment.drop(at, at + mmap.PAGESIZE)
                    continue
                for number in on_page[page]:
                    base: uint32_t = region.base(number)
                    memset(self.cells(slot) + base, 0, cython.cast(cython.size_t, region.block.size) * 8)
