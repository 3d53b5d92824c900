from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.net.connection.connection cimport Connection, Keeper
from mosn_mp.net.reactor.reactor cimport Pollable, Reactor

cdef class Listener(Pollable):
    cdef Reactor reactor
    cdef Acceptor acceptor
    cdef bint paused

    cdef int _accept(self) except -1
    cdef int on_ready(self) except -1
    cdef int on_timer(self) except -1

cdef class Acceptor(Keeper):
    cdef bint admit(self) noexcept
    cdef void accept_failed(self) noexcept
    cdef int accepted(self, Connection connection) except -1
