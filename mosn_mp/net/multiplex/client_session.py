"""A host's connection that all streams of a worker share, and a Call: one request on it (see session.py)."""

import cython
from cython.cimports.libc.stdint import int32_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import Head
from cython.cimports.mosn_mp.codec.codec import WRITTEN
from cython.cimports.mosn_mp.net.connection.connection import Connection, Keeper
from cython.cimports.mosn_mp.net.multiplex.session import FRAME_ROOM, ONE_BUFFER, Session, room_of
from cython.cimports.mosn_mp.net.reactor.reactor import WRITE, Task
from cython.cimports.mosn_mp.net.reactor.stock import RESPONSE_HEAD

# MOSN's keepalive: closed after this many heartbeats without an answer.
HEARTBEATS_TO_CLOSE = cython.declare(cython.int, 6)


class Call:
    """One request on a shared connection, as its stream sees it."""


class ClientSession(Session):
    """A host's connection."""

    def __cinit__(self, protocol: object, pool: Keeper, siblings: list) -> None:
        self.protocol = protocol
        self.pool = pool
        self.siblings = siblings
        self.calls = {}
        self.turns = []
        self.begin_rank = RESPONSE_HEAD

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

    def forget(self, call: Call) -> cython.int:
        """*call* does not want its response any more; a late one is dropped."""
        self.calls.pop(call.id, None)
        if self.leaving and not self.calls and self.connection.fd >= 0:
            self.connection.close_when_flushed()
        return 0

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

    def on_goaway(self) -> cython.int:
        """No new streams; those under way end here."""
        self.leaving = True
        if self in self.siblings:
            self.siblings.remove(self)
        if not self.calls:
            self.connection.close_when_flushed()
        return 0

    def on_broken_rules(self) -> cython.int:
        self.lose_all(True)
        self.connection.close()
        return 0

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

    def connection_closed(self, connection: Connection) -> cython.void:
        Session.connection_closed(self, connection)
        if self in self.siblings:
            self.siblings.remove(self)
        self.lose_all(False)
        for task in self.turns:
            self.reactor.wake_soon(cython.cast(Task, task))
        self.pool.connection_closed(connection)
        self.let_go(connection, self.pool)

    # -- writing, in the streams' greenlets ----------------------------------------------------------------------------------

    def write_message(
        self,
        task: Task,
        stream_id: uint64_t,
        head: Head,
        body: cython.p_const_char,
        length: uint64_t,
        timeout_ms: int32_t = 0,
    ) -> cython.bint:
        """Write one message, waiting for room in *task*'s greenlet. False: the connection broke, *task*'s deadline passed first,
        or (unsendable) the protocol cannot say what the message says."""
        connection: Connection = self.connection
        room: uint64_t = room_of(head)
        whole: cython.bint = room + length <= ONE_BUFFER
        if whole:
            room += length
        if not self.wait_room(task, room):
            return False
        self.codec.stream_id = stream_id
        self.codec.timeout_ms = timeout_ms
        self.codec.one_way = False
        self.unsendable = self.codec.write_head(head, length == 0, cython.address(connection.output)) != WRITTEN
        if self.unsendable:
            return False
        if length:
            if self.codec.checksums:
                self.codec.checksum(body, length)
            self.codec.begin_data(length, cython.address(connection.output))
            if whole:
                memcpy(connection.output.base + connection.output.end, body, length)
                connection.output.end += cython.cast(uint32_t, length)
            elif not self.write_in_pieces(task, body, length):
                return False
            self.codec.end_data(cython.address(connection.output))
        self.codec.write_end(None, cython.address(connection.output))
        connection.written()
        if self.turns:
            self.reactor.wake_soon(cython.cast(Task, self.turns[0]))
        return True

    def wait_room(self, task: Task, room: uint64_t = 1024) -> cython.bint:
        """Wait in turn until *room* bytes of output can be written; False: the connection broke or the deadline passed."""
        first: cython.bint = False
        connection: Connection = self.connection
        while True:
            if connection.fd < 0 or connection.broken:
                return False
            if not self.writing and (first or not self.turns) and connection.reserve(cython.cast(uint32_t, room)):
                return True
            if not self.wait_turn(task, first):
                return False
            first = True

    def write_in_pieces(self, task: Task, body: cython.p_const_char, length: uint64_t) -> cython.bint:
        """A body larger than a buffer leaves directly; until it has, nobody else writes. Broken off, it costs the connection."""
        count: cython.Py_ssize_t
        connection: Connection = self.connection
        self.writing = True
        while length:
            count = connection.send_through(body, length)
            if count < 0:
                break
            body += count
            length -= count
            if length and not self.wait_turn(task, True):
                break
        self.writing = False
        if length:
            connection.close()
            return False
        while not connection.reserve(FRAME_ROOM):
            if connection.fd < 0 or connection.broken or not self.wait_turn(task, True):
                connection.close()
                return False
        return True

    def wait_turn(self, task: Task, first: cython.bint) -> cython.bint:
        """Wait until the socket takes more; *first*: before all others. False: *task*'s deadline passed."""
        if first:
            self.turns.insert(0, task)
        else:
            self.turns.append(task)
        self.reactor.sleep(task)
        if task in self.turns:
            self.turns.remove(task)
        return not task.expired

    def on_writable(self) -> cython.int:
        """Let those that wait try again, in order, as long as there is room."""
        left: cython.int = len(self.turns)
        connection: Connection = self.connection
        if not connection.ready & WRITE and not connection.broken:
            return 0
        while left > 0 and self.turns and (connection.fd < 0 or not connection.is_stalled()):
            left -= 1
            self.reactor.wake(self.turns.pop(0))
        return 0

    def room_for(self, room: uint32_t) -> cython.pointer(Buf):
        """Session.room_for(), but not inside of a message that is on its way in pieces."""
        return cython.NULL if self.writing else Session.room_for(self, room)

    # -- heartbeats ----------------------------------------------------------------------------------------------------------

    def on_heartbeat_reply(self) -> cython.int:
        self.awaiting_heartbeat = False
        self.heartbeats_failed = 0
        self.reactor.arm(self.connection, self.keepalive_ms)
        return 0

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
        elif self.room_for(FRAME_ROOM) != cython.NULL:
            self.last_id = self.protocol.next_id(self.last_id)
            self.codec.stream_id = self.last_id
            if self.codec.write_heartbeat(cython.address(connection.output)) == 0:
                connection.written()
                self.awaiting_heartbeat = True
        self.reactor.arm(connection, self.keepalive_timeout_ms if self.awaiting_heartbeat else self.keepalive_ms)
        return 0
