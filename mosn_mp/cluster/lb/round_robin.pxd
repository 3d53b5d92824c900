from libc.stdint cimport uint64_t
from mosn_mp.cluster.lb.balancer cimport Balancer

cdef class RoundRobin(Balancer):
    cdef uint64_t turn          # used while no state is shared
    cdef uint64_t _next_turn(self) noexcept
