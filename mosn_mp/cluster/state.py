"""Shared state of balancing and limits: round-robin cursors, health flags, and counts that are bounded over all workers.

    | header 64 B | max_slots u32 | records u32 | ... record 1 | record 2 | ...
    record:  | cursor u64 | health u8 | (64) connections: share of each slot u32 | (64) requests | pending | retries |

A group holds a share per slot, written by that slot's process only, and nothing else: no total that a crash between two updates
could put out of step. try_acquire() announces first and looks then: it adds to its own share, and takes it back if the sum of
all shares is above the limit. In the one order of these (sequentially consistent) additions the later of two rivals sees the
earlier, so the limit is never passed; two that meet at the last place may both step back, so they try again a few times. When a
process dies its shares are zeroed, and that is exact at whatever instruction it died.

The shares of 16 slots fill one cache line, so the sum costs what one shared total would cost.

Sources: Dekker's announce-then-look; mosn-reference 7 for what is counted (a circuit breaker's connections, pending, requests and
retries).
"""

import struct

import cython
from cython.cimports.libc.stdint import int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.mosn_mp.buffer.shared import (
    add_share,
    address_of,
    fetch_add,
    load_byte,
    load_share,
    publish_byte,
    store_share,
)

from mosn_mp.buffer.segment import HEADER_BYTES, Segment
from mosn_mp.observe.metrics.directory import Directory

KIND = "state"
LAYOUT = 1
SIZES = struct.Struct("<II")
LINE = 64
HEALTH_AT = 8
SHARES_PER_LINE = 16

# Two rivals for the last place step back in turn; a third try settles it, the rest is for a crowd.
TRIES = cython.declare(cython.int, 16)

RECORD_TYPES = {"server": 1, "listener": 1, "cluster": 1, "host": 1}


def state_directory(records: int) -> Directory:
    """The empty assignment of record numbers: reserve("host", [("cluster", c), ("host", address)]), ("listener", ...), ..."""
    return Directory(records, 1, RECORD_TYPES)


class State:
    """The records of all clusters, hosts and listeners."""

    def __cinit__(self, segment: Segment) -> None:
        self.segment = segment.expect(KIND, LAYOUT)
        max_slots, records = SIZES.unpack_from(segment.buffer, HEADER_BYTES)
        if segment_bytes(max_slots, records) > segment.size:
            raise ValueError(f"state segment of {segment.size} bytes cannot hold {records} records for {max_slots} slots")
        self.max_slots = max_slots
        self.records = records
        self.group_bytes = group_bytes(max_slots)
        self.record_bytes = record_bytes(max_slots)
        self.base = address_of(segment.buffer)

    @staticmethod
    def create(max_slots: int, records: int) -> "State":
        """New records, all zero, numbered 1 to *records* - 1. OSError ENOSPC if shared memory is short."""
        if max_slots < 1 or records < 2:
            raise ValueError(f"state needs a slot and two records at least, not {max_slots} and {records}")
        segment = Segment.create(KIND, segment_bytes(max_slots, records), LAYOUT)
        SIZES.pack_into(segment.buffer, HEADER_BYTES, max_slots, records)
        return State(segment)

    @staticmethod
    def attach(fd: int, size: int) -> "State":
        """The records behind an inherited descriptor; ValueError if it is something else."""
        return State(Segment.attach(fd, size))

    @property
    def fd(self) -> int:
        """Descriptor of the shared memory, for attach() in a process that is started by exec."""
        return self.segment.fd

    @property
    def size(self) -> int:
        """Bytes of the shared memory, for attach()."""
        return self.segment.size

    def next(self, record: uint32_t) -> uint64_t:
        """The cursor of *record* before it is advanced by one."""
        return fetch_add(cython.cast(cython.pointer(uint64_t), self.base + record * self.record_bytes), 1) if record else 0

    def health(self, record: uint32_t) -> cython.pointer(uint8_t):
        """The health byte of *record*; NULL for record 0."""
        if record == 0:
            return cython.NULL
        return cython.cast(cython.pointer(uint8_t), self.base + record * self.record_bytes + 8)

    def shares(self, record: uint32_t, group: cython.int) -> cython.pointer(uint32_t):
        """The shares of all slots in *group* of *record*."""
        at: cython.size_t = record * self.record_bytes + 64 + cython.cast(cython.size_t, group) * self.group_bytes
        return cython.cast(cython.pointer(uint32_t), self.base + at)

    def try_acquire(self, record: uint32_t, group: cython.int, slot: cython.int, limit: int64_t) -> cython.bint:
        """Count one more for *slot*, unless all workers together hold *limit*."""
        if record == 0:
            return True
        shares: cython.pointer(uint32_t) = self.shares(record, group)
        if limit <= 0:
            store_share(shares + slot, load_share(shares + slot) + 1)
            return True
        _try: cython.int
        for _try in range(TRIES):
            if cython.cast(int64_t, self.held(record, group)) >= limit:
                return False
            add_share(shares + slot, 1)
            if cython.cast(int64_t, self.held(record, group)) <= limit:
                return True
            store_share(shares + slot, load_share(shares + slot) - 1)
        return False

    def give(self, record: uint32_t, group: cython.int, slot: cython.int) -> cython.void:
        """Count one less; a share never falls below zero, whatever a record was reused for meanwhile."""
        if record == 0:
            return
        share: cython.pointer(uint32_t) = self.shares(record, group) + slot
        if load_share(share) > 0:
            store_share(share, load_share(share) - 1)

    def held(self, record: uint32_t, group: cython.int) -> uint64_t:
        """What all workers together hold."""
        if record == 0:
            return 0
        shares: cython.pointer(uint32_t) = self.shares(record, group)
        total: uint64_t = 0
        slot: cython.int
        for slot in range(self.max_slots):
            total += load_share(shares + slot)
        return total

    def release(self, slot: cython.int, end: uint32_t = 0) -> int:
        """Zero all shares of *slot*, whose process must be dead, in records below *end* (0: all). Returns what it held."""
        self.check(slot, 0)
        given: cython.longlong = 0
        record: uint32_t
        group: cython.int
        for record in range(1, min(end, self.records) if end else self.records):
            for group in range(GROUPS):
                share: cython.pointer(uint32_t) = self.shares(record, group) + slot
                given += load_share(share)
                if load_share(share):
                    store_share(share, 0)
        return given

    def clear(self, record: uint32_t) -> None:
        """Make *record* new: cursor, health and all shares zero. For the master, when its number gets a new meaning."""
        self.check(0, record)
        if record:
            memset(self.base + record * self.record_bytes, 0, self.record_bytes)

    def check(self, slot: cython.int, record: uint32_t) -> None:
        """IndexError unless *slot* and *record* exist."""
        if not 0 <= slot < self.max_slots or record >= self.records:
            raise IndexError(f"slot {slot} of {self.max_slots}, record {record} of {self.records}")

    # The same for callers in Python; a wrong slot or record is an IndexError.

    def next_of(self, record: uint32_t) -> int:
        """next() for Python."""
        self.check(0, record)
        return self.next(record)

    def acquire(self, record: uint32_t, group: cython.int, slot: cython.int, limit: int64_t) -> bool:
        """try_acquire() for Python."""
        self.check(slot, record)
        return bool(self.try_acquire(record, check_group(group), slot, limit))

    def give_one(self, record: uint32_t, group: cython.int, slot: cython.int) -> None:
        """give() for Python."""
        self.check(slot, record)
        self.give(record, check_group(group), slot)

    def held_of(self, record: uint32_t, group: cython.int) -> int:
        """held() for Python."""
        self.check(0, record)
        return self.held(record, check_group(group))

    def health_of(self, record: uint32_t) -> int:
        """The health flags of *record*; 0 = healthy."""
        self.check(0, record)
        return load_byte(self.health(record)) if record else 0

    def set_health(self, record: uint32_t, flags: uint8_t) -> None:
        """Set the health flags of *record*: the controller's verdict."""
        self.check(0, record)
        if record:
            publish_byte(self.health(record), flags)


def check_group(group: int) -> int:
    """*group*, or IndexError if there is none of that number."""
    if not 0 <= group < GROUPS:
        raise IndexError(f"group {group} of {GROUPS}")
    return group


def group_bytes(max_slots: int) -> int:
    """Bytes of one group: whole cache lines of shares."""
    return -(-max_slots // SHARES_PER_LINE) * LINE


def record_bytes(max_slots: int) -> int:
    """Bytes of one record."""
    return LINE + GROUPS * group_bytes(max_slots)


def segment_bytes(max_slots: int, records: int) -> int:
    """Bytes of shared memory for *records*, the header in the place of record 0 included."""
    return records * record_bytes(max_slots)
