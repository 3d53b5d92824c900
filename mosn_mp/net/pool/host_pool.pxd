from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from mosn_mp.cluster.cluster cimport Cluster
from mosn_mp.cluster.host cimport Host
from mosn_mp.cluster.state cimport State
from mosn_mp.net.connection.connection cimport Connection, Keeper
from mosn_mp.net.connection.descriptors cimport Descriptors
from mosn_mp.net.reactor.reactor cimport Reactor, Task

cdef class HostPool(Keeper):
    cdef Reactor reactor
    cdef Descriptors descriptors
    cdef readonly Host host
    cdef bytes host_text
    cdef State state
    cdef int worker_slot
    cdef PyObject** idle            # LIFO: the last one is the hottest; one reference each
    cdef readonly int idle_count
    cdef int idle_capacity
    cdef readonly int open_count
    cdef uint32_t cluster_record    # of the shared state
    cdef uint32_t max_connections   # of the whole cluster over all workers; 0 = unlimited
    cdef uint32_t max_requests
    cdef uint64_t idle_timeout_ms
    cdef uint64_t connect_timeout_ms
    cdef list shared                # SharedPools, one per protocol and word
    cdef uint64_t keepalive_ms      # heartbeats on shared connections
    cdef uint64_t keepalive_timeout_ms
    cdef public int failure                # Reason of the last dial() that gave None
    cdef readonly bint retired      # the host is no longer configured
    cdef bint keeps_none            # nor is anything kept; or others want the descriptors

    cdef Connection take(self)
    cdef Connection dial(self, Task task, uint64_t deadline_ms, Connection client, uint8_t departure)
    cdef int keep_bound(self, Connection connection) except -1
    cdef int give_back(self, Connection connection) except -1
    cdef void count_moved(self, int count) noexcept
    cdef void _count_closed(self) noexcept
    cdef void _forget_idle(self, Connection connection) noexcept
    cdef int _begin_connect(self, Connection connection, Task task, uint64_t limit_ms) except -1
    cdef int _finish_connect(
        self, Connection connection, Task task, uint64_t limit_ms, Connection client, uint8_t departure
    ) except -1
    cdef int spare(self) noexcept
    cdef int owed(self) noexcept
    cdef int shed(self, int count) except -1
    cdef void press(self, bint is_pressed) noexcept
    cdef int connection_ready(self, Connection connection) except -1
    cdef int connection_expired(self, Connection connection) except -1
    cdef void connection_closed(self, Connection connection) noexcept
