from mosn_mp.cluster.host cimport Host
from mosn_mp.net.connection.connection cimport Connection, Keeper
from mosn_mp.proxy.service cimport Kind, Service
from mosn_mp.proxy.stream cimport Stream

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
    cdef bint refuse(self) except -1
    cdef int go_on(self) except -1
    cdef int start_session(self) except -1
    cdef int start_tunnel(self) except -1
    cdef int connection_ready(self, Connection connection) except -1
    cdef void connection_closed(self, Connection connection) noexcept
