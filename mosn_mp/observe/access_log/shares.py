"""Who may use how much of a log's ring once it fills: a client that floods it does not hide what others do.

A source of lines (an IPv4 address, the /64 of an IPv6 one, whose owner has all of it) may put in, since the ring was last less
than half full, at most ALPHA times what is still free: one source alone gets nine tenths of the ring, so a balancer in front
loses next to nothing, and any other one finds a tenth. They are counted in buckets, by a hash that nobody outside can foretell.

Sources: the dynamic thresholds of switches' shared buffers (Choudhury and Hahne, 1998); stochastic fairness queueing for the
buckets (McKenney, 1990).
"""

import os

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.mosn_mp.observe.access_log.record import Address
from cython.cimports.mosn_mp.observe.access_log.sockaddr import AF_INET6

ALPHA = cython.declare(uint64_t, 4)


class Shares:
    """What each bucket has put in of late."""

    def __cinit__(self) -> None:
        self.seed = int.from_bytes(os.urandom(8), "little") | 1

    def begin(self) -> cython.void:
        """The ring has room: what was put in before no longer counts."""
        self.round += 1
        self.is_used = False

    def take(self, source: cython.pointer(Address), length: uint32_t, free_bytes: uint32_t) -> cython.bint:
        """Whether *source* may put in *length* bytes more where *free_bytes* are left."""
        at: uint32_t = self.bucket_of(source)
        self.is_used = True
        if self.rounds[at] != self.round:
            self.rounds[at] = self.round
            self.taken[at] = 0
        if self.taken[at] + length > ALPHA * free_bytes:
            return False
        self.taken[at] += length
        return True

    def bucket_of(self, source: cython.pointer(Address)) -> uint32_t:
        """The bucket of *source*: Knuth's multiplicative hash."""
        key: uint64_t = 0
        if source.family == AF_INET6:
            memcpy(cython.address(key), cython.address(source.addr[0]), 8)
            if key == 0:  # IPv4-mapped, or ::1
                memcpy(cython.address(key), cython.address(source.addr[8]), 8)
        else:
            memcpy(cython.address(key), cython.address(source.addr[0]), 4)
        return cython.cast(uint32_t, ((key ^ self.seed) * cython.cast(uint64_t, 0x9E3779B97F4A7C15)) >> 56)
