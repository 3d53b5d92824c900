from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t

# One upstream address. Keeps its identity (pool, counters, health) across reloads while the address stays in the cluster.
cdef class Host:
    cdef readonly str address           # as configured, "10.0.0.1:80", "[::1]:80", "unix:/run/app.sock"
    cdef readonly bytes address_bytes
    cdef readonly bytes hostname        # configured host name, b"" if none
    cdef readonly int weight            # 1..128
    cdef readonly str cluster_name
    cdef char sockaddr[128]             # ready for connect(2)
    cdef readonly uint32_t sockaddr_len # 0: the address is a name, not yet resolved
    cdef readonly int family            # AF_INET, AF_INET6, AF_UNIX
    cdef uint64_t* up                   # the U_* counters of this host in this worker's row; NULL until the worker sets it
    cdef uint8_t* health                # shared health flags, any bit set = unhealthy; NULL = healthy
    cdef public object pool             # set by net/
    cdef public uint32_t state_group    # cells in cluster.state; 0 = none

    cdef bint is_healthy(self) noexcept

# An immutable set of hosts: what a balancer picks from. A change of hosts is a new HostSet.
cdef class HostSet:
    cdef readonly tuple hosts
    cdef PyObject** at                  # borrowed pointers into hosts
    cdef readonly int count
    cdef Host get(self, int index)
    # May host number *index* be picked: healthy and not *previous*.
    cdef bint is_eligible(self, int index, Host previous) noexcept
