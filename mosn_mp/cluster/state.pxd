# What must be exact across workers: a record of shared memory per cluster, a byte of health per host.
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

# The groups of a cluster's record: what is counted and limited over all workers.
cdef enum:
    G_CONNECTIONS = 0
    G_REQUESTS
    G_PENDING
    G_RETRIES
    GROUPS

# Bits of a health byte; MOSN's flags (types.HealthFlag).
cdef enum:
    FAILED_ACTIVE_HC = 1
    FAILED_OUTLIER_CHECK = 2

@cython.final
cdef class State:
    cdef readonly object segment    # keeps the mapping alive
    cdef char* base                 # the records of clusters
    cdef size_t flags_at
    cdef uint8_t* flags             # the health of hosts
    cdef readonly int max_slots
    cdef readonly uint32_t clusters # their numbers are 1 .. clusters - 1; 0 = none
    cdef readonly uint32_t hosts    # as above
    cdef size_t group_bytes
    cdef size_t record_bytes

    # The cursor of *cluster* before it is advanced by one: every caller of every worker gets another number.
    cdef uint64_t next(self, uint32_t cluster) noexcept
    # The health byte of *host*, any bit set = do not use; NULL for host 0.
    cdef uint8_t* health(self, uint32_t host) noexcept
    # Count one more in *group* of *cluster* for *slot* unless all workers together hold *limit* (<= 0: no limit). Cluster 0: always
    # True.
    cdef bint try_acquire(self, uint32_t cluster, int group, int slot, int64_t limit) noexcept
    # Count one less.
    cdef void give(self, uint32_t cluster, int group, int slot) noexcept
    # What all workers together hold.
    cdef uint64_t held(self, uint32_t cluster, int group) noexcept

    cdef uint32_t* shares(self, uint32_t cluster, int group) noexcept
