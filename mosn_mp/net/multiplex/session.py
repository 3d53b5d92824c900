"""A connection that carries messages of many streams at a time: one reader, many writers, whole messages.

                 ServerSession (server_session.py)          ClientSession (client_session.py)
    whose        a client's connection                      a host's connection, shared by all streams
    a message    is a request: the inbox makes a stream     is a response: the Call of its id gets it and is woken
    no room      the frame waits as bytes in the backlog    the stream waits its turn
    the end      every stream of it is told                 every Call on it is lost
    heartbeat    is answered here                           is sent when nothing was read for a while

Reading happens in the hub, without a greenlet: a message is held in the block it came in, by reference, and a connection at rest
holds no block.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.mosn_mp.buffer.arena import LARGEST_BLOCK
from cython.cimports.mosn_mp.buffer.body import Body
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import Head
from cython.cimports.mosn_mp.codec.codec import DATA, END, ERROR, GOAWAY, HEAD, HEARTBEAT, HEARTBEAT_REPLY, Codec
from cython.cimports.mosn_mp.codec.codec import RESET as STREAM_RESET
from cython.cimports.mosn_mp.net.connection.connection import (
    BLOCK_LARGE,
    BLOCK_SMALL,
    EOF,
    RESET,
    S_SHARED,
    STARVED,
    Connection,
    Keeper,
)
from cython.cimports.mosn_mp.net.reactor.reactor import FIN, HANGUP

# A body up to this size waits to be read in one piece: no copy.
WHOLE = cython.declare(int64_t, 32768)
# Reads of one connection in a wake-up; then others have their turn.
SHARE_READS = cython.declare(cython.int, 16)


def room_of(head: Head) -> uint32_t:
    """Room for *head* in an output buffer. A head that may need more than the largest block fits all the same, or is refused."""
    room: uint32_t = head.wire_bound() + FRAME_ROOM
    return room if room < LARGEST_BLOCK else LARGEST_BLOCK


class Session(Keeper):
    """Either side of a shared connection."""

    def __cinit__(self, *args) -> None:
        self.body_left = -1

    def attach(self, connection: Connection, codec: Codec) -> cython.void:
        """Serve *connection* from now on; who kept it before keeps its accounts."""
        self.connection = connection
        self.reactor = connection.reactor
        self.read_cell = connection.keeper.read_cell
        self.write_cell = connection.keeper.write_cell
        self.starved_cell = connection.keeper.starved_cell
        self.look_ms = connection.keeper.look_ms
        self.look_bytes = connection.keeper.look_bytes
        self.codec = codec
        if self.head is None:
            self.head = Head(self.reactor.arena)
            self.body = Body(self.reactor.arena)
        codec.head = self.head
        connection.keeper = self
        connection.state = S_SHARED

    # -- reading, in the hub -------------------------------------------------------------------------------------------------

    def connection_ready(self, connection: Connection) -> cython.int:
        self.on_writable()
        if connection.fd >= 0 and not self.reading:
            if connection.ready & (HANGUP | FIN) and not self.may_read():
                return self.on_end(True)
            self.read()
        return 0

    def read(self) -> cython.int:
        """Take every message that is there."""
        count: cython.int
        reads: cython.int = 0
        connection: Connection = self.connection
        input: cython.pointer(Buf) = cython.address(connection.input)
        self.reading = True
        while connection.fd >= 0:
            if input.end > input.start or self.body_left == 0:
                if self.body_left <= 0 or self._has_enough():
                    if self.take_event():
                        continue
                    if connection.fd < 0:
                        break
            if not self.may_read():
                break
            if reads == SHARE_READS:
                self.reactor.serve_again(connection)
                break
            reads += 1
            self.rank = self.begin_rank if self.body_left < 0 and input.end == input.start else self.begin_rank - 1
            count = connection.fill(BLOCK_LARGE if self.body_left > WHOLE else BLOCK_SMALL)
            if count > 0:
                self.read_at_ms = self.reactor.now_ms
                continue
            if count == STARVED and self.body_left > 0 and input.end > input.start:
                # no block for the body in one piece: what is there goes to the heap, and its block to those that wait
                if self.take_event():
                    continue
            elif count == EOF or count == RESET:
                self.on_end(count == RESET)
            elif connection.input.end == connection.input.start:
                connection.drop_empty()
            break
        self.reading = False
        return 0

    def _has_enough(self) -> cython.bint:
        """Is the next piece of body worth taking: all of it, or one of a large one?"""
        return (
            self.body_left > WHOLE
            or self.body.length > 0
            or cython.cast(int64_t, self.connection.input.end - self.connection.input.start) >= self.body_left
        )

    def take_event(self) -> cython.int:
        """Act on the next event; 0: the codec needs more bytes, or the connection is lost."""
        out: cython.pointer(Buf)
        connection: Connection = self.connection
        begins_at: uint32_t = connection.input.start
        event: cython.int = self.codec.next_event(cython.address(connection.input))
        if event == HEAD:
            self.message_at = begins_at
            self.head.own(connection.input.base)
            self.message_id = self.codec.stream_id
            self.body_left = self.head.content_length if self.head.content_length > 0 else 0
        elif event == DATA:
            self._take_data(connection.input.base + self.codec.data_at)
        elif event == END:
            self.body_left = -1
            connection.end_fragment()
            self.on_message()
            self.body.clear()
        elif event == HEARTBEAT:
            out = self.room_for(FRAME_ROOM)
            if out != cython.NULL:
                self.codec.write_heartbeat_reply(out)
                connection.written()
        elif event == HEARTBEAT_REPLY:
            self.on_heartbeat_reply()
        elif event == GOAWAY:
            self.on_goaway()
        elif event == STREAM_RESET:
            self.on_reset(self.codec.stream_id)
        elif event == ERROR:
            self.on_broken_rules()
            return 0
        else:
            return 0
        if event > END:
            connection.end_fragment()
        return connection.fd >= 0

    def _take_data(self, piece: cython.p_char) -> cython.int:
        """A piece of the message's body: borrowed where it is the whole."""
        if self.body.length == 0 and self.codec.data_len == self.body_left:
            self.body.borrow(piece, self.codec.data_len)
        else:
            self.body.append(piece, self.codec.data_len)
        self.body_left -= self.codec.data_len
        return 0

    def may_read(self) -> cython.bint:
        """Do the limits allow one more message?"""
        return True

    def on_message(self) -> cython.int:
        """head and body hold a whole message of stream message_id."""
        return 0

    def on_heartbeat_reply(self) -> cython.int:
        return 0

    def on_goaway(self) -> cython.int:
        return 0

    def on_reset(self, stream_id: uint64_t) -> cython.int:
        return 0

    def on_broken_rules(self) -> cython.int:
        """The far side broke the wire rules: nothing on the connection can be trusted any more."""
        self.connection.close_when_flushed()
        return 0

    def on_end(self, is_reset: cython.bint) -> cython.int:
        """The far side closed."""
        self.connection.close()
        return 0

    # -- writing -------------------------------------------------------------------------------------------------------------

    def room_for(self, room: uint32_t) -> cython.pointer(Buf):
        """Where a whole frame of at most *room* bytes may be written now, connection.written() behind it; NULL: nowhere."""
        if self.connection.reserve(room):
            return cython.address(self.connection.output)
        return cython.NULL

    def on_writable(self) -> cython.int:
        """The socket may take more than before. Only from the hub: it may switch."""
        return 0

    def let_go(self, connection: Connection, keeper: Keeper) -> cython.void:
        """*connection* has closed. It would keep this session, and this session it, for ever: no garbage collector sees through a
        connection. *keeper* has no more to do than to be there."""
        connection.keeper = keeper

    def connection_closed(self, connection: Connection) -> cython.void:
        self.head.clear()
        self.body.clear()
        self.body_left = -1
