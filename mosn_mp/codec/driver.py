"""A codec with buffers of its own, for plain Python: tests, fuzzers, and the small HTTP servers of the controller.

    driver = CodecDriver(Http1Codec(0, Http1Limits()))
    driver.feed(b"GET / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n")
    driver.next_event()     -> (HEAD, Head)      also (DATA, bytes), (TRAILERS, Head), (ERROR, (Reason, bytes)), (END, None)
    driver.write_message(200, [("Content-Type", "text/plain")], b"hello")
    driver.take_output()    -> bytes
    driver.begin_message()

Buffers are malloc'ed, grow as needed up to 64 MiB and hold what was fed but not pulled: whoever feeds bounds that by pulling.

One piece: a method for each of Codec's, so that Python can do whatever the proxy does.
"""

from collections.abc import Iterable
from typing import NamedTuple

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc, realloc
from cython.cimports.libc.string import memcpy, memmove
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import F_CHUNKED, F_LENGTH, Head
from cython.cimports.mosn_mp.codec.codec import (
    DATA,
    END,
    ERROR,
    GOAWAY,
    HEAD,
    HEARTBEAT,
    HEARTBEAT_REPLY,
    NEED_MORE,
    NO_ROOM,
    RESET,
    TRAILERS,
    WRITTEN,
    Codec,
)

from mosn_mp.errors import Reason

FIRST_ROOM = cython.declare(uint32_t, 4096)
MAX_ROOM = cython.declare(uint64_t, 64 << 20)


class HeadFacts(NamedTuple):
    """What a head means beyond its texts."""

    version: int  # 10, 11, 20; 0 = not HTTP
    framing: int  # F_NONE 0, F_LENGTH 1, F_CHUNKED 2, F_UNTIL_CLOSE 3
    content_length: int  # -1 = none
    keep_alive: bool
    expect_continue: bool
    upgrade: bool
    flags: tuple[int, ...]  # of all fields, removed ones too


def facts(head: Head) -> HeadFacts:
    """The facts of *head*."""
    i: cython.int
    flags: list[int] = []
    for i in range(head.count):
        flags.append(head.fields[i].flags)
    return HeadFacts(
        head.version, head.framing, head.content_length, head.keep_alive, head.expect_continue, head.upgrade, tuple(flags)
    )


class CodecDriver:
    """Feeds bytes to a codec, shows its events, collects what it writes."""

    def __cinit__(self, codec: Codec) -> None:
        self.codec = codec
        self.input.base = self.out.base = self.head_bytes = cython.NULL
        self.input.cap = self.input.start = self.input.end = 0
        self.out.cap = self.out.start = self.out.end = 0
        self._head = Head()
        codec.head = self._head

    def __dealloc__(self) -> None:
        free(self.input.base)
        free(self.out.base)
        free(self.head_bytes)

    def _grow(self, buffer: cython.pointer(Buf), room: uint32_t) -> cython.int:
        """At least *room* free bytes behind buffer.end."""
        length: uint32_t = buffer.end - buffer.start
        capacity: uint64_t = buffer.cap if buffer.cap else FIRST_ROOM
        if buffer.cap - buffer.end >= room:
            return 0
        if buffer.start:
            memmove(buffer.base, buffer.base + buffer.start, length)
            buffer.start = 0
            buffer.end = length
        while capacity < cython.cast(uint64_t, length) + room:
            capacity *= 2
        if capacity > MAX_ROOM:
            raise ValueError(f"more than {MAX_ROOM} bytes in a driver's buffer")
        larger: cython.p_char = cython.cast(cython.p_char, realloc(buffer.base, capacity))
        if larger == cython.NULL:
            raise MemoryError
        buffer.base = larger
        buffer.cap = cython.cast(uint32_t, capacity)
        return 0

    # --- reading ----------------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Bytes from the other side."""
        length: cython.Py_ssize_t = PyBytes_GET_SIZE(data)
        if length > 0x3FFFFFF:
            raise ValueError("feed at most 64 MiB at a time")
        self._grow(cython.address(self.input), cython.cast(uint32_t, length))
        if length:
            memcpy(self.input.base + self.input.end, PyBytes_AS_STRING(data), length)
        self.input.end += cython.cast(uint32_t, length)

    def move_input(self, gap: int) -> None:
        """Move the unread bytes to another place in memory, *gap* bytes behind its begin, as a proxy does that changes blocks."""
        length: uint32_t = self.input.end - self.input.start
        before: uint32_t = gap
        base: cython.p_char = cython.cast(cython.p_char, malloc(before + length + 1))
        if base == cython.NULL:
            raise MemoryError
        if length:
            memcpy(base + before, self.input.base + self.input.start, length)
        free(self.input.base)
        self.input.base = base
        self.input.cap = before + length + 1
        self.input.start = before
        self.input.end = before + length

    def next_event(self) -> tuple[int, object]:
        """(Event, what belongs to it): a Head, bytes, (Reason, detail), the stream id, or None."""
        return self._show(self.codec.next_event(cython.address(self.input)))

    def end_of_input(self) -> tuple[int, object]:
        """The other side closed; call it when next_event says NEED_MORE."""
        return self._show(self.codec.end_of_input(cython.address(self.input)))

    def pull(self) -> list[tuple[int, object]]:
        """The events that the bytes fed so far give, up to NEED_MORE, END or ERROR; neighbouring pieces of body are joined."""
        events: list[tuple[int, object]] = []
        pieces: list[bytes] = []
        while True:
            event, shown = self.next_event()
            if event == DATA:
                pieces.append(shown)
                continue
            if pieces:
                events.append((DATA, b"".join(pieces)))
                pieces = []
            if event == NEED_MORE:
                return events
            events.append((event, shown))
            if event == END or event == ERROR:
                return events

    def begin_message(self) -> None:
        """Ready for the next message."""
        self.codec.begin_message()

    def _keep_head(self) -> cython.int:
        """Copy the bytes of the head, so that its texts outlive the input they came in."""
        copy: cython.p_char = cython.cast(cython.p_char, malloc(self.input.start + 1))
        if copy == cython.NULL:
            raise MemoryError
        memcpy(copy, self.input.base, self.input.start)
        free(self.head_bytes)
        self.head_bytes = copy
        self.codec.head.bind(copy)
        return 0

    def _show(self, event: cython.int) -> object:
        codec: Codec = self.codec
        if event == HEAD:
            self._keep_head()
            return event, codec.head
        if event == DATA:
            return event, PyBytes_FromStringAndSize(self.input.base + codec.data_at, codec.data_len)
        if event == TRAILERS:
            return event, codec.trailers
        if event == ERROR:
            return event, (Reason(codec.reason), cython.cast(bytes, codec.detail))
        return event, codec.stream_id if event in (HEARTBEAT, HEARTBEAT_REPLY, GOAWAY, RESET) else None

    @property
    def unread(self) -> bytes:
        """What was fed and not consumed."""
        return PyBytes_FromStringAndSize(self.input.base + self.input.start, self.input.end - self.input.start)

    @property
    def keep_alive(self) -> bool:
        """Codec.keep_alive."""
        return self.codec.keep_alive

    @property
    def body_done(self) -> bool:
        """Codec.body_done."""
        return self.codec.body_done

    @property
    def tunnel(self) -> bool:
        """Codec.tunnel."""
        return self.codec.tunnel

    @property
    def data_refused(self) -> bool:
        """Codec.data_refused."""
        return self.codec.data_refused

    @property
    def splice_length(self) -> int:
        """Codec.splice_length()."""
        return self.codec.splice_length()

    def spliced(self, length: int) -> None:
        """Codec.spliced()."""
        self.codec.spliced(length)

    @property
    def stream_id(self) -> int:
        """Codec.stream_id: of the event at hand, and of the message that is written next."""
        return self.codec.stream_id

    @stream_id.setter
    def stream_id(self, stream_id: int) -> None:
        self.codec.stream_id = stream_id

    @property
    def timeout_ms(self) -> int:
        """Codec.timeout_ms."""
        return self.codec.timeout_ms

    @timeout_ms.setter
    def timeout_ms(self, timeout_ms: int) -> None:
        self.codec.timeout_ms = timeout_ms

    @property
    def one_way(self) -> bool:
        """Codec.one_way."""
        return self.codec.one_way

    @one_way.setter
    def one_way(self, one_way: bool) -> None:
        self.codec.one_way = one_way

    @property
    def state_word(self) -> int:
        """Codec.state_word()."""
        return self.codec.state_word()

    def restore(self, word: int) -> None:
        """Codec.restore()."""
        self.codec.restore(word)

    def pool_word(self, head: Head) -> int:
        """Codec.pool_word()."""
        return self.codec.pool_word(head)

    def use_head(self, head: Head) -> None:
        """Where the next head goes."""
        self.codec.head = head

    # --- writing ----------------------------------------------------------------------------------------------------------

    def close_after(self) -> None:
        """The next head says that the connection ends with this message."""
        self.codec.close_after = True

    def write_head(self, head: Head, end_stream: bool = False) -> None:
        """Codec.write_head with room for it."""
        self._grow(cython.address(self.out), head.wire_bound())
        self._written(self.codec.write_head(head, end_stream, cython.address(self.out)))

    def write_data(self, data: bytes) -> None:
        """A piece of body with its framing."""
        length: uint32_t = cython.cast(uint32_t, PyBytes_GET_SIZE(data))
        self._grow(cython.address(self.out), length + 64)
        self._written(self.codec.begin_data(length, cython.address(self.out)))
        if self.codec.checksums:
            self.codec.checksum(PyBytes_AS_STRING(data), length)
        memcpy(self.out.base + self.out.end, PyBytes_AS_STRING(data), length)
        self.out.end += length
        self._written(self.codec.end_data(cython.address(self.out)))

    def write_end(self, trailers: Head = None) -> None:
        """The end of the message."""
        self._grow(cython.address(self.out), 64 if trailers is None else trailers.wire_bound())
        self._written(self.codec.write_end(trailers, cython.address(self.out)))

    def begin_response(self, status: int, fields: Iterable[tuple[object, object]], length: int = -1) -> None:
        """The head of a response whose body has *length* bytes, or (-1) ends with write_end()."""
        head: Head = Head()
        head.status = status
        for name, value in fields:
            head.add(name, value)
        head.framing = F_CHUNKED if length < 0 else F_LENGTH
        head.content_length = length
        self.write_head(head, False)

    def write_message(self, status: int, fields: Iterable[tuple[object, object]], body: bytes) -> None:
        """A complete response; Content-Length is written by the codec."""
        self.begin_response(status, fields, len(body))
        if body and not self.codec.data_refused:
            self.write_data(body)
        self.write_end()

    def write_error(self, reason: Reason) -> None:
        """The protocol's own reply for *reason*."""
        self._grow(cython.address(self.out), 4096)
        self._written(self.codec.write_error(int(reason), cython.address(self.out)))

    def write_heartbeat(self) -> None:
        """Ask for a sign of life, with stream_id."""
        self._grow(cython.address(self.out), 256)
        self._written(self.codec.write_heartbeat(cython.address(self.out)))

    def write_heartbeat_reply(self) -> None:
        """Answer the HEARTBEAT event just returned."""
        self._grow(cython.address(self.out), 256)
        self._written(self.codec.write_heartbeat_reply(cython.address(self.out)))

    def write_goaway(self) -> None:
        """Ask for no new streams."""
        self._grow(cython.address(self.out), 256)
        self._written(self.codec.write_goaway(cython.address(self.out)))

    def _written(self, state: int) -> None:
        if state == NO_ROOM:
            raise RuntimeError("the codec needs more room than it said")
        if state != WRITTEN:
            raise NotImplementedError(f"{type(self.codec).__name__} has no such message")

    def take_output(self) -> bytes:
        """What was written since the last call."""
        written: bytes = PyBytes_FromStringAndSize(self.out.base + self.out.start, self.out.end - self.out.start)
        self.out.start = self.out.end = 0
        return written

    def room_needed(self, head: Head, end_stream: bool) -> int:
        """The smallest capacity in which write_head of *head* succeeds, by trying; nothing is written."""
        room: uint32_t
        out: Buf
        scratch: cython.p_char = cython.cast(cython.p_char, malloc(head.wire_bound()))
        if scratch == cython.NULL:
            raise MemoryError
        out.base = scratch
        out.start = out.end = 0
        try:
            for room in range(head.wire_bound() + 1):
                out.cap = room
                if self.codec.write_head(head, end_stream, cython.address(out)) == WRITTEN:
                    return room
                if out.end:
                    raise RuntimeError("write_head wrote something and said NO_ROOM")
        finally:
            free(scratch)
        return -1

    def relay(self, writer: CodecDriver, message: bytes, rounds: int) -> int:
        """Read the head in *message* and write it with *writer*, *rounds* times: for measuring; returns the bytes written."""
        i: cython.long
        total: uint64_t = 0
        codec: Codec = self.codec
        other: Codec = writer.codec
        self.input.start = self.input.end = 0
        self.feed(message)
        writer._grow(cython.address(writer.out), 65536)
        for i in range(rounds):
            self.input.start = 0
            codec.begin_message()
            if codec.next_event(cython.address(self.input)) != HEAD:
                raise ValueError("message does not begin with a complete head")
            other.begin_message()
            writer.out.end = 0
            other.write_head(codec.head, codec.body_done, cython.address(writer.out))
            total += writer.out.end
        writer.out.end = 0
        return total

    def relay_frames(self, writer: CodecDriver, frame: bytes, rounds: int) -> int:
        """Read the whole message in *frame* and write it with *writer*, *rounds* times, for measuring: the bytes written."""
        i: cython.long
        event: cython.int
        total: uint64_t = 0
        codec: Codec = self.codec
        other: Codec = writer.codec
        self.input.start = self.input.end = 0
        self.feed(frame)
        writer._grow(cython.address(writer.out), 65536)
        for i in range(rounds):
            self.input.start = 0
            writer.out.end = 0
            if codec.next_event(cython.address(self.input)) != HEAD:
                raise ValueError("frame does not begin with a complete head")
            other.stream_id = i
            other.write_head(codec.head, codec.body_done, cython.address(writer.out))
            event = codec.next_event(cython.address(self.input))
            while event == DATA:
                other.begin_data(codec.data_len, cython.address(writer.out))
                if other.checksums:
                    other.checksum(self.input.base + codec.data_at, codec.data_len)
                memcpy(writer.out.base + writer.out.end, self.input.base + codec.data_at, codec.data_len)
                writer.out.end += codec.data_len
                other.end_data(cython.address(writer.out))
                event = codec.next_event(cython.address(self.input))
            if event != END:
                raise ValueError("frame is not complete")
            other.write_end(None, cython.address(writer.out))
            total += writer.out.end
        writer.out.end = 0
        return total
