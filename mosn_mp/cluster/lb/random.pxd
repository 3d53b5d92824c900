from libc.stdint cimport uint64_t
from mosn_mp.buffer.head cimport Head
from mosn_mp.cluster.host cimport Host, HostSet
from mosn_mp.cluster.lb.balancer cimport Balancer

cdef extern from *:
    """
#define MOSN_XORSHIFT_MULTIPLIER 0x2545F4914F6CDD1DULL
    """
    const uint64_t MULTIPLIER "MOSN_XORSHIFT_MULTIPLIER"

cdef class Random(Balancer):
    cdef uint64_t state
    cdef uint64_t _next(self) noexcept
    cdef uint64_t _draw(self, uint64_t below) noexcept
    cdef Host pick_eligible(self, HostSet hosts, Head request, Host previous)
