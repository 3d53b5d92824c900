from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.net.multiplex.client_session cimport ClientSession
from mosn_mp.net.pool.host_pool cimport HostPool
from mosn_mp.net.reactor.reactor cimport Task

cdef class SharedPool:
    cdef HostPool pool
    cdef object protocol
    cdef object limits
    cdef uint32_t word
    cdef readonly list sessions
    cdef list waiting           # Tasks that wait for the connection being made
    cdef bint dialing
    cdef uint64_t turn
    cdef int failure            # Reason of the last acquire() that gave None

    cdef ClientSession acquire(self, Task task, uint64_t deadline_ms)
    cdef int wanted(self) noexcept
    cdef int dial(self, Task task, uint64_t deadline_ms) except -1

# The shared pool of *pool*'s host for *protocol* and *word* (Codec.pool_word), made when first asked for.
cdef SharedPool shared_pool_of(HostPool pool, object protocol, object limits, uint32_t word)
