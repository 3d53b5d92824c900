"""The service of a listener in one worker: admits connections, gives each readable one a stream, keeps the parked ones."""

import cython
from cython.cimports.mosn_mp.buffer.head import Head
from cython.cimports.mosn_mp.codec.codec import CLIENT, SERVER
from cython.cimports.mosn_mp.net.connection import S_PARKED, S_SERVING, Connection
from cython.cimports.mosn_mp.net.listener import Acceptor
from cython.cimports.mosn_mp.net.reactor import HANGUP, READ, Reactor, Task
from cython.cimports.mosn_mp.net.splice import PipePool
from cython.cimports.mosn_mp.observe.metrics import (
    D_ARENA_EXHAUSTED,
    D_BYTES_READ_TOTAL,
    D_BYTES_WRITE_TOTAL,
    D_CONNECTION_ACTIVE,
    D_CONNECTION_DESTROY,
    D_CONNECTION_PARKED,
    D_CONNECTION_TOTAL,
    D_LIMIT_CONNECTIONS,
    D_TIMEOUT_IDLE,
    W_ACCEPT_ERRORS,
    W_ACCEPTED,
    W_CONNECTIONS,
    Metrics,
)
from cython.cimports.mosn_mp.observe.record import Record
from cython.cimports.mosn_mp.proxy.flow import Flow
from cython.cimports.mosn_mp.proxy.runtime import ListenerState
from cython.cimports.mosn_mp.proxy.stream import Stream

# Idle streams kept for the next burst; about 5 KB each.
IDLE_STREAMS = cython.declare(cython.int, 512)


@cython.cclass
class Service(Acceptor):
    """Where a listener's connections live."""

    def __init__(
        self, listener: ListenerState, reactor: Reactor, metrics: Metrics, pipes: PipePool, bases: tuple[int, int]
    ) -> None:
        self.listener = listener
        self.reactor = reactor
        self.metrics = metrics
        self.pipes = pipes
        self.streams = []
        self.read_cell = listener.counters + D_BYTES_READ_TOTAL
        self.write_cell = listener.counters + D_BYTES_WRITE_TOTAL
        self.starved_cell = listener.counters + D_ARENA_EXHAUSTED
        self.active_cell = bases[0] + D_CONNECTION_ACTIVE
        self.worker_cell = bases[1] + W_CONNECTIONS

    def limit(self, max_here: int, max_in_all: int) -> None:
        """At most *max_here* connections in this worker, *max_in_all* (0 = unlimited) over all workers and listeners."""
        self.max_here = max_here
        self.max_in_all = max_in_all

    @cython.cfunc
    @cython.exceptval(check=False)
    def admit(self) -> cython.bint:
        limit: cython.ulonglong = self.listener.runtime.max_connections
        if (
            (self.max_here and self.listener.worker[W_CONNECTIONS] >= self.max_here)
            or (limit and self.metrics.sum(self.active_cell) >= limit)
            or (self.max_in_all and self.metrics.sum(self.worker_cell) >= self.max_in_all)
        ):
            self.listener.counters[D_LIMIT_CONNECTIONS] += 1
            return False
        return True

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def accepted(self, connection: Connection) -> cython.int:
        self.open_count += 1
        self.listener.worker[W_CONNECTIONS] += 1
        self.listener.worker[W_ACCEPTED] += 1
        self.listener.counters[D_CONNECTION_TOTAL] += 1
        self.listener.counters[D_CONNECTION_ACTIVE] += 1
        self.listener.counters[D_CONNECTION_PARKED] += 1
        connection.write_timeout_ms = self.listener.runtime.write_timeout_ms
        connection.state = S_PARKED
        self.reactor.arm(connection, self.listener.runtime.idle_timeout_ms)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def accept_failed(self) -> cython.void:
        self.listener.worker[W_ACCEPT_ERRORS] += 1

    @cython.cfunc
    @cython.exceptval(check=False)
    def connection_flushed(self, connection: Connection) -> cython.void:
        if connection.state == S_PARKED:
            self.reactor.arm(connection, self.listener.runtime.idle_timeout_ms)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def connection_ready(self, connection: Connection) -> cython.int:
        if not connection.ready & (READ | HANGUP) and connection.input.base == cython.NULL:
            return 0
        self.reactor.arm(connection, 0)
        connection.state = S_SERVING
        self.listener.counters[D_CONNECTION_PARKED] -= 1
        return self.reactor.spawn(connection)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def serve_connection(self, connection: Connection) -> cython.int:
        stream: Stream = self.take_stream()
        stream.serve(connection)
        if len(self.streams) < IDLE_STREAMS:
            self.streams.append(stream)
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def connection_expired(self, connection: Connection) -> cython.int:
        self.listener.counters[D_TIMEOUT_IDLE] += 1
        connection.close()
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def connection_closed(self, connection: Connection) -> cython.void:
        self.open_count -= 1
        self.listener.worker[W_CONNECTIONS] -= 1
        self.listener.counters[D_CONNECTION_ACTIVE] -= 1
        self.listener.counters[D_CONNECTION_DESTROY] += 1
        if connection.state == S_PARKED:
            self.listener.counters[D_CONNECTION_PARKED] -= 1

    @cython.cfunc
    def take_stream(self) -> Stream:
        """An idle stream, or a new one."""
        stream: Stream
        if self.streams:
            return self.streams.pop()
        stream = Stream.__new__(Stream)
        stream.reactor = self.reactor
        stream.task = Task()
        stream.listener = self.listener
        stream.counters = self.listener.counters
        stream.request = Head(self.reactor.arena)
        stream.response = Head(self.reactor.arena)
        stream.record = Record()
        protocol = self.listener.runtime.protocol
        stream.down_codec = protocol.make_codec(SERVER, self.listener.runtime.limits)
        stream.up_codec = protocol.make_codec(CLIENT, self.listener.runtime.limits)
        stream.down_codec.head = stream.request
        stream.up_codec.head = stream.response
        stream.upload = Flow(self.pipes, stream, False)
        stream.download = Flow(self.pipes, stream, True)
        return stream

    def close_parked(self) -> int:
        """Close the connections that wait between requests; the number closed."""
        fd: cython.int
        closed: cython.int = 0
        connection: Connection
        for fd in range(self.reactor.table_size):
            if self.reactor.table[fd] == cython.NULL:
                continue
            found = cython.cast(object, self.reactor.table[fd])
            if isinstance(found, Connection):
                connection = cython.cast(Connection, found)
                if connection.keeper is self and connection.state == S_PARKED and not connection.ready & READ:
                    connection.close_when_flushed()
                    closed += 1
        return closed
