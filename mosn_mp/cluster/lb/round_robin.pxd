from libc.stdint cimport uint64_t
from mosn_mp.buffer.head cimport Head
from mosn_mp.cluster.host cimport Host, HostSet
from mosn_mp.cluster.lb.balancer cimport Balancer

cdef extern from *:
    """
#define MOSN_GOLDEN_RATIO 0x9E3779B97F4A7C15ULL
    """
    const uint64_t GOLDEN "MOSN_GOLDEN_RATIO"  # (sqrt(5) - 1) / 2 of 2^64

cdef class RoundRobin(Balancer):
    cdef uint64_t turn          # used while no state is shared
    cdef uint64_t _next_turn(self) noexcept
    cdef Host pick_eligible(self, HostSet hosts, Head request, Host previous)
