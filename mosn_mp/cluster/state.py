"""Shared state of balancing and limits: round-robin cursors, health flags, and counts that are bounded over all workers.

    | cluster 0: none | cluster 1 | ... | (page) health of host 0: none u8 | of host 1 | ...
    cluster:  | cursor u64 | (64) connections: share of each slot u32 | (64) requests | pending | retries |

Numbers of clusters and hosts are the master's (master/state/directory.py). There is room for many; what nobody has used takes no
memory, and no cluster lies on two pages.

A group holds a share per slot, written by that slot's process only, and nothing else: no total that a crash between two updates
could put out of step. try_acquire() announces first and looks then: it adds to its own share, and takes it back if the sum of
all shares is above the limit. In the one order of these (sequentially consistent) additions the later of two rivals sees the
earlier, so the limit is never passed; two that meet at the last place may both step back, so they try again a few times. When a
process dies its shares are zeroed, and that is exact at whatever instruction it died.

The shares of 16 slots fill one cache line, so the sum costs what one shared total would cost.

Sources: Dekker's announce-then-look; MOSN's circuit breakers for what is counted (connections, pending, requests, retries).
"""

from collections.abc import Iterable

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

from mosn_mp.buffer.segment import PAGE, Segment, Shape, whole_pages

KIND = "state"
LAYOUT = 2
LINE = 64
SHARES_PER_LINE = 16

# Two rivals for the last place step back in turn; a third try settles it, the rest is for a crowd.
TRIES = cython.declare(cython.int, 16)


class State:
    """The records of all clusters, and the health of all hosts: `State(Segment.create(state_shape(16, 100, 10_000)))`."""

    def __cinit__(self, segment: Segment) -> None:
        clusters, hosts = segment.shape.places
        self.segment = segment.expect(state_shape(segment.shape.rows, clusters, hosts))
        self.max_slots = segment.shape.rows
        self.clusters = clusters
        self.hosts = hosts
        self.group_bytes = group_bytes(self.max_slots)
        self.record_bytes = record_bytes(self.max_slots)
        self.base = address_of(segment.buffer)
        self.flags_at = segment.size - whole_pages(hosts)
        self.flags = cython.cast(cython.pointer(uint8_t), self.base + self.flags_at)

    def next(self, cluster: uint32_t) -> uint64_t:
        """The cursor of *cluster* before it is advanced by one."""
        return fetch_add(cython.cast(cython.pointer(uint64_t), self.base + cluster * self.record_bytes), 1) if cluster else 0

    def health(self, host: uint32_t) -> cython.pointer(uint8_t):
        """The health byte of *host*; NULL for host 0."""
        return self.flags + host if host else cython.NULL

    def shares(self, cluster: uint32_t, group: cython.int) -> cython.pointer(uint32_t):
        """The shares of all slots in *group* of *cluster*."""
        at: cython.size_t = cluster * self.record_bytes + 64 + cython.cast(cython.size_t, group) * self.group_bytes
        return cython.cast(cython.pointer(uint32_t), self.base + at)

    def try_acquire(self, cluster: uint32_t, group: cython.int, slot: cython.int, limit: int64_t) -> cython.bint:
        """Count one more for *slot*, unless all workers together hold *limit*."""
        if cluster == 0:
            return True
        shares: cython.pointer(uint32_t) = self.shares(cluster, group)
        if limit <= 0:
            store_share(shares + slot, load_share(shares + slot) + 1)
            return True
        _try: cython.int
        for _try in range(TRIES):
            if cython.cast(int64_t, self.held(cluster, group)) >= limit:
                return False
            add_share(shares + slot, 1)
            if cython.cast(int64_t, self.held(cluster, group)) <= limit:
                return True
            store_share(shares + slot, load_share(shares + slot) - 1)
        return False

    def give(self, cluster: uint32_t, group: cython.int, slot: cython.int) -> cython.void:
        """Count one less; a share never falls below zero, whatever a number was reused for meanwhile."""
        if cluster == 0:
            return
        share: cython.pointer(uint32_t) = self.shares(cluster, group) + slot
        if load_share(share) > 0:
            store_share(share, load_share(share) - 1)

    def held(self, cluster: uint32_t, group: cython.int) -> uint64_t:
        """What all workers together hold."""
        if cluster == 0:
            return 0
        shares: cython.pointer(uint32_t) = self.shares(cluster, group)
        total: uint64_t = 0
        slot: cython.int
        for slot in range(self.max_slots):
            total += load_share(shares + slot)
        return total

    # -- for the master: only pages that there are are looked at -------------------------------------------------------------

    def release(self, slot: cython.int, end_cluster: uint32_t) -> int:
        """Zero all shares of *slot*, whose process must be dead, in clusters below *end_cluster*. Returns what it held."""
        self.check(slot, 0)
        given: cython.longlong = 0
        at: cython.size_t
        group: cython.int
        for start, end in self._used(end_cluster):
            for cluster in range(max(1, start // self.record_bytes), -(-end // self.record_bytes)):
                for group in range(GROUPS):
                    share: cython.pointer(uint32_t) = self.shares(cluster, group) + slot
                    at = cython.cast(cython.p_char, share) - self.base
                    if start <= at < end and load_share(share):
                        given += load_share(share)
                        store_share(share, 0)
        return given

    def held_clusters(self, end_cluster: uint32_t) -> set[int]:
        """The clusters below *end_cluster* of which some slot holds anything."""
        used = {
            cluster
            for start, end in self._used(end_cluster)
            for cluster in range(max(1, start // self.record_bytes), -(-end // self.record_bytes))
        }
        return {cluster for cluster in used if any(self.held(cluster, group) for group in range(GROUPS))}

    def flagged_hosts(self, end_host: uint32_t) -> dict[int, int]:
        """The health flags of each host below *end_host* that has any."""
        found = {}
        host: cython.size_t
        for start, end in self.segment.used(self.flags_at, self.flags_at + whole_pages(min(end_host, self.hosts))):
            for host in range(start - self.flags_at, min(end - self.flags_at, end_host)):
                if load_byte(self.flags + host):
                    found[host] = load_byte(self.flags + host)
        return found

    def clear(self, clusters: Iterable[int], hosts: Iterable[int]) -> None:
        """Forget cursors, shares and health: these numbers mean nothing any more."""
        start: cython.size_t
        end: cython.size_t
        for cluster in clusters:
            self.check(0, cluster)
            at = cluster * self.record_bytes
            for first, last in self.segment.used(at // PAGE * PAGE, whole_pages(at + self.record_bytes)):
                start, end = max(at, first), min(at + self.record_bytes, last)
                memset(self.base + start, 0, end - start)
        gone = list(hosts)
        flagged = self.flagged_hosts(max(gone, default=0) + 1)
        for host in gone:
            if host in flagged:
                self.set_health(host, 0)

    def drop_behind(self, end_cluster: uint32_t, end_host: uint32_t) -> None:
        """Give memory back that somebody took behind these clusters and hosts: they are none."""
        used = self._records_end(end_cluster), self.flags_at + whole_pages(min(end_host, self.hosts))
        for start, end in zip(used, (self.flags_at, self.segment.size), strict=True):
            if start < end:
                self.segment.drop(start, end)

    def _used(self, end_cluster: uint32_t) -> list[tuple[int, int]]:
        """Where in the records of clusters below *end_cluster* there is memory."""
        return list(self.segment.used(0, self._records_end(end_cluster)))

    def _records_end(self, end_cluster: uint32_t) -> int:
        return min(self.flags_at, whole_pages(end_cluster * self.record_bytes))

    def check(self, slot: cython.int, cluster: uint32_t, host: uint32_t = 0) -> None:
        """IndexError unless *slot*, *cluster* and *host* exist."""
        if not 0 <= slot < self.max_slots or cluster >= self.clusters or host >= self.hosts:
            text = f"slot {slot} of {self.max_slots}, cluster {cluster} of {self.clusters}, host {host} of {self.hosts}"
            raise IndexError(text)

    # -- the same for callers in Python; a wrong number is an IndexError -----------------------------------------------------

    def next_of(self, cluster: uint32_t) -> int:
        """next() for Python."""
        self.check(0, cluster)
        return self.next(cluster)

    def acquire(self, cluster: uint32_t, group: cython.int, slot: cython.int, limit: int64_t) -> bool:
        """try_acquire() for Python."""
        self.check(slot, cluster)
        return bool(self.try_acquire(cluster, check_group(group), slot, limit))

    def give_one(self, cluster: uint32_t, group: cython.int, slot: cython.int) -> None:
        """give() for Python."""
        self.check(slot, cluster)
        self.give(cluster, check_group(group), slot)

    def held_of(self, cluster: uint32_t, group: cython.int) -> int:
        """held() for Python."""
        self.check(0, cluster)
        return self.held(cluster, check_group(group))

    def health_of(self, host: uint32_t) -> int:
        """The health flags of *host*; 0 = healthy."""
        self.check(0, 0, host)
        return load_byte(self.health(host)) if host else 0

    def set_health(self, host: uint32_t, flags: uint8_t) -> None:
        """Set the health flags of *host*."""
        self.check(0, 0, host)
        if host:
            publish_byte(self.health(host), flags)


def check_group(group: int) -> int:
    """*group*, or IndexError if there is none of that number."""
    if not 0 <= group < GROUPS:
        raise IndexError(f"group {group} of {GROUPS}")
    return group


def group_bytes(max_slots: int) -> int:
    """Bytes of one group: whole cache lines of shares."""
    return -(-max_slots // SHARES_PER_LINE) * LINE


def record_bytes(max_slots: int) -> int:
    """Bytes of the record of one cluster: a power of two, so that none lies on two pages without need."""
    return 1 << (LINE + GROUPS * group_bytes(max_slots) - 1).bit_length()


def state_shape(rows: int, clusters: int, hosts: int) -> Shape:
    """*rows* is how many slots there are; numbers of clusters and hosts are below the other two."""
    if rows < 1 or clusters < 2 or hosts < 2:
        raise ValueError(f"state needs a slot, a cluster and a host at least, not {rows}, {clusters - 1} and {hosts - 1}")
    return Shape(KIND, LAYOUT, whole_pages(clusters * record_bytes(rows)) + whole_pages(hosts), rows, (clusters, hosts))
