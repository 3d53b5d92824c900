"""The arena of buffers of 4, 16 and 64 KiB: memory that one worker alone has, within a bound for all of them together.

Each worker makes a sealed memfd of the whole arena's size for itself (nobody else maps it or has its descriptor), in which a page
takes memory from its first use: any worker may use all of the arena if the others do not. Nothing about the blocks is shared but
three counts per class in the worker's row of the Holdings (holdings.py). When a worker dies the kernel takes its memory back, at
whatever instant that is; there is nothing to walk through.

Per class there is a table of owned bytes and one of touched bytes, a magazine of owned, unused blocks (a stack: the block used
last is the one still in the cache), and a count of references per block. take and drop touch no shared memory. Free blocks are
looked for from the lowest address, so that low blocks are reused and high ones stay free and can lose their pages again; what all
hold is looked at only where the magazine is empty and a block without memory would be taken.

    touched:  UNTOUCHED --taken: pages secured by fallocate--> TOUCHED --free at a trim()--> AGED --free at the next--> UNTOUCHED

One piece: every function takes part in one protocol over the same tables; whoever changes one has to read them all.

Sources: Bonwick, Magazines and Vmem (USENIX 2001) for the magazines; the second-chance page replacement for ageing;
HAProxy's buffers (doc/internals/api/buffer-api.txt, pool.c), which exist only while data is in transit.
"""

import errno
from typing import NamedTuple

import cython
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memchr, memmove
from cython.cimports.mosn_mp.buffer.poison import poison, unpoison
from cython.cimports.mosn_mp.buffer.shared import address_of, back_pages, load_share, release_pages, store_share

from mosn_mp.buffer.holdings import BLOCK_SHIFTS, CLASS_CELLS, ROW_CELLS, Holdings, block_counts
from mosn_mp.buffer.segment import Segment, Shape, whole_pages

KIND = "arena"
LAYOUT = 3

MAGAZINES = (64, 32, 16)

UNTOUCHED = cython.declare(uint8_t, 0)
TOUCHED = cython.declare(uint8_t, 1)
AGED = cython.declare(uint8_t, 2)

STRIDE = cython.declare(uint32_t, ROW_CELLS)

# Table entries one trim() looks at per class: 8 us, and a 160 MiB arena is seen whole each time.
EXAMINED = cython.declare(uint32_t, 8192)
# Blocks that one trim() may take the pages of when others are short of them: 1 us each.
RELEASED_WHEN_SHORT = cython.declare(uint32_t, 4096)
ENOSPC = cython.declare(cython.int, errno.ENOSPC)
ENOMEM = cython.declare(cython.int, errno.ENOMEM)


class OwnUsage(NamedTuple):
    """One size class as this process uses it."""

    block_size: int
    total: int
    owned: int  # in use or in its magazine
    touched: int  # blocks with pages behind them
    in_use: int
    peak: int
    taken: int
    given: int
    exhausted: int


def arena_shape(size: int) -> Shape:
    """An arena of *size* bytes, rounded up to pages."""
    return Shape(KIND, LAYOUT, whole_pages(size))


class Arena:
    """The buffers in *segment* (`Segment.create(arena_shape(size))`), of the worker that has *slot* as its row in *holdings*.

    Made after fork() by each worker, as is the segment. Not for threads.
    """

    def __cinit__(self, segment: Segment, holdings: Holdings, slot: cython.int) -> None:
        segment.expect(arena_shape(segment.size))
        counts = block_counts(segment.size)
        if counts != holdings.counts:
            raise ValueError(f"an arena of {counts} blocks; the bound of all is {holdings.counts}")
        if not 0 <= slot < holdings.rows:
            raise ValueError(f"arena slot {slot}: 0 to {holdings.rows - 1}")
        self.segment = segment
        self.holdings = holdings
        self.slot = slot
        self.rows = holdings.rows
        self.fd = segment.fd
        self.base = address_of(segment.buffer)
        cells: cython.pointer(uint32_t) = cython.cast(cython.pointer(uint32_t), address_of(holdings.segment.buffer))
        data: cython.size_t = 0
        c: cython.int
        for c in range(CLASSES):
            blocks: cython.pointer(BlockClass) = cython.address(self.classes[c])
            blocks.count = blocks.trim_at = counts[c]
            blocks.shift = BLOCK_SHIFTS[c]
            blocks.start = self.base + data
            data += cython.cast(cython.size_t, blocks.count) << blocks.shift
            blocks.cells = cells + cython.cast(uint32_t, c * CLASS_CELLS)
            # A small arena gets small magazines: what one process hoards the others cannot take.
            blocks.capacity = min(MAGAZINES[c], max(2, counts[c] // 32))
            blocks.batch = max(1, blocks.capacity // 2)
            blocks.owned = cython.cast(cython.pointer(uint8_t), calloc(blocks.count, 1))
            blocks.touched = cython.cast(cython.pointer(uint8_t), calloc(blocks.count, 1))
            blocks.refs = cython.cast(cython.pointer(uint16_t), calloc(blocks.count, cython.sizeof(uint16_t)))
            blocks.magazine = cython.cast(cython.pointer(uint32_t), calloc(blocks.capacity + 1, cython.sizeof(uint32_t)))
            if not (blocks.owned and blocks.touched and blocks.refs and blocks.magazine):
                raise MemoryError
            poison(blocks.start, cython.cast(cython.size_t, blocks.count) << blocks.shift)
            self.publish(blocks)

    def __dealloc__(self) -> None:
        c: cython.int
        for c in range(CLASSES):
            free(self.classes[c].owned)
            free(self.classes[c].touched)
            free(self.classes[c].refs)
            free(self.classes[c].magazine)
            if self.classes[c].start != cython.NULL:  # the addresses may soon be something else
                unpoison(self.classes[c].start, cython.cast(cython.size_t, self.classes[c].count) << self.classes[c].shift)

    def take(self, size: uint32_t) -> cython.p_char:
        """The smallest free block that holds *size* bytes, with one reference; NULL if there is none."""
        blocks: cython.pointer(BlockClass) = cython.address(self.classes[0])
        if size > 4096:
            blocks = cython.address(self.classes[1])
            if size > 16384:
                blocks = cython.address(self.classes[2])
                if size > LARGEST_BLOCK:
                    return cython.NULL
        if blocks.held == 0 and self.refill(blocks) == 0:
            return self.take_slowly(blocks)
        blocks.held -= 1
        index: uint32_t = blocks.magazine[blocks.held]
        if blocks.touched[index] != TOUCHED and not self.back(blocks, index):
            blocks.held += 1
            blocks.exhausted += 1
            return cython.NULL
        blocks.refs[index] = 1
        blocks.taken += 1
        blocks.in_use += 1
        if blocks.in_use > blocks.recent_peak:
            blocks.recent_peak = blocks.in_use
        at: cython.p_char = blocks.start + (cython.cast(cython.size_t, index) << blocks.shift)
        unpoison(at, cython.cast(cython.size_t, 1) << blocks.shift)
        return at

    def take_slowly(self, blocks: cython.pointer(BlockClass)) -> cython.p_char:
        """A block of the next larger class that has one, after *blocks* was found used up; NULL if none has."""
        blocks.exhausted += 1
        if blocks == cython.address(self.classes[CLASSES - 1]):
            return cython.NULL
        return self.take((cython.cast(uint32_t, 1) << blocks.shift) + 1)

    def hold(self, at: cython.pointer(cython.const[cython.char])) -> cython.void:
        """One more reference on the block that *at* points into."""
        blocks: cython.pointer(BlockClass) = self.class_of(at)
        if blocks != cython.NULL:
            blocks.refs[(at - blocks.start) >> blocks.shift] += 1

    def drop(self, at: cython.pointer(cython.const[cython.char])) -> cython.void:
        """One reference less; the last one puts the block into the magazine."""
        blocks: cython.pointer(BlockClass) = self.class_of(at)
        if blocks == cython.NULL:
            return
        index: uint32_t = cython.cast(uint32_t, (at - blocks.start) >> blocks.shift)
        references: uint16_t = blocks.refs[index]
        if references != 1:
            if references == 0:
                self.misused += 1
            else:
                blocks.refs[index] = references - 1
            return
        blocks.refs[index] = 0
        blocks.in_use -= 1
        poison(blocks.start + (cython.cast(cython.size_t, index) << blocks.shift), cython.cast(cython.size_t, 1) << blocks.shift)
        if blocks.held == blocks.capacity:
            self.give_back(blocks, blocks.batch)
        blocks.magazine[blocks.held] = index
        blocks.held += 1

    def refs(self, at: cython.pointer(cython.const[cython.char])) -> cython.int:
        """References held on the block that *at* points into."""
        blocks: cython.pointer(BlockClass) = self.class_of(at)
        return 0 if blocks == cython.NULL else blocks.refs[(at - blocks.start) >> blocks.shift]

    def size_of(self, at: cython.pointer(cython.const[cython.char])) -> uint32_t:
        """Capacity of the block that *at* points into; 0 for none."""
        blocks: cython.pointer(BlockClass) = self.class_of(at)
        return 0 if blocks == cython.NULL else cython.cast(uint32_t, 1) << blocks.shift

    def class_of(self, at: cython.pointer(cython.const[cython.char])) -> cython.pointer(BlockClass):
        """The class whose blocks *at* points into; NULL for an address below all blocks, as NULL is."""
        # 16 KiB blocks first: they serve nearly every request.
        if at >= self.classes[1].start:
            if at >= self.classes[2].start:
                return cython.address(self.classes[2])
            return cython.address(self.classes[1])
        if at >= self.classes[0].start:
            return cython.address(self.classes[0])
        return cython.NULL

    def back(self, blocks: cython.pointer(BlockClass), index: uint32_t) -> cython.bint:
        """Whether the pages of an owned block exist, now that it is used again.

        A write to a page that the kernel has no memory for is SIGBUS; fallocate says so instead, and costs one call on first use.
        """
        if blocks.touched[index] == UNTOUCHED:
            at: uint64_t = (blocks.start - self.base) + (cython.cast(uint64_t, index) << blocks.shift)
            problem: cython.int = back_pages(self.fd, at, cython.cast(uint64_t, 1) << blocks.shift)
            if problem == ENOSPC or problem == ENOMEM:
                return False
            blocks.touched_now += 1
            self.publish(blocks)
        blocks.touched[index] = TOUCHED
        return True

    def publish(self, blocks: cython.pointer(BlockClass)) -> cython.void:
        """Say what this process holds of the class, whatever stood there."""
        cells: cython.pointer(uint32_t) = blocks.cells + cython.cast(uint32_t, self.slot) * STRIDE
        store_share(cells, blocks.held_now)
        store_share(cells + 1, blocks.owned_now)
        store_share(cells + 2, blocks.touched_now)

    def room(self, blocks: cython.pointer(BlockClass)) -> uint32_t:
        """How many more blocks of the class may count against the arena.

        Two that look at the same instant may both take what is left: a batch each. The first batch is everybody's own.
        """
        held: uint64_t = blocks.held_now
        row: uint32_t
        for row in range(self.rows):
            if row != cython.cast(uint32_t, self.slot):
                held += min(load_share(blocks.cells + row * STRIDE), blocks.count)
        left: uint32_t = 0 if held >= blocks.count else cython.cast(uint32_t, blocks.count - held)
        return max(left, blocks.batch - min(blocks.held_now, blocks.batch))

    def refill(self, blocks: cython.pointer(BlockClass)) -> uint32_t:
        """Put up to a batch of free blocks into the empty magazine; the lowest comes out first. Returns how many.

        Those without memory behind them only as far as all processes together may have more.
        """
        taken: uint32_t[64]
        found: uint32_t = 0
        idle: uint32_t = blocks.held_now - blocks.owned_now
        room: uint32_t = self.room(blocks)
        at: uint32_t = blocks.low
        wrapped: cython.bint = at == 0
        while found < blocks.batch and (room > 0 or idle > 0):
            hit: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), memchr(blocks.owned + at, 0, blocks.count - at))
            if hit == cython.NULL:
                if wrapped:
                    break
                wrapped = True
                at = 0
                continue
            at = cython.cast(uint32_t, hit - blocks.owned)
            if blocks.touched[at] != UNTOUCHED or room > 0:
                if blocks.touched[at] != UNTOUCHED:
                    idle -= 1
                else:
                    room -= 1
                    blocks.held_now += 1
                hit[0] = 1
                taken[found] = at
                found += 1
            at += 1
        blocks.low = at
        i: uint32_t
        for i in range(found):
            blocks.magazine[i] = taken[found - 1 - i]
        blocks.held = found
        if found:
            blocks.owned_now += found
            self.publish(blocks)
        return found

    def give_back(self, blocks: cython.pointer(BlockClass), number: uint32_t) -> cython.void:
        """Free the *number* blocks of the magazine that were unused longest."""
        i: uint32_t
        for i in range(number):
            index: uint32_t = blocks.magazine[i]
            if index < blocks.low:
                blocks.low = index
            blocks.owned[index] = 0
            if blocks.touched[index] == UNTOUCHED:
                blocks.held_now -= 1
        blocks.owned_now -= number
        self.publish(blocks)
        blocks.held -= number
        memmove(blocks.magazine, blocks.magazine + number, blocks.held * cython.sizeof(uint32_t))

    def release_idle(self, blocks: cython.pointer(BlockClass), limit: uint32_t, is_short: cython.bint) -> uint32_t:
        """Give the pages of at most *limit* blocks that stayed free since the last look back to the kernel, highest first.

        When all are short of blocks, of those that are free just now: others wait for them.
        """
        released: uint32_t = 0
        run: uint32_t = 0
        examined: uint32_t = blocks.count if is_short else min(blocks.count, EXAMINED)
        while examined > 0 and released + run < limit:
            examined -= 1
            if blocks.trim_at == 0:
                released += self.release_run(blocks, 0, run)
                run = 0
                blocks.trim_at = blocks.count
            blocks.trim_at -= 1
            if self.is_idle(blocks, blocks.trim_at, is_short):
                run += 1
            elif run:
                released += self.release_run(blocks, blocks.trim_at + 1, run)
                run = 0
        return released + self.release_run(blocks, blocks.trim_at, run)

    def is_idle(self, blocks: cython.pointer(BlockClass), index: uint32_t, is_short: cython.bint) -> cython.bint:
        """Whether the block was free for two looks, or is free and *is_short*; the first look marks a free touched one AGED."""
        if blocks.touched[index] == UNTOUCHED or blocks.owned[index]:
            return False
        if blocks.touched[index] == TOUCHED and not is_short:
            blocks.touched[index] = AGED
            return False
        return True

    def release_run(self, blocks: cython.pointer(BlockClass), first: uint32_t, number: uint32_t) -> uint32_t:
        """Give the pages of *number* free neighbours back in one call. Returns how many lost theirs."""
        if number == 0:
            return 0
        at: cython.p_char = blocks.start + (cython.cast(cython.size_t, first) << blocks.shift)
        if release_pages(at, cython.cast(uint64_t, number) << blocks.shift) != 0:
            return 0
        index: uint32_t
        for index in range(first, first + number):
            blocks.touched[index] = UNTOUCHED
        blocks.touched_now -= number
        blocks.held_now -= number
        return number

    def trim(self, limit: cython.int = 256) -> int:
        """Return what recent traffic did not need: surplus magazine blocks, then the pages of at most *limit* idle free blocks.

        For a timer of half a second; a block loses its pages when two calls in a row found it free, or one while less than a
        quarter of the arena is left to all. Returns the number of blocks whose pages went back to the kernel (1 us per block).
        """
        released: uint32_t = 0
        c: cython.int
        for c in range(CLASSES):
            blocks: cython.pointer(BlockClass) = cython.address(self.classes[c])
            needed: uint32_t = blocks.recent_peak - blocks.in_use
            if blocks.held > needed:
                self.give_back(blocks, blocks.held - needed)
            blocks.peak = max(blocks.peak, blocks.recent_peak)
            blocks.recent_peak = blocks.in_use
            blocks.low = 0
            if blocks.held_now > blocks.owned_now and self.room(blocks) < blocks.count // 4:
                released += self.release_idle(blocks, RELEASED_WHEN_SHORT, True)
            elif cython.cast(uint32_t, limit) > released:
                released += self.release_idle(blocks, cython.cast(uint32_t, limit) - released, False)
            self.publish(blocks)
        return released

    def usage(self) -> list[OwnUsage]:
        """What this process has of each class, smallest first."""
        found = []
        c: cython.int
        for c in range(CLASSES):
            blocks: cython.pointer(BlockClass) = cython.address(self.classes[c])
            given = blocks.taken - blocks.in_use
            peak = max(blocks.peak, blocks.recent_peak)
            found.append(
                OwnUsage(
                    1 << blocks.shift, blocks.count, blocks.owned_now, blocks.touched_now,
                    blocks.in_use, peak, blocks.taken, given, blocks.exhausted,
                )
            )  # fmt: skip
        return found

    # The same for callers in Python: an address is an int, 0 means exhausted.

    def take_block(self, size: int) -> int:
        """Address of a block that holds *size* bytes, with one reference; 0 if the arena is exhausted."""
        return cython.cast(uintptr_t, self.take(size))

    def hold_block(self, address: int) -> None:
        """One more reference on the block around *address*."""
        self.hold(cython.cast(cython.p_char, cython.cast(uintptr_t, address)))

    def drop_block(self, address: int) -> None:
        """One reference less on the block around *address*."""
        self.drop(cython.cast(cython.p_char, cython.cast(uintptr_t, address)))

    def block_refs(self, address: int) -> int:
        """References held on the block around *address*."""
        return self.refs(cython.cast(cython.p_char, cython.cast(uintptr_t, address)))

    def block_view(self, address: int) -> memoryview:
        """The bytes of the block from *address* to its end; valid while a reference is held."""
        at: cython.p_char = cython.cast(cython.p_char, cython.cast(uintptr_t, address))
        size = self.size_of(at)
        if size == 0:
            raise ValueError(f"no block at {address:#x}")
        offset = at - self.base
        end = offset + size - (offset - (self.class_of(at).start - self.base)) % size
        return self.segment.view[offset:end]
