from mosn_mp.buffer.buf cimport Buf
from mosn_mp.net.connection.connection cimport Connection
from mosn_mp.proxy.flow cimport Flow
from mosn_mp.proxy.moving.departure cimport Departure
from mosn_mp.proxy.unary cimport UnaryExchange

cdef class TunnelExchange(UnaryExchange):
    cdef object mover               # takes a Departure: asked to move as soon as the greenlet can
    cdef bint moved                 # another process has both connections

    cdef TunnelDeparture depart(self)
    cdef bytes movable_variables(self)
    cdef object describe(self, bytes variables, bytes to_up, bytes to_down)
    cdef tuple _times(self)
    cdef bint restore(self, object state) except -1
    cdef int arrive(self, Connection down, Connection up, object frame, list fds) except -1
    cdef list filled_pipes(self)
    cdef bint move_on(self) except -1

cdef class TunnelDeparture(Departure):
    cdef TunnelExchange stream
    cdef Buf hidden_down
    cdef Buf hidden_up
    cdef bint decided
