"""The shared connections of one worker to one host, for one protocol (and version of it): few, each with many streams.

As MOSN's multiplex pool: `max_connections` of them when the cluster bounds connections, else one; made when first wanted, used in
turn, replaced when they end or say GOAWAY.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.mosn_mp.codec.codec import CLIENT, CONVERTS, Codec
from cython.cimports.mosn_mp.net.connection.connection import Connection
from cython.cimports.mosn_mp.net.multiplex.client_session import ClientSession
from cython.cimports.mosn_mp.net.pool.host_pool import HostPool
from cython.cimports.mosn_mp.net.reactor.reactor import Task

from mosn_mp.errors import Reason

# MOSN takes a limit of 65535 and more for none.
NO_LIMIT = cython.declare(cython.int, 65535)
CONNECT_TIMEOUT = cython.declare(cython.int, int(Reason.CONNECT_TIMEOUT))


class SharedPool:
    """`SharedPool(host_pool, protocol, limits, word)`; connections of different words are never shared."""

    def __init__(self, pool: HostPool, protocol: object, limits: object, word: int) -> None:
        self.pool = pool
        self.word = word
        self.protocol = protocol
        self.limits = limits
        self.sessions = []
        self.waiting = []

    def retire(self) -> None:
        """The host is gone from the config: each connection ends with its last stream."""
        for item in list(self.sessions):
            cython.cast(ClientSession, item).on_goaway()

    def wanted(self) -> cython.int:
        """How many connections this worker wants to the host."""
        limit: cython.int = cython.cast(cython.int, self.pool.max_connections)
        return limit if 0 < limit < NO_LIMIT else 1

    def acquire(self, task: Task, deadline_ms: uint64_t) -> ClientSession:
        """A session that takes streams, or None with the reason in `failure`; waits in *task*'s greenlet while one is made."""
        while True:
            if not self.dialing and len(self.sessions) < self.wanted():
                self.dial(task, deadline_ms)
            if self.sessions:
                self.turn += 1
                return self.sessions[self.turn % len(self.sessions)]
            if not self.dialing:
                return None
            self.waiting.append(task)
            task.expired = False
            self.pool.reactor.wheel.arm(task, deadline_ms)
            self.pool.reactor.sleep(task)
            if task in self.waiting:
                self.waiting.remove(task)
            if task.expired:
                self.failure = CONNECT_TIMEOUT
                return None
            if not self.sessions:
                return None

    def dial(self, task: Task, deadline_ms: uint64_t) -> cython.int:
        """Make one more; wake those that wait for it, whatever became of it."""
        connection: Connection
        codec: Codec
        session: ClientSession
        self.dialing = True
        connection = self.pool.dial(task, deadline_ms, None, 0)
        self.dialing = False
        if connection is None:
            self.failure = self.pool.failure
        else:
            codec = self.protocol.make_codec(CLIENT, self.limits)
            if self.word & CONVERTS:
                codec.write_as(self.word)
            session = ClientSession.__new__(ClientSession, self.protocol, self.pool, self.sessions)
            session.attach(connection, codec)
            session.keepalive_ms = self.pool.keepalive_ms
            session.keepalive_timeout_ms = self.pool.keepalive_timeout_ms
            session.read_at_ms = self.pool.reactor.now_ms
            session.leaving = self.pool.retired  # for a stream that had chosen the host before
            self.pool.reactor.arm(connection, session.keepalive_ms)
            self.sessions.append(session)
        for waiter in self.waiting:
            self.pool.reactor.wake_soon(cython.cast(Task, waiter))
        return 0


def shared_pool_of(pool: HostPool, protocol: object, limits: object, word: uint32_t) -> SharedPool:
    """The shared pool of a host for *protocol* and *word*."""
    shared: SharedPool
    for item in pool.shared:
        shared = cython.cast(SharedPool, item)
        if shared.protocol is protocol and shared.word == word:
            return shared
    shared = SharedPool(pool, protocol, limits, word)
    pool.shared.append(shared)
    return shared
