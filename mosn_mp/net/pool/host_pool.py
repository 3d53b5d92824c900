"""The connections of one worker to one host: kept alive, last in first out, parked while idle, bounded over all workers.

A pooled connection holds no buffer and no greenlet. The reactor notes every event before it serves any (net/reactor/), so a
connection that the host closed while idle has left the pool, or is passed over by take(), before a request can get it.

One piece: dialing, taking and giving back keep one account of what is open.
"""

import cython
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.errno import EINPROGRESS, EINTR, errno
from cython.cimports.libc.stdint import uint8_t, uint64_t
from cython.cimports.libc.stdlib import free, realloc
from cython.cimports.mosn_mp.cluster.cluster import Cluster
from cython.cimports.mosn_mp.cluster.host import Host
from cython.cimports.mosn_mp.cluster.state import G_CONNECTIONS, State
from cython.cimports.mosn_mp.net.connection.connection import S_BOUND, S_POOLED, S_SERVING, Connection, Keeper
from cython.cimports.mosn_mp.net.connection.descriptors import Descriptors
from cython.cimports.mosn_mp.net.libc import (
    IPPROTO_TCP,
    SO_ERROR,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_NODELAY,
    close,
    connect,
    getsockopt,
    setsockopt,
    sockaddr,
    socket,
    socklen_t,
)
from cython.cimports.mosn_mp.net.reactor.reactor import HANGUP, READ, WRITE, Task
from cython.cimports.mosn_mp.net.reactor.stock import RESPONSE_HEAD
from cython.cimports.mosn_mp.observe.metrics.metrics import (
    U_CONNECT_TIME,
    U_CONNECTION_ACTIVE,
    U_CONNECTION_BYTES_READ_TOTAL,
    U_CONNECTION_BYTES_WRITE,
    U_CONNECTION_CLOSE,
    U_CONNECTION_CON_FAIL,
    U_CONNECTION_CONNECT_TIMEOUT,
    U_CONNECTION_IDLE,
    U_CONNECTION_LOCAL_CLOSE,
    U_CONNECTION_OVERFLOW,
    U_CONNECTION_REMOTE_CLOSE,
    U_CONNECTION_TOTAL,
    observe,
)

from mosn_mp.errors import Reason

CONNECT_FAILED = cython.declare(cython.int, int(Reason.CONNECT_FAILED))
CONNECT_TIMEOUT = cython.declare(cython.int, int(Reason.CONNECT_TIMEOUT))
DOWNSTREAM_GONE = cython.declare(cython.int, int(Reason.DOWNSTREAM_GONE))
OVERFLOW = cython.declare(cython.int, int(Reason.UPSTREAM_OVERFLOW))
OVERLOADED = cython.declare(cython.int, int(Reason.OVERLOADED))


class HostPool(Keeper):
    """What one worker has open to one host."""

    def __init__(self, descriptors: Descriptors, host: Host, state: State, slot: int) -> None:
        """*host* has its place in shared memory, and *slot* is this worker's."""
        self.reactor = descriptors.reactor
        self.descriptors = descriptors
        self.host = host
        self.host_text = host.address.encode()
        self.shared = []
        self.rank = RESPONSE_HEAD
        self.state = state
        self.worker_slot = slot
        self.read_cell = host.up + U_CONNECTION_BYTES_READ_TOTAL
        self.write_cell = host.up + U_CONNECTION_BYTES_WRITE

    def __dealloc__(self) -> None:
        i: cython.int
        for i in range(self.idle_count):
            Py_DECREF(cython.cast(object, self.idle[i]))
        free(self.idle)

    def configure(self, cluster: Cluster) -> None:
        """Take over the limits of *cluster*, also after a reload."""
        self.cluster_record = cluster.state_record
        self.max_connections = cluster.max_connections
        self.keepalive_ms = cluster.keepalive_ms
        self.keepalive_timeout_ms = cluster.keepalive_timeout_ms
        self.max_requests = cluster.max_requests_per_connection
        self.idle_timeout_ms = cluster.idle_timeout_ms
        self.connect_timeout_ms = cluster.connect_timeout_ms

    def retire(self) -> None:
        """The host is gone from the config: close what is idle; what is in use is closed when its stream ends."""
        connection: Connection
        self.retired = self.keeps_none = True
        while self.idle_count:
            connection = cython.cast(Connection, self.idle[self.idle_count - 1])
            connection.close()
        for shared in self.shared:
            shared.retire()

    def take(self) -> Connection:
        """The connection that was used last and is still good, or None."""
        connection: Connection
        while self.idle_count:
            self.idle_count -= 1
            self.host.up[U_CONNECTION_IDLE] -= 1
            connection = cython.cast(Connection, self.idle[self.idle_count])
            Py_DECREF(connection)
            connection.state = S_SERVING
            if connection.ready & (READ | HANGUP):
                # closed, or bytes that nobody asked for
                self.host.up[U_CONNECTION_REMOTE_CLOSE] += 1
                connection.close()
                continue
            self.reactor.arm(connection, 0)
            return connection
        return None

    def dial(self, task: Task, deadline_ms: uint64_t, client: Connection, departure: uint8_t) -> Connection:
        """A new connection, or None with the reason in `failure`; waits in *task*'s greenlet, at most until *deadline_ms* (0 =
        only the connect timeout counts), or until *client* (None = nobody's) is ready for its *departure*."""
        connection: Connection = Connection.__new__(Connection)
        up: cython.pointer(uint64_t) = self.host.up
        began_at_us: uint64_t = self.reactor.now_us
        failure: cython.int
        limit_ms: uint64_t = self.reactor.now_ms + self.connect_timeout_ms if self.connect_timeout_ms else 0
        if deadline_ms and (limit_ms == 0 or deadline_ms < limit_ms):
            limit_ms = deadline_ms
        if not self.state.try_acquire(self.cluster_record, G_CONNECTIONS, self.worker_slot, self.max_connections):
            up[U_CONNECTION_OVERFLOW] += 1
            self.failure = OVERFLOW
            return None
        self.open_count += 1
        failure = self._begin_connect(connection, task, limit_ms)
        if failure:
            self._count_closed()
        else:
            up[U_CONNECTION_TOTAL] += 1
            up[U_CONNECTION_ACTIVE] += 1
            failure = self._finish_connect(connection, task, limit_ms, client, departure)
            if failure == 0:
                observe(up + U_CONNECT_TIME, self.reactor.read_clock() - began_at_us)
                return connection
            connection.close()
        if failure == DOWNSTREAM_GONE:
            up[U_CONNECTION_LOCAL_CLOSE] += 1
        else:
            up[U_CONNECTION_CONNECT_TIMEOUT if failure == CONNECT_TIMEOUT else U_CONNECTION_CON_FAIL] += 1
        # set last: other streams dial too while this one waits
        self.failure = failure
        return None

    def _begin_connect(self, connection: Connection, task: Task, limit_ms: uint64_t) -> cython.int:
        """Open *connection* and begin the handshake: 0, or the Reason. Waits while there is no descriptor or memory for it."""
        one: cython.int = 1
        error: cython.int
        is_short: cython.bint = False
        fd: cython.int
        host: Host = self.host
        while self.descriptors.wait_one(task, limit_ms, is_short):
            fd = socket(host.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
            error = errno
            if fd >= 0:
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, cython.address(one), cython.sizeof(one))
                if connect(fd, cython.cast(cython.pointer(sockaddr), host.sockaddr), host.sockaddr_len) == 0:
                    error = 0
                else:
                    error = errno
                if error == 0 or error == EINPROGRESS or error == EINTR:
                    try:
                        connection.open(fd, self.reactor, self)
                    except OSError:
                        connection.state = S_SERVING  # of the next try
                        is_short = True
                        continue
                    return 0
                close(fd)
            is_short = self.reactor.is_shortage(error)
            if not is_short:
                return CONNECT_FAILED
        return OVERLOADED

    def _finish_connect(
        self, connection: Connection, task: Task, limit_ms: uint64_t, client: Connection, departure: uint8_t
    ) -> cython.int:
        """Wait for the handshake: 0, or the Reason."""
        error: cython.int = 0
        length: socklen_t = cython.sizeof(error)
        task.expired = False
        self.reactor.wheel.arm(task, limit_ms)
        while not connection.ready & WRITE and not task.expired:
            self.reactor.wait(task, connection, WRITE | HANGUP, client, departure)
            if client is not None and client.ready & departure:
                break
        self.reactor.wheel.arm(task, 0)
        if client is not None and client.ready & departure:
            return DOWNSTREAM_GONE
        if not connection.ready & WRITE:
            return CONNECT_TIMEOUT
        if getsockopt(connection.fd, SOL_SOCKET, SO_ERROR, cython.address(error), cython.address(length)) < 0:
            error = errno
            self.reactor.is_shortage(error)
        return CONNECT_FAILED if error else 0

    def give_back(self, connection: Connection) -> cython.int:
        """The response is complete and the connection may carry another request: keep it, unless a limit says otherwise."""
        grown: cython.pointer(cython.pointer(PyObject))
        if (
            connection.fd < 0
            or connection.broken
            or self.keeps_none
            or connection.input.end > connection.input.start
            or (self.max_requests and connection.requests >= self.max_requests)
            or not connection.is_quiet()
        ):
            self.host.up[U_CONNECTION_LOCAL_CLOSE] += 1
            connection.close()
            return 0
        if self.idle_count == self.idle_capacity:
            grown = cython.cast(
                cython.pointer(cython.pointer(PyObject)),
                realloc(self.idle, (2 * self.idle_capacity + 16) * cython.sizeof(cython.p_void)),
            )
            if grown == cython.NULL:
                connection.close()
                return 0
            self.idle = grown
            self.idle_capacity = 2 * self.idle_capacity + 16
        connection.drop_input()
        connection.state = S_POOLED
        connection.slot = self.idle_count
        Py_INCREF(connection)
        self.idle[self.idle_count] = cython.cast(cython.pointer(PyObject), connection)
        self.idle_count += 1
        self.host.up[U_CONNECTION_IDLE] += 1
        self.reactor.arm(connection, self.idle_timeout_ms)
        return 0

    def keep_bound(self, connection: Connection) -> cython.int:
        """give_back() of a connection that is bound to a client: it waits for that client's next request."""
        if connection.broken or self.retired or connection.input.end > connection.input.start or not connection.is_quiet():
            self.host.up[U_CONNECTION_LOCAL_CLOSE] += 1
            connection.close()
            return 0
        connection.drop_input()
        connection.state = S_BOUND
        return 0

    def connection_ready(self, connection: Connection) -> cython.int:
        """An idle connection saw its far side close, or bytes that nobody asked for: either way it is of no use."""
        if connection.ready & (READ | HANGUP):
            self.host.up[U_CONNECTION_REMOTE_CLOSE] += 1
            connection.close()
        return 0

    def connection_expired(self, connection: Connection) -> cython.int:
        self.host.up[U_CONNECTION_LOCAL_CLOSE] += 1
        connection.close()
        return 0

    def connection_closed(self, connection: Connection) -> cython.void:
        if connection.state == S_POOLED:
            self._forget_idle(connection)
        self.host.up[U_CONNECTION_ACTIVE] -= 1
        self.host.up[U_CONNECTION_CLOSE] += 1
        self._count_closed()

    def spare(self) -> cython.int:
        return self.idle_count

    def owed(self) -> cython.int:
        """Each connection that is neither idle nor shared is what its client wanted."""
        shared: cython.int = 0
        for item in self.shared:
            shared += len(item.sessions)
        return self.idle_count + shared - self.open_count

    def shed(self, count: cython.int) -> cython.int:
        connection: Connection
        place: cython.int
        shed: list = []
        count = min(count, self.idle_count)
        for place in range(count):
            connection = cython.cast(Connection, self.idle[place])
            shed.append(connection)
            Py_DECREF(connection)
        self.idle_count -= count
        for place in range(self.idle_count):
            self.idle[place] = self.idle[place + count]
            cython.cast(Connection, self.idle[place]).slot = place
        self.host.up[U_CONNECTION_IDLE] -= count
        self.host.up[U_CONNECTION_LOCAL_CLOSE] += count
        for item in shed:
            connection = cython.cast(Connection, item)
            connection.state = S_SERVING  # it is in no pool any more
            connection.close()
        return count

    def press(self, is_pressed: cython.bint) -> cython.void:
        self.keeps_none = is_pressed or self.retired

    def count_moved(self, count: cython.int) -> cython.void:
        """A connection came from another process (1) or went to one (-1), open all the time."""
        self.open_count += count
        self.host.up[U_CONNECTION_ACTIVE] += count
        if count > 0:
            self.state.try_acquire(self.cluster_record, G_CONNECTIONS, self.worker_slot, 0)
        else:
            self.state.give(self.cluster_record, G_CONNECTIONS, self.worker_slot)

    def _count_closed(self) -> cython.void:
        self.open_count -= 1
        self.state.give(self.cluster_record, G_CONNECTIONS, self.worker_slot)

    def _forget_idle(self, connection: Connection) -> cython.void:
        last: Connection
        place: cython.int = connection.slot
        self.idle_count -= 1
        self.host.up[U_CONNECTION_IDLE] -= 1
        if place != self.idle_count:
            last = cython.cast(Connection, self.idle[self.idle_count])
            last.slot = place
            self.idle[place] = cython.cast(cython.pointer(PyObject), last)
        Py_DECREF(connection)
