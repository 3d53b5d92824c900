"""A host's connection that all streams of a worker share, and a Call: one request on it (see session.py)."""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.mosn_mp.buffer.head import Head
from cython.cimports.mosn_mp.net.connection import Connection, Keeper
from cython.cimports.mosn_mp.net.reactor import Task
from cython.cimports.mosn_mp.net.session import FRAME_ROOM, Session

# MOSN's keepalive: closed after this many heartbeats without an answer.
HEARTBEATS_TO_CLOSE = cython.declare(cython.int, 6)


@cython.cclass
class Call:
    """One request on a shared connection, as its stream sees it."""


@cython.cclass
class ClientSession(Session):
    """A host's connection."""

    def __cinit__(self, protocol: object, pool: Keeper, siblings: list) -> None:
        self.protocol = protocol
        self.pool = pool
        self.siblings = siblings
        self.calls = {}

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def send(self, call: Call, head: Head, body: cython.p_const_char, length: uint64_t) -> cython.bint:
        """Write a request; its response, or its loss, comes to *call*. False: it was not sent."""
        self.last_id = self.protocol.next_id(self.last_id)
        call.id = self.last_id
        call.state = C_WAITING
        self.calls[call.id] = call
        if not self.write_message(call.task, call.id, head, body, length, call.timeout_ms):
            self.forget(call)
            return False
        return True

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def forget(self, call: Call) -> cython.int:
        """*call* does not want its response any more; a late one is dropped."""
        self.calls.pop(call.id, None)
        if self.leaving and not self.calls and self.connection.fd >= 0:
            self.connection.close_when_flushed()
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def on_message(self) -> cython.int:
        head: Head
        call: Call
        found = self.calls.pop(self.message_id, None)
        if found is None:
            self.head.clear()
            return 0
        call = cython.cast(Call, found)
        head = call.head
        call.head = self.head
        call.body.move_from(self.body)
        self.head = head
        self.codec.head = head
        head.clear()
        call.state = C_ANSWERED
        if call.task.waiting:
            self.reactor.wake(call.task)
        if self.leaving and not self.calls and self.connection.fd >= 0:
            self.connection.close_when_flushed()
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def on_goaway(self) -> cython.int:
        """No new streams; those under way end here."""
        self.leaving = True
        if self in self.siblings:
            self.siblings.remove(self)
        if not self.calls:
            self.connection.close_when_flushed()
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def on_broken_rules(self) -> cython.int:
        self.lose_all(True)
        self.connection.close()
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def lose_all(self, refused: cython.bint) -> cython.void:
        """Every Call on this connection is lost."""
        call: Call
        lost: list = list(self.calls.values())
        self.calls.clear()
        for item in lost:
            call = cython.cast(Call, item)
            call.state = C_LOST
            call.refused = refused
            if call.task.waiting:
                # not at once: the connection may be in the middle of closing
                self.reactor.wake_soon(call.task)

    @cython.cfunc
    @cython.exceptval(check=False)
    def connection_closed(self, connection: Connection) -> cython.void:
        Session.connection_closed(self, connection)
        if self in self.siblings:
            self.siblings.remove(self)
        self.lose_all(False)
        for task in self.turns:
            self.reactor.wake_soon(cython.cast(Task, task))
        self.pool.connection_closed(connection)

    # -- heartbeats ----------------------------------------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def on_heartbeat_reply(self) -> cython.int:
        self.awaiting_heartbeat = False
        self.heartbeats_failed = 0
        self.reactor.arm(self.connection, self.keepalive_ms)
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def connection_expired(self, connection: Connection) -> cython.int:
        """The keepalive timer: ask, or give up a host that has not answered MOSN's count of heartbeats."""
        if self.awaiting_heartbeat:
            self.awaiting_heartbeat = False
            self.heartbeats_failed += 1
            if self.heartbeats_failed >= HEARTBEATS_TO_CLOSE:
                connection.close()
                return 0
        elif self.reactor.now_ms < self.read_at_ms + self.keepalive_ms:
            self.reactor.arm(connection, self.read_at_ms + self.keepalive_ms - self.reactor.now_ms)
            return 0
        elif connection.reserve(cython.cast(uint32_t, FRAME_ROOM)):
            self.last_id = self.protocol.next_id(self.last_id)
            self.codec.stream_id = self.last_id
            if self.codec.write_heartbeat(cython.address(connection.output)) == 0:
                connection.written()
                self.awaiting_heartbeat = True
        self.reactor.arm(connection, self.keepalive_timeout_ms if self.awaiting_heartbeat else self.keepalive_ms)
        return 0
