from mosn_mp.buffer.buf cimport Buf
from mosn_mp.cluster.host cimport Host
from mosn_mp.net.connection.connection cimport Connection, Keeper
from mosn_mp.net.multiplex.server_session cimport ServerSession
from mosn_mp.proxy.moving.departure cimport Departure
from mosn_mp.proxy.service cimport Kind, Requests, Service
from mosn_mp.proxy.stream cimport Stream

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
    pass
    cdef void connection_closed(self, Connection connection) noexcept

# A connection that came from another process, up to the moment when it is served.
cdef class Arrival(Keeper):
    cdef Service service
    cdef Kind kind
    cdef object frame
    cdef Host host
    cdef Connection down
    cdef Connection up
    cdef list rest              # descriptors that nobody has yet
    cdef Stream stream

    cdef bint open(self, list fds) except -1
    cdef Connection adopt(self, Keeper keeper, bytes unread, bytes unsent)
    cdef int start_session(self) except -1
    cdef int start_tunnel(self) except -1
    cdef int connection_ready(self, Connection connection) except -1
