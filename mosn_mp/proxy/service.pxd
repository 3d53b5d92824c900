from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.net.connection.connection cimport Connection
from mosn_mp.net.connection.descriptors cimport Descriptors
from mosn_mp.net.connection.listener cimport Acceptor
from mosn_mp.net.connection.splice cimport PipePool
from mosn_mp.net.multiplex.server_session cimport Inbox, ServerSession
from mosn_mp.net.reactor.reactor cimport Reactor
from mosn_mp.observe.metrics.metrics cimport Metrics
from mosn_mp.proxy.runtime cimport ListenerRuntime, ListenerState, SpokenProtocol
from mosn_mp.proxy.stream cimport Stream

cdef class Service(Acceptor):
    cdef readonly ListenerState listener
    cdef Reactor reactor
    cdef Descriptors descriptors
    cdef Metrics metrics
    cdef PipePool pipes
    cdef list spoken                # of Kind: the protocols of the listener; a connection remembers its place here
    cdef Requests requests
    cdef uint32_t active_cell       # index of the listener's connection_active in a row
    cdef uint32_t worker_cell       # index of the worker's connections in a row
    cdef readonly uint64_t refused  # connections, because of a limit
    cdef uint64_t part_by_ms        # while it drains: when who was told to go must be gone
    cdef uint32_t max_in_all        # over all workers and listeners; 0 = unlimited

    cdef Stream take_stream(self, Kind kind)
    cdef Stream make_stream(self, Kind kind)
    cdef Kind kind_of(self, Connection connection)
    cdef bint detect(self, Connection connection) except -1
    cdef int tell_protocol(self, Connection connection) except -1
    cdef bint await_bytes(self, Connection connection) noexcept
    cdef int head_expired(self, Connection connection) except -1
    cdef int open_session(self, Connection connection, Kind kind) except -1
    cdef bint may_stay(self) noexcept
    cdef int send_away(self, ServerSession session) except -1
    cdef ServerSession make_session(self, Connection connection, Kind kind)
    cdef Kind kind_for(self, SpokenProtocol spoken)
    cdef int place_of(self, Kind kind) noexcept
    cdef int owed(self) noexcept
    cdef void press(self, bint is_pressed) noexcept
    cdef bint is_idle(self, Connection connection) noexcept
    cdef bint has_room(self) except -1
    cdef uint64_t idle_ms(self, Connection connection) noexcept
    cdef void say_goodbye(self, ServerSession session) noexcept
    cdef void part_from(self, Connection connection) noexcept
    cdef bint admit(self) noexcept
    cdef int accepted(self, Connection connection) except -1
    cdef void accept_failed(self) noexcept
    cdef void connection_flushed(self, Connection connection) noexcept
    cdef void connection_stalled(self, Connection connection) noexcept
    cdef int connection_ready(self, Connection connection) except -1
    cdef int serve_connection(self, Connection connection) except -1
    cdef int connection_expired(self, Connection connection) except -1
    cdef void connection_closed(self, Connection connection) noexcept
    cdef void make_way(self, Connection connection, bint for_block) noexcept

# One protocol of a listener in this worker: what it is now, and what of it is at rest.
cdef class Kind:
    cdef SpokenProtocol spoken
    cdef list streams
    cdef int low                    # the fewest idle streams since the last trim
    cdef list sessions
    cdef int low_sessions

# The requests that come on shared connections.
cdef class Requests(Inbox):
    cdef Service service
    cdef int request_arrived(self, ServerSession session) except -1
    cdef int request_reset(self, ServerSession session, object call) except -1
    cdef int session_idle(self, ServerSession session) except -1
    cdef void session_closed(self, ServerSession session) noexcept
    cdef int connection_expired(self, Connection connection) except -1
    cdef void connection_closed(self, Connection connection) noexcept
    cdef void make_way(self, Connection connection, bint for_block) noexcept
