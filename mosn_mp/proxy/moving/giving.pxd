from mosn_mp.buffer.buf cimport Buf
from mosn_mp.net.connection.connection cimport Connection
from mosn_mp.net.multiplex.server_session cimport ServerSession
from mosn_mp.proxy.moving.departure cimport Departure
from mosn_mp.proxy.service cimport Requests

cdef class IdleDeparture(Departure):
    cdef Connection connection
    cdef Buf hidden

cdef class SessionDeparture(Departure):
    cdef Connection connection
    cdef ServerSession session
    cdef Buf hidden
    cdef int relay_fd           # our end of the socket pair, for the answers that are owed; -1 = none are

# The requests of clients that moved: their answers go by the relay.
cdef class MovedRequests(Requests):
    cdef void connection_closed(self, Connection connection) noexcept
