"""A client's connection that carries many requests at a time, and the inbox that takes them (see session.py)."""

import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.mosn_mp.net.connection import Connection, Keeper
from cython.cimports.mosn_mp.net.session import Session

# Requests that one client may have under way; beyond, its connection is not read.
MAX_IN_FLIGHT = cython.declare(cython.int, 1024)


@cython.cclass
class Inbox(Keeper):
    """Who takes the requests of a ServerSession."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def request_arrived(self, session: ServerSession) -> cython.int:
        """session.head, .body, .message_id and the codec's timeout_ms and one_way are one request."""
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def request_reset(self, session: ServerSession, call: object) -> cython.int:
        """The client is gone, or does not want the answer of *call* any more."""
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def session_idle(self, session: ServerSession) -> cython.int:
        """Nothing is under way on the session."""
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def session_closed(self, session: ServerSession) -> cython.void:
        """Its connection is about to close."""


@cython.cclass
class ServerSession(Session):
    """A client's connection."""

    def __cinit__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.calls = {}

    @cython.cfunc
    @cython.exceptval(check=False)
    def may_read(self) -> cython.bint:
        self.held_back = self.in_flight >= MAX_IN_FLIGHT or self.connection.is_stalled()
        return not self.held_back and not self.ended

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def on_message(self) -> cython.int:
        self.in_flight += 1
        return self.inbox.request_arrived(self)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def on_reset(self, stream_id: uint64_t) -> cython.int:
        call = self.calls.get(stream_id)
        if call is not None:
            self.inbox.request_reset(self, call)
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def finished(self, stream_id: uint64_t) -> cython.int:
        """The stream of *stream_id* has ended."""
        self.in_flight -= 1
        self.calls.pop(stream_id, None)
        if self.connection.fd < 0 or self.reading:
            return 0
        if self.held_back:
            return self.reactor.serve_again(self.connection)
        return self.rest()

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def rest(self) -> cython.int:
        """Nothing to do for now: park, close behind the last answer, or wait for the rest of a message."""
        connection: Connection = self.connection
        if connection.input.end > connection.input.start or self.body_left >= 0:
            if connection.deadline_ms == 0 and not self.held_back:
                self.reactor.arm(connection, self.message_timeout_ms)
            return 0
        if self.in_flight:
            self.reactor.arm(connection, 0)
            return 0
        if self.relay is not None:
            self.relay.connection.close()  # it owes nothing any more
        if self.ended:
            connection.close_when_flushed()
        else:
            self.inbox.session_idle(self)
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def read(self) -> cython.int:
        Session.read(self)
        return self.rest() if self.connection.fd >= 0 else 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def on_end(self, is_reset: cython.bint) -> cython.int:
        """A client that only closed its sending half gets the answers that are under way."""
        if is_reset or self.in_flight == 0:
            self.connection.close()
        else:
            self.ended = True
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def connection_expired(self, connection: Connection) -> cython.int:
        """The rest of a message did not come in time."""
        return self.inbox.connection_expired(connection)

    @cython.cfunc
    @cython.exceptval(check=False)
    def connection_flushed(self, connection: Connection) -> cython.void:
        self.reactor.arm(connection, 0)
        if self.held_back:
            self.reactor.serve_again(connection)

    @cython.cfunc
    @cython.exceptval(check=False)
    def connection_closed(self, connection: Connection) -> cython.void:
        Session.connection_closed(self, connection)
        if self.relay is not None:
            self.relay.connection.close()
        self.inbox.session_closed(self)
        self.inbox.connection_closed(connection)
