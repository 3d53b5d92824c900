"""Answers that another process still owes to a client which moved here with requests under way.

The process that the client came from keeps the streams of those requests and writes their answers, as it would to the client,
into a socket pair. This end reads them as a client would and passes each whole message on, between those of the streams begun
here. What is still owed when the other end closes is answered with an error of the protocol: never silence.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.mosn_mp.buffer.body import Body
from cython.cimports.mosn_mp.buffer.head import Head
from cython.cimports.mosn_mp.codec.codec import Codec
from cython.cimports.mosn_mp.net.connection import Connection, Keeper
from cython.cimports.mosn_mp.net.reactor import Pollable, Task
from cython.cimports.mosn_mp.net.server_session import ServerSession
from cython.cimports.mosn_mp.net.session import Session

from mosn_mp.errors import Reason

# Answers read and not written yet; beyond, the relay is not read.
MOST_WRITING = cython.declare(cython.int, 16)
UPSTREAM_CLOSED = cython.declare(cython.int, int(Reason.UPSTREAM_CLOSED))
NOWHERE = cython.declare(uint64_t[1])


@cython.cclass
class Between(Keeper):
    """The keeper of connections inside the program; it counts nothing."""

    def __cinit__(self) -> None:
        self.read_cell = cython.address(NOWHERE[0])
        self.write_cell = cython.address(NOWHERE[0])


@cython.cclass
class Relay(Session):
    """This end of the socket pair."""

    def __cinit__(self, client: ServerSession, waiting: list) -> None:
        self.client = client
        self.waiting = set(waiting)

    @cython.cfunc
    @cython.exceptval(check=False)
    def may_read(self) -> cython.bint:
        return self.writing_now < MOST_WRITING

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def on_message(self) -> cython.int:
        if self.message_id not in self.waiting:
            self.head.clear()
            return 0
        self.waiting.discard(self.message_id)
        return self.answer(self.message_id, 0)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def answer(self, stream_id: uint64_t, reason: cython.int) -> cython.int:
        """Pass the message at hand on, or say that there is none for *reason*. Only from the hub."""
        job: RelayedAnswer = RelayedAnswer()
        head: Head = self.head
        job.relay = self
        job.stream_id = stream_id
        job.reason = reason
        job.body = Body(self.reactor.arena)
        job.head = head
        self.head = Head(self.reactor.arena)
        self.codec.head = self.head
        if reason == 0:
            job.body.move_from(self.body)
        self.writing_now += 1
        return self.reactor.spawn(job)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def on_broken_rules(self) -> cython.int:
        return self.on_end(True)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def on_end(self, is_reset: cython.bint) -> cython.int:
        """No more answers will come: in order, or because the process died."""
        owed: list = list(self.waiting)
        self.waiting.clear()
        self.connection.close()
        for stream_id in owed:
            self.answer(stream_id, UPSTREAM_CLOSED)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def connection_closed(self, connection: Connection) -> cython.void:
        Session.connection_closed(self, connection)
        self.client.relay = None


@cython.cclass
class RelayedAnswer(Pollable):
    """Writes one answer in a greenlet of its own: the client may be slow to take it."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def serve(self) -> cython.int:
        task: Task = Task()
        relay: Relay = self.relay
        client: ServerSession = relay.client
        relay.reactor.adopt(task)
        relay.reactor.arm(task, relay.write_timeout_ms)
        if self.reason == 0:
            client.write_message(task, self.stream_id, self.head, self.body.data, self.body.length)
        elif client.wait_room(task):
            client.codec.stream_id = self.stream_id
            client.codec.write_error(self.reason, cython.address(client.connection.output))
            client.connection.written()
        relay.reactor.arm(task, 0)
        self.head.clear()
        self.body.clear()
        client.finished(self.stream_id)
        relay.writing_now -= 1
        if relay.connection.fd >= 0:
            relay.reactor.serve_again(relay.connection)
        return 0


@cython.cfunc
def open_relay(fd: cython.int, client: ServerSession, codec: Codec, waiting: list, write_timeout_ms: uint32_t) -> Relay:
    """Await the answers to the ids in *waiting* from the socket *fd*, which is the relay's; *codec* reads as a client."""
    connection: Connection = Connection.__new__(Connection)
    relay: Relay = Relay.__new__(Relay, client, waiting)
    connection.open(fd, client.reactor, Between())
    relay.write_timeout_ms = write_timeout_ms
    relay.attach(connection, codec)
    client.relay = relay
    client.in_flight += len(waiting)
    return relay
