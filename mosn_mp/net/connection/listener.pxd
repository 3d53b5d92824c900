from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.net.connection.connection cimport Connection, Keeper
from mosn_mp.net.connection.descriptors cimport Descriptors, Taker
from mosn_mp.net.libc cimport sockaddr_storage
from mosn_mp.net.reactor.reactor cimport Reactor

cdef class Listener(Taker):
    cdef Reactor reactor
    cdef Descriptors descriptors
    cdef Acceptor acceptor
    cdef bint leaving           # closes when its queue is empty

    cpdef int close(self) except -1
    cdef int _accept(self) except -1
    cdef int on_ready(self) except -1
    cdef int _take(self, int fd, sockaddr_storage* far) except -1
    cdef int _end(self) except -1

cdef class Acceptor(Keeper):
    cdef bint admit(self) noexcept
    cdef void accept_failed(self) noexcept
    cdef int accepted(self, Connection connection) except -1
