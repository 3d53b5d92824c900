from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t

# One upstream address. Keeps its identity (pool, counters, health) across reloads while its configuration is the same.
cdef class Host:
    cdef readonly str address           # as configured: "10.0.0.1:80", "[::1]:80"
    cdef readonly str hostname          # configured host name, "" if none
    cdef readonly int weight            # 1..128; changes with the version that is served, while the host stays the same
    cdef readonly str cluster_name
    cdef char sockaddr[28]              # ready for connect(2): a sockaddr_in6 at most
    cdef readonly uint32_t sockaddr_len
    cdef readonly int family            # AF_INET, AF_INET6
    cdef readonly uint32_t number       # in shared memory; 0 until the worker gives it a place there
    cdef uint64_t* up                   # this host's U_* counters in this worker's row
    cdef uint8_t* health                # shared health flags, any bit set = not to be picked; NULL = healthy
    cdef public object pool             # of net/; None until somebody wants a connection
    cdef readonly bint is_gone          # it left the configuration
    cdef uint8_t own_health

    cdef bint is_healthy(self) noexcept

# An immutable set of hosts: what a balancer picks from. A change of hosts is a new HostSet.
cdef class HostSet:
    cdef readonly tuple hosts
    cdef PyObject** at                  # borrowed pointers into hosts
    cdef readonly int count
    cdef readonly bint is_weighted      # the weights differ
    cdef tuple weights
    cdef Host get(self, int index)
    # May host number *index* be picked: healthy and not *previous* (None = any).
    cdef bint is_eligible(self, int index, Host previous) noexcept
    # How many hosts may be picked.
    cdef int count_eligible(self, Host previous) noexcept
    # The eligible host at *fraction* / 2^64 of the weight of all eligible ones; None if there is none.
    cdef Host at_fraction(self, uint64_t fraction, Host previous)
