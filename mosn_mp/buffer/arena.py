"""The shared-memory arena: buffers of 4, 16 and 64 KiB that all workers take from and that survive the death of any of them.

Per class the segment holds a table of owner bytes, a table of touched bytes, and the blocks:

    | owners 4K,16K,64K | touched 4K,16K,64K | (page) 4 KiB blocks | 16 KiB blocks | 64 KiB blocks |

The owner byte is the only truth that processes share: 0 free, slot + 1 owned; it changes from 0 by compare-and-swap and back by
its owner, or by reclaim() after the owner died. No free list, no lock, so there is no instant at which a kill -9 can break it.

Each process keeps a magazine of owned, unused blocks per class (a stack: the block used last is the one still in the cache) and
counts references in its own memory, so take and drop touch no shared cache line but the touched byte they read. Free blocks are
looked for from the lowest address, so that low blocks are reused and high ones stay free and can lose their pages again.

    touched:  UNTOUCHED --taken: pages secured by fallocate--> TOUCHED --free at a trim()--> AGED --free at the next--> UNTOUCHED

One piece: every function takes part in one protocol over shared bytes; whoever changes one has to read them all.

Sources: Bonwick, Magazines and Vmem (USENIX 2001) for the magazines; the second-chance page replacement for ageing;
HAProxy's buffers (doc/internals/api/buffer-api.txt, pool.c), which exist only while data is in transit.
"""

import errno
from typing import NamedTuple

import cython
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memchr, memmove
from cython.cimports.mosn_mp.buffer.poison import poison, poison_free, unpoison
from cython.cimports.mosn_mp.buffer.shared import (
    address_of,
    back_pages,
    claim_byte,
    load_byte,
    publish_byte,
    release_pages,
)

from mosn_mp.buffer.segment import Segment, Shape, whole_pages

KIND = "arena"
LAYOUT = 2
PAGE = 4096
MAX_SLOTS = 254  # the owner byte is slot + 1, and 255 is the master's

BLOCK_SHIFTS = (12, 14, 16)
# Eighths of the arena per class. A connection lives in 16 KiB blocks (a head with its limits, a TLS record, a read that one recv
# fills); 4 KiB serves small answers, 64 KiB bulk bodies.
BLOCK_SHARES = (1, 5, 2)
MAGAZINES = (64, 32, 16)

UNTOUCHED = cython.declare(uint8_t, 0)
TOUCHED = cython.declare(uint8_t, 1)
AGED = cython.declare(uint8_t, 2)

# Table entries one trim() looks at per class: 8 us, and a 160 MiB arena is seen whole each time.
EXAMINED = cython.declare(uint32_t, 8192)
ENOSPC = cython.declare(cython.int, errno.ENOSPC)
ENOMEM = cython.declare(cython.int, errno.ENOMEM)


class ClassUsage(NamedTuple):
    """One size class as one process sees it; `total`, `free`, `owned` and `touched` are shared facts, the rest its own."""

    block_size: int
    total: int
    free: int
    owned: int  # by the slot asked about: in use or in its magazine
    touched: int  # blocks with pages behind them
    in_use: int
    peak: int
    taken: int
    given: int
    exhausted: int


def block_counts(size: int) -> tuple[int, ...]:
    """Blocks per class in a segment of *size* bytes: a pure function, so that every process comes to the same table."""
    counts = [size * share // 8 >> shift for share, shift in zip(BLOCK_SHARES, BLOCK_SHIFTS, strict=True)]
    while _data_at(counts) + sum(n << shift for n, shift in zip(counts, BLOCK_SHIFTS, strict=True)) > size:
        counts[1] -= 1  # the tables take 2 bytes per block: one or two blocks of the largest share
    if min(counts) < 1:
        raise ValueError(f"an arena of {size} bytes has no room for one block of each class; 256 KiB is the least")
    return tuple(counts)


def _data_at(counts: list[int] | tuple[int, ...]) -> int:
    return -(-2 * sum(counts) // PAGE) * PAGE


def arena_shape(size: int) -> Shape:
    """An arena of *size* bytes, rounded up to pages."""
    return Shape(KIND, LAYOUT, whole_pages(size))


class Arena:
    """One process's way into the arena in *segment* (`Segment.create(arena_shape(size))`); *slot* says which process.

    Made after fork() by each worker; a process that only looks or reclaims uses slot 254. Not for threads.
    """

    def __cinit__(self, segment: Segment, slot: cython.int) -> None:
        segment.expect(arena_shape(segment.size))
        if not 0 <= slot <= MASTER_SLOT:
            raise ValueError(f"arena slot {slot}: 0 to {MASTER_SLOT}")
        self.segment = segment
        self.slot = slot
        self.owner = slot + 1
        self.fd = segment.fd
        self.base = address_of(segment.buffer)
        counts = block_counts(segment.size)
        table: cython.size_t = 0
        data: cython.size_t = _data_at(counts)
        total: cython.size_t = sum(counts)
        c: cython.int
        for c in range(CLASSES):
            blocks: cython.pointer(BlockClass) = cython.address(self.classes[c])
            blocks.count = blocks.trim_at = counts[c]
            blocks.shift = BLOCK_SHIFTS[c]
            blocks.owners = cython.cast(cython.pointer(uint8_t), self.base + table)
            blocks.touched = blocks.owners + total
            blocks.start = self.base + data
            table += blocks.count
            data += cython.cast(cython.size_t, blocks.count) << blocks.shift
            # A small arena gets small magazines: what one process hoards the others cannot take.
            blocks.capacity = min(MAGAZINES[c], max(2, counts[c] // 32))
            blocks.batch = max(1, blocks.capacity // 2)
            blocks.refs = cython.cast(cython.pointer(uint16_t), calloc(blocks.count, cython.sizeof(uint16_t)))
            blocks.magazine = cython.cast(cython.pointer(uint32_t), calloc(blocks.capacity + 1, cython.sizeof(uint32_t)))
            if blocks.refs == cython.NULL or blocks.magazine == cython.NULL:
                raise MemoryError
            poison_free(blocks.start, blocks.owners, blocks.count, blocks.shift)

    def __dealloc__(self) -> None:
        c: cython.int
        for c in range(CLASSES):
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
        publish_byte(blocks.touched + index, TOUCHED)
        return True

    def refill(self, blocks: cython.pointer(BlockClass)) -> uint32_t:
        """Claim up to a batch of free blocks into the empty magazine; the lowest comes out first. Returns how many."""
        taken: uint32_t[64]
        found: uint32_t = 0
        at: uint32_t = blocks.low
        wrapped: cython.bint = at == 0
        while found < blocks.batch:
            hit: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), memchr(blocks.owners + at, 0, blocks.count - at))
            if hit == cython.NULL:
                if wrapped:
                    break
                wrapped = True
                at = 0
                continue
            at = cython.cast(uint32_t, hit - blocks.owners)
            if claim_byte(hit, 0, self.owner):
                taken[found] = at
                found += 1
            at += 1
        blocks.low = at
        i: uint32_t
        for i in range(found):
            blocks.magazine[i] = taken[found - 1 - i]
        blocks.held = found
        return found

    def give_back(self, blocks: cython.pointer(BlockClass), number: uint32_t) -> cython.void:
        """Free the *number* blocks of the magazine that were unused longest."""
        i: uint32_t
        for i in range(number):
            index: uint32_t = blocks.magazine[i]
            if index < blocks.low:
                blocks.low = index
            publish_byte(blocks.owners + index, 0)
        blocks.held -= number
        memmove(blocks.magazine, blocks.magazine + number, blocks.held * cython.sizeof(uint32_t))

    def release_idle(self, blocks: cython.pointer(BlockClass), limit: uint32_t) -> uint32_t:
        """Give the pages of at most *limit* blocks that stayed free since the last look back to the kernel, highest first.

        A block is claimed like any other while its pages go, so no one else can take it, and reclaim() frees it if this process
        is killed just then; its touched byte then says AGED for missing pages, which costs one needless call later.
        """
        released: uint32_t = 0
        run: uint32_t = 0
        examined: uint32_t = min(blocks.count, EXAMINED)
        while examined > 0 and released + run < limit:
            examined -= 1
            if blocks.trim_at == 0:
                released += self.release_run(blocks, 0, run)
                run = 0
                blocks.trim_at = blocks.count
            blocks.trim_at -= 1
            if self.claim_aged(blocks, blocks.trim_at):
                run += 1
            elif run:
                released += self.release_run(blocks, blocks.trim_at + 1, run)
                run = 0
        return released + self.release_run(blocks, blocks.trim_at, run)

    def claim_aged(self, blocks: cython.pointer(BlockClass), index: uint32_t) -> cython.bint:
        """Whether the block was free for two looks, and is claimed now; on the first look a free touched one is marked AGED."""
        mark: uint8_t = load_byte(blocks.touched + index)
        if mark == UNTOUCHED or load_byte(blocks.owners + index) != 0:
            return False
        if mark == TOUCHED:
            claim_byte(blocks.touched + index, TOUCHED, AGED)
            return False
        if not claim_byte(blocks.owners + index, 0, self.owner):
            return False
        if load_byte(blocks.touched + index) == AGED:
            return True
        publish_byte(blocks.owners + index, 0)  # someone used it, or trimmed it, between the looks
        return False

    def release_run(self, blocks: cython.pointer(BlockClass), first: uint32_t, number: uint32_t) -> uint32_t:
        """Give the pages of *number* claimed neighbours back in one call, then free the blocks. Returns how many lost theirs."""
        if number == 0:
            return 0
        at: cython.p_char = blocks.start + (cython.cast(cython.size_t, first) << blocks.shift)
        gone: cython.bint = release_pages(at, cython.cast(uint64_t, number) << blocks.shift) == 0
        index: uint32_t
        for index in range(first, first + number):
            if gone:
                publish_byte(blocks.touched + index, UNTOUCHED)
            publish_byte(blocks.owners + index, 0)
        return number if gone else 0

    def trim(self, limit: cython.int = 64) -> int:
        """Return what recent traffic did not need: surplus magazine blocks, then the pages of at most *limit* idle free blocks.

        For a timer of a few seconds in every process; a block loses its pages when two calls in a row (of any process) found it
        free. Returns the number of blocks whose pages went back to the kernel (1 us per block).
        """
        released: uint32_t = 0
        c: cython.int
        self.segment.check_writable()
        for c in range(CLASSES):
            blocks: cython.pointer(BlockClass) = cython.address(self.classes[c])
            needed: uint32_t = blocks.recent_peak - blocks.in_use
            if blocks.held > needed:
                self.give_back(blocks, blocks.held - needed)
            blocks.peak = max(blocks.peak, blocks.recent_peak)
            blocks.recent_peak = blocks.in_use
            blocks.low = 0
            released += self.release_idle(blocks, cython.cast(uint32_t, limit) - released)
        return released

    def flush_magazines(self) -> None:
        """Free every block that nobody in this process uses: the last act of a worker that leaves."""
        c: cython.int
        for c in range(CLASSES):
            self.give_back(cython.address(self.classes[c]), self.classes[c].held)

    def reclaim(self, slot: cython.int) -> int:
        """Free all blocks of *slot*, whose process must be dead and waited for. Returns how many there were."""
        if not 0 <= slot < MASTER_SLOT or slot == self.slot:
            raise ValueError(f"reclaim of arena slot {slot} by slot {self.slot}")
        self.segment.check_writable()
        owner: uint8_t = cython.cast(uint8_t, slot + 1)
        freed: cython.long = 0
        c: cython.int
        i: uint32_t
        for c in range(CLASSES):
            for i in range(self.classes[c].count):
                if load_byte(self.classes[c].owners + i) == owner:
                    publish_byte(self.classes[c].owners + i, 0)
                    freed += 1
        return freed

    def usage(self, slot: cython.int = -1) -> list[ClassUsage]:
        """The state of each class, smallest first; `owned` is for *slot* (-1: this process's)."""
        owner: uint8_t = cython.cast(uint8_t, (self.slot if slot < 0 else slot) + 1)
        found = []
        c: cython.int
        i: uint32_t
        for c in range(CLASSES):
            blocks: cython.pointer(BlockClass) = cython.address(self.classes[c])
            unowned: cython.long = 0
            owned: cython.long = 0
            touched: cython.long = 0
            for i in range(blocks.count):
                unowned += blocks.owners[i] == 0
                owned += blocks.owners[i] == owner
                touched += blocks.touched[i] != UNTOUCHED
            given = blocks.taken - blocks.in_use
            peak = max(blocks.peak, blocks.recent_peak)
            found.append(
                ClassUsage(
                    1 << blocks.shift, blocks.count, unowned, owned, touched,
                    blocks.in_use, peak, blocks.taken, given, blocks.exhausted,
                )
            )  # fmt: skip
        return found

    # The same for callers in Python: an address is an int, 0 means exhausted.

    def take_block(self, size: int) -> int:
        """Address of a block that holds *size* bytes, with one reference; 0 if the arena is exhausted."""
        self.segment.check_writable()
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
