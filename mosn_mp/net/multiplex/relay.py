"""Answers that another process still owes to a client which moved here with requests under way.

The process that the client came from keeps the streams of those requests and writes their answers, as it would to the client,
into a socket pair. This end reads them as a client would and passes each whole message on, between those of the streams begun
here. What is still owed when the other end closes is answered with an error of the protocol: never silence.
"""

import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.mosn_mp.codec.codec import Codec
from cython.cimports.mosn_mp.net.connection.connection import Connection, Keeper
from cython.cimports.mosn_mp.net.multiplex.server_session import NO_SUCH_MESSAGE, OVERFLOW, ServerSession
from cython.cimports.mosn_mp.net.multiplex.session import Session
from cython.cimports.mosn_mp.net.reactor.stock import RESPONSE_HEAD

from mosn_mp.errors import Reason

DOWNSTREAM_OVERFLOW = cython.declare(cython.int, int(Reason.DOWNSTREAM_OVERFLOW))
INTERNAL = cython.declare(cython.int, int(Reason.INTERNAL))
UPSTREAM_CLOSED = cython.declare(cython.int, int(Reason.UPSTREAM_CLOSED))
NOWHERE = cython.declare(uint64_t[1])


class Between(Keeper):
    """The keeper of connections inside the program; it counts nothing."""

    def __cinit__(self) -> None:
        self.read_cell = cython.address(NOWHERE[0])
        self.write_cell = cython.address(NOWHERE[0])


class Relay(Session):
    """This end of the socket pair."""

    def __cinit__(self, client: ServerSession, waiting: list) -> None:
        self.client = client
        self.waiting = set(waiting)
        self.begin_rank = RESPONSE_HEAD

    def connection_ready(self, connection: Connection) -> cython.int:
        """The other end may have closed behind answers that are not read yet."""
        return 0 if self.reading or connection.fd < 0 else self.read()

    def may_read(self) -> cython.bint:
        """The client takes what it gets; else the other process holds on to its answers."""
        return self.client.backlog.end == 0

    def on_message(self) -> cython.int:
        if self.message_id not in self.waiting:
            self.head.clear()
            return 0
        self.waiting.discard(self.message_id)
        sent: cython.int = self.client.write_answer(self.message_id, self.head, self.body.data, self.body.length)
        self.head.clear()
        if sent == OVERFLOW:
            return self.answer_error(self.message_id, DOWNSTREAM_OVERFLOW)
        if sent == NO_SUCH_MESSAGE:
            return self.answer_error(self.message_id, INTERNAL)
        return self.client.finished(self.message_id, 0, self)

    def answer_error(self, stream_id: uint64_t, reason: cython.int) -> cython.int:
        """The request *stream_id* gets no other answer."""
        self.client.write_error(stream_id, reason)
        return self.client.finished(stream_id, 0, self)

    def on_broken_rules(self) -> cython.int:
        return self.on_end(True)

    def on_end(self, is_reset: cython.bint) -> cython.int:
        """No more answers will come: in order, or because the process died."""
        owed: list = list(self.waiting)
        self.waiting.clear()
        self.connection.close()
        for stream_id in owed:
            self.answer_error(stream_id, UPSTREAM_CLOSED)
        return 0

    def connection_closed(self, connection: Connection) -> cython.void:
        Session.connection_closed(self, connection)
        self.client.relay = None
        self.let_go(connection, Between())


def open_relay(fd: cython.int, client: ServerSession, codec: Codec, waiting: list) -> Relay:
    """Await the answers to the ids in *waiting* from the socket *fd*, which is the relay's; *codec* reads as a client."""
    connection: Connection = Connection.__new__(Connection)
    relay: Relay = Relay.__new__(Relay, client, waiting)
    connection.open(fd, client.reactor, Between())
    relay.attach(connection, codec)
    client.relay = relay
    client.in_flight += len(relay.waiting)  # each id once, whatever was said
    return relay
