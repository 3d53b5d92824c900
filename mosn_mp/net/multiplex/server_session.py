"""A client's connection that carries many requests at a time, and the inbox that takes them (see session.py).

What one client can make us hold is bounded. Beyond MAX_IN_FLIGHT requests, or MAX_HELD bytes of them, it is not read. Answers
that its socket does not take wait in the backlog, as bytes: no stream, greenlet or block of the arena waits with them. While any
wait it is not read either, and a client that has been slow gets only as many requests under way as answers of that size may wait.
An answer beyond what may wait (OWN_BACKLOG, then what all clients share) is replaced by the protocol's error: the answers for
others are behind it on the shared connection and cannot wait for this client. Who takes nothing for the write timeout, or
less than the least rate for long, is closed.

One piece: reading, answering and draining keep these limits together.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, realloc
from cython.cimports.libc.string import memcpy, memmove
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import Head
from cython.cimports.mosn_mp.codec.codec import WRITTEN
from cython.cimports.mosn_mp.net.connection.connection import LINGER_MS, Connection, Keeper
from cython.cimports.mosn_mp.net.connection.unfinished import KEPT_BYTES, MOST_KEPT_BYTES, keep
from cython.cimports.mosn_mp.net.multiplex.session import FRAME_ROOM, ONE_BUFFER, Session, room_of
from cython.cimports.mosn_mp.net.reactor.fragments import Fragment
from cython.cimports.mosn_mp.net.reactor.reactor import READ, WRITE
from cython.cimports.mosn_mp.net.reactor.stock import REQUEST_HEAD
from cython.cimports.mosn_mp.observe.metrics.metrics import D_LIMIT_IN_FLIGHT, D_LIMIT_UNREAD, D_TIMEOUT_WRITE

# Requests that one client may have under way, and their bytes; beyond, its connection is not read.
MAX_IN_FLIGHT = cython.declare(cython.int, 1024)
MAX_HELD = cython.declare(uint64_t, 4 << 20)
# Requests that a slow client may have under way, however large its answers are.
SLOW_IN_FLIGHT = cython.declare(cython.int, 16)
# Bytes of answers that may wait for one client (one answer always may), and for all clients of a worker.
OWN_BACKLOG = cython.declare(uint64_t, 8 << 20)
ALL_BACKLOGS = cython.declare(uint64_t, 64 << 20)
LEAST_BACKLOG = cython.declare(uint64_t, 16384)
# What of a backlog is sent in one wake-up; then others have their turn.
SHARE_BYTES = cython.declare(uint64_t, 1 << 20)
ERROR_ROOM = cython.declare(uint32_t, 1024)


class Inbox(Keeper):
    """Who takes the requests of a ServerSession."""

    def request_arrived(self, session: ServerSession) -> cython.int:
        """session.head, .body, .message_id and the codec's timeout_ms and one_way are one request."""
        return 0

    def request_reset(self, session: ServerSession, call: object) -> cython.int:
        """The client is gone, or does not want the answer of *call* any more."""
        return 0

    def session_idle(self, session: ServerSession) -> cython.int:
        """Nothing is under way on the session."""
        return 0

    def session_closed(self, session: ServerSession) -> cython.void:
        """Its connection is about to close."""


class ServerSession(Session):
    """A client's connection."""

    def __cinit__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.calls = {}
        self.twins = []
        self.begin_rank = REQUEST_HEAD

    def __dealloc__(self) -> None:
        free(self.backlog.base)

    # -- requests ------------------------------------------------------------------------------------------------------------

    def may_read(self) -> cython.bint:
        too_much: cython.bint = (
            self.in_flight >= MAX_IN_FLIGHT
            or self.held >= MAX_HELD
            or (self.in_flight >= SLOW_IN_FLIGHT and self.in_flight * cython.cast(uint64_t, self.waiting_size) >= OWN_BACKLOG)
        )
        if too_much and not self.held_back:
            self.counters[D_LIMIT_IN_FLIGHT] += 1
        self.held_back = too_much or self.backlog.end > 0 or self.connection.is_stalled()
        return not self.held_back and not self.ended

    def on_message(self) -> cython.int:
        self.message_bytes = self.head.raw.len + self.body.length
        self.held += self.message_bytes
        self.in_flight += 1
        return self.inbox.request_arrived(self)

    def remember(self, stream_id: uint64_t, call: object) -> cython.int:
        """*call* serves *stream_id*. A client that gives two of its requests one id gets an answer to each, as from SOFABolt's
        and MOSN's servers, which keep no table of ids: what they mean is the client's business."""
        if stream_id in self.calls:
            self.twins.append(call)
        else:
            self.calls[stream_id] = call
        return 0

    def on_reset(self, stream_id: uint64_t) -> cython.int:
        call = self.calls.get(stream_id)
        if call is not None:
            self.inbox.request_reset(self, call)
        return 0

    def finished(self, stream_id: uint64_t, message_bytes: uint64_t, call: object) -> cython.int:
        """*call*, the stream of *stream_id* whose request had *message_bytes*, has ended."""
        self.in_flight -= 1
        self.held -= message_bytes
        found: object = self.calls.pop(stream_id, None)
        if found is not call:
            # a one-way request, or one of several with the same id
            if found is not None:
                self.calls[stream_id] = found
            if call in self.twins:
                self.twins.remove(call)
        if self.connection.fd < 0 or self.reading:
            return 0
        if self.held_back:
            return self.reactor.serve_again(self.connection)
        return self.rest()

    def rest(self) -> cython.int:
        """Nothing to do for now: park, or wait for the rest of a message."""
        connection: Connection = self.connection
        kept: cython.bint = True
        unfinished: cython.bint = not self.ended and (
            connection.input.end > connection.input.start or self.body_left >= 0 or connection.fragment != cython.NULL
        )
        if unfinished:
            kept = self.keep_message(KEPT_BYTES)
            self.set_due()
        if connection.watched:
            return 0  # its deadline is that of a write
        if unfinished and (self.in_flight or self.held_back or self.backlog.end or not kept):
            self.reactor.wheel.arm(connection, connection.fragment.due_ms if connection.fragment != cython.NULL else 0)
        elif self.in_flight:
            self.reactor.arm(connection, 0)
        elif self.backlog.end == 0:
            if self.relay is not None:
                self.relay.connection.close()  # it owes nothing any more
            if self.ended:
                if connection.ready & READ:
                    connection.linger(LINGER_MS)  # a close on top of unread requests would take answers back
                else:
                    connection.close_when_flushed()
                return 0
            self.waiting_size = 0
            self.inbox.session_idle(self)
        return 0

    def end(self) -> cython.int:
        """Take no more requests; the connection closes behind the answers that it owes."""
        self.ended = True
        self.connection.end_fragment()
        return 0 if self.reading else self.rest()

    def keep_message(self, most: uint32_t) -> cython.bint:
        """Let the beginning of a message that has not come as a whole wait in its fragment; it is read anew when more has come.
        False: it is more than *most*, or what it lies in is held for other messages as well."""
        connection: Connection = self.connection
        has_head: cython.bint = self.body_left >= 0
        body_at: uint32_t = connection.input.start
        if connection.fragment == cython.NULL:
            connection.fragment = self.reactor.fragments.begin(connection, self.reactor.now_us)
            if connection.fragment == cython.NULL:
                return False
        if has_head:
            connection.fragment.has_head = True
        if not self._lies_alone(has_head):
            self.reactor.fragments.hold(connection.fragment, False)
            return False
        if has_head:
            connection.input.start = self.message_at
        if keep(connection, self.reactor.now_us, most):
            if has_head:
                self.head.clear()
                self.body_left = -1
                self.codec.restore(self.codec.state_word())
            return True
        # the body of a large message goes to the heap when blocks are short, and then its block is its head's
        may_go: cython.bint = not has_head or connection.input.end - connection.input.start <= MOST_KEPT_BYTES
        connection.input.start = body_at
        self.reactor.fragments.hold(connection.fragment, may_go)
        return False

    def _lies_alone(self, has_head: cython.bint) -> cython.bint:
        """Is the message that is being read in one piece in the connection's block, and would the block go back without it?"""
        input: cython.pointer(Buf) = cython.address(self.connection.input)
        if has_head and (self.body.length or self.head.block != input.base):
            return False
        return input.base == cython.NULL or self.reactor.arena.refs(input.base) == (2 if has_head else 1)

    def set_due(self) -> cython.void:
        """When the message that is awaited must have gone on. Time in which we do not read does not count."""
        fragment: cython.pointer(Fragment) = self.connection.fragment
        if fragment == cython.NULL:
            return
        if self.held_back:
            fragment.began_us = fragment.due_ms = 0
            return
        if fragment.began_us == 0:
            fragment.began_us = self.reactor.now_us
        fragment.due_ms = fragment.began_us // 1000 + (self.message_timeout_ms if fragment.has_head else self.head_timeout_ms)

    def make_way(self, connection: Connection, for_block: cython.bint) -> cython.void:
        """The block goes back and the message waits in a fragment, if that is all there is to it; else the connection closes."""
        if not self.reading and not self.moving and not (for_block and self.keep_message(MOST_KEPT_BYTES)):
            self.inbox.make_way(connection, for_block)

    def read(self) -> cython.int:
        Session.read(self)
        return self.rest() if self.connection.fd >= 0 else 0

    def connection_expired(self, connection: Connection) -> cython.int:
        """The client read nothing for the write timeout, or the rest of a message did not come in time."""
        if not connection.watched:
            return self.inbox.connection_expired(connection)
        if self.backlog.end == 0 and connection.output.end == connection.output.start:
            connection.watched = False  # it has left with an answer that did not wait
            return self.rest()
        if connection.is_taking():
            self.reactor.arm(connection, self.look_ms)
            return 0
        self.counters[D_TIMEOUT_WRITE] += 1
        connection.abort()
        return 0

    def connection_closed(self, connection: Connection) -> cython.void:
        Session.connection_closed(self, connection)
        if self.relay is not None:
            self.relay.connection.close()
        self.drop_backlog()
        self.inbox.session_closed(self)
        self.inbox.connection_closed(connection)
        self.let_go(connection, self.inbox)

    # -- answers: nothing here waits -----------------------------------------------------------------------------------------

    def write_answer(
        self, stream_id: uint64_t, head: Head, body: cython.p_const_char, length: uint64_t, word: uint32_t = 0
    ) -> cython.int:
        """Write one whole message, in the form of *word* (Codec.answer_word); what the socket does not take goes to the backlog.
        SENT, GONE, NO_SUCH_MESSAGE or OVERFLOW."""
        connection: Connection = self.connection
        out: cython.pointer(Buf) = cython.NULL
        room: uint64_t = room_of(head)
        whole: cython.bint = room + length <= ONE_BUFFER
        if connection.fd < 0 or connection.broken:
            return GONE
        if self.backlog.end == 0 and not self.moving and connection.reserve(
            cython.cast(uint32_t, room + length if whole else room)
        ):
            out = cython.address(connection.output)
        elif not self.may_wait(room + length):
            self.counters[D_LIMIT_UNREAD] += 1
            return OVERFLOW
        else:
            whole = True
            out = self.backlog_room(room + length)
        if out == cython.NULL:
            return GONE
        self.codec.stream_id = stream_id
        self.codec.timeout_ms = 0
        self.codec.one_way = False
        self.codec.write_as(word)
        if self.codec.write_head(head, length == 0, out) != WRITTEN:
            return NO_SUCH_MESSAGE
        if length:
            out = self._write_body(body, length, whole, out)
            if out == cython.NULL:
                return GONE
        self.codec.write_end(None, out)
        connection.written()
        if self.backlog.end:
            connection.watch()
        return SENT

    def _write_body(
        self, body: cython.p_const_char, length: uint64_t, whole: cython.bint, out: cython.pointer(Buf)
    ) -> cython.pointer(Buf):
        """The body behind its head in *out*, or (not *whole*) from where it lies, its rest into the backlog; where the end goes.

        NULL: the connection is closed.
        """
        count: cython.Py_ssize_t
        if self.codec.checksums:
            self.codec.checksum(body, length)
        self.codec.begin_data(length, out)
        if not whole:
            count = self.connection.send_through(body, length)
            if count < 0:
                return cython.NULL
            body += count
            length -= count
            self.may_wait(length)
            out = self.backlog_room(length + FRAME_ROOM) if length else self.room_for(FRAME_ROOM)
            if out == cython.NULL:
                return cython.NULL
        memcpy(out.base + out.end, body, length)
        out.end += cython.cast(uint32_t, length)
        self.codec.end_data(out)
        return out

    def write_error(self, stream_id: uint64_t, reason: cython.int) -> cython.int:
        """Write the protocol's error for int(Reason), if it has one: SENT or GONE."""
        out: cython.pointer(Buf) = self.room_for(ERROR_ROOM) if self.connection.fd >= 0 else cython.NULL
        if out == cython.NULL:
            return GONE
        self.codec.stream_id = stream_id
        self.codec.write_error(reason, out)
        self.connection.written()
        return SENT

    def room_for(self, room: uint32_t) -> cython.pointer(Buf):
        """Session.room_for(), else in the backlog."""
        if self.backlog.end == 0 and not self.moving and self.connection.reserve(room):
            return cython.address(self.connection.output)
        return self.backlog_room(room)

    def may_wait(self, size: uint64_t) -> cython.bint:
        """Is there place for *size* bytes more in the backlog? Learns from each."""
        waiting: uint64_t = self.backlog.end - self.backlog.start
        self.waiting_size = cython.cast(uint32_t, (7 * cython.cast(uint64_t, self.waiting_size) + size) // 8 + 1)
        return waiting == 0 or waiting + size <= OWN_BACKLOG or self.reactor.backlogs + size <= ALL_BACKLOGS

    def backlog_room(self, room: uint64_t) -> cython.pointer(Buf):
        """The backlog with *room* bytes behind its end; NULL: no memory, and the connection is closed."""
        backlog: cython.pointer(Buf) = cython.address(self.backlog)
        waiting: uint64_t = backlog.end - backlog.start
        needed: uint64_t = waiting + room
        grown: cython.p_char
        if backlog.cap - backlog.end >= room:
            return backlog
        if backlog.start:
            memmove(backlog.base, backlog.base + backlog.start, waiting)
            backlog.start = 0
            backlog.end = cython.cast(uint32_t, waiting)
        if backlog.cap < needed:
            needed += needed // 4 + LEAST_BACKLOG
            grown = cython.cast(cython.p_char, realloc(backlog.base, needed)) if needed <= 0xFFFFFFFF else cython.NULL
            if grown == cython.NULL:
                self.connection.abort()
                return cython.NULL
            self.reactor.backlogs += needed - backlog.cap
            backlog.base = grown
            backlog.cap = cython.cast(uint32_t, needed)
        return backlog

    def on_writable(self) -> cython.int:
        return self.drain() if self.backlog.end else 0

    def drain(self) -> cython.int:
        """Send what waits, as far as the socket takes it."""
        connection: Connection = self.connection
        backlog: cython.pointer(Buf) = cython.address(self.backlog)
        share: uint64_t = SHARE_BYTES
        count: cython.Py_ssize_t
        while backlog.start < backlog.end and connection.ready & WRITE:
            if share == 0:
                return self.reactor.serve_again(connection)
            count = connection.send_through(backlog.base + backlog.start, min(share, backlog.end - backlog.start))
            if count < 0:
                return 0  # closed
            backlog.start += cython.cast(uint32_t, count)
            share -= count
        if backlog.start == backlog.end:
            self.drop_backlog()
            connection.watched = False
            self.reactor.arm(connection, 0)
            if self.relay is not None:
                self.reactor.serve_again(self.relay.connection)
        return 0

    def drop_backlog(self) -> cython.void:
        self.reactor.backlogs -= self.backlog.cap
        free(self.backlog.base)
        self.backlog.base = cython.NULL
        self.backlog.cap = self.backlog.start = self.backlog.end = 0

    def connection_flushed(self, connection: Connection) -> cython.void:
        """What was pending has left, behind it comes the backlog."""
        if self.backlog.end == 0:
            connection.watched = False
            self.reactor.arm(connection, 0)
        self.reactor.serve_again(connection)
