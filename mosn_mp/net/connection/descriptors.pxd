from libc.stdint cimport uint64_t
from mosn_mp.net.connection.connection cimport Keeper
from mosn_mp.net.reactor.reactor cimport Pollable, Reactor, Task
from mosn_mp.net.reactor.wheel cimport Timed

# Something that takes descriptors without end and stops while there are none: a listening socket.
cdef class Taker(Pollable):
    cdef bint paused            # takes nothing until it is served again
    cdef bint pressed           # has been paused and was not at the end of its queue since

cdef class Descriptors(Timed):
    cdef Reactor reactor
    cdef readonly int limit         # what the process may open
    cdef readonly int reserve       # kept free whatever clients do
    cdef int most                   # limit - reserve
    cdef uint64_t* cells            # the worker's own: W_*
    cdef list pools                 # Keepers of connections to hosts; what is gone takes itself out (pool/host_pools.py)
    cdef list services              # Keepers of clients' connections
    cdef list paused                # Takers
    cdef list waiting               # Tasks that want to connect to a host, first come first
    cdef int pressed                # how many Takers are
    cdef int looked_at              # where _close_idle() goes on

    cdef int on_timer(self) except -1
    cdef void add_pool(self, Keeper pool) noexcept
    cdef int count_others(self) except -1
    cpdef int share_out(self) except -1
    cdef bint may_accept(self) except -1
    cdef bint may_take_pipe(self, int made) noexcept
    cdef bint wait_one(self, Task task, uint64_t deadline_ms, bint failed) except -1
    cdef int pause(self, Taker taker) except -1
    cdef void at_end(self, Taker taker) noexcept
    cdef int owed(self) noexcept
    cdef int used(self) noexcept
    cdef bint _find_room(self) except -1
    cdef bint _close_spare(self) except -1
    cdef int _want(self) except -1
    cdef void _publish(self) noexcept
    cdef void _press(self, bint is_pressed) noexcept
    cdef void _press_pools(self, bint is_pressed) noexcept
    cdef bint may_connect(self) noexcept
    cdef int _close_idle(self) except -1
    cdef bint _is_queued(self) noexcept
