"""The codec of a PythonProtocol: what reader.py reads, and messages written as they came or as its encode() makes them."""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import F_LENGTH, HOP, K_CONTENT_LENGTH, REMOVED, Head
from cython.cimports.mosn_mp.codec.codec import NO_ROOM, UNSUPPORTED, WRITTEN
from cython.cimports.mosn_mp.codec.python.reader import LENGTH_BYTES, PythonReader
from cython.cimports.mosn_mp.codec.python_protocol import (
    GOAWAY,
    HEARTBEAT,
    HEARTBEAT_REPLY,
    ONE_WAY,
    REQUEST,
    RESPONSE,
    Frame,
)

from mosn_mp.codec.python.limits import line_of
from mosn_mp.errors import REASONS, Reason

INTERNAL = cython.declare(cython.int, int(Reason.INTERNAL))


class PythonCodec(PythonReader):
    """One side of a connection of a PythonProtocol: `PythonCodec(role, limits)`."""

    def write_head(self, head: Head, end_stream: cython.bint, out: cython.pointer(Buf)) -> cython.int:
        """Append the head as it came with another id, or what encode() makes of it."""
        written: cython.int = self._write_message(head, end_stream, out)
        self.refused = written == UNSUPPORTED
        return written

    def _write_message(self, head: Head, end_stream: cython.bint, out: cython.pointer(Buf)) -> cython.int:
        frame: Frame
        length: uint64_t = 0
        if not end_stream:
            if head.framing != F_LENGTH or head.content_length < 0:
                return self._refuse("the length of the body is not known")
            length = cython.cast(uint64_t, head.content_length)
        self.out_left = length
        if self._is_untouched(head, length):
            return self._copy_head(head, out)
        frame = Frame(RESPONSE if head.status else ONE_WAY if self.one_way else REQUEST, self.stream_id, 0, length)
        frame.status = head.status if head.status else 200
        frame.timeout_ms = self.timeout_ms
        frame.headers = _fields(head, self.limits.family)
        if head.raw_protocol == self.limits.family:
            frame.raw = head.slice_bytes(head.raw)
        return self._write_frame(frame, head.wire_bound(), out)

    def _is_untouched(self, head: Head, length: uint64_t) -> cython.bint:
        """True if the head may go out as it came but for the id."""
        kept: uint64_t = 0
        if head.raw_protocol != self.limits.family or head.edited:
            return False
        memcpy(cython.address(kept), head.overlay, LENGTH_BYTES)
        if kept != length:
            return False
        if self.limits.id_bytes == 0:
            return True
        return self.limits.id_at >= 0 and cython.cast(uint32_t, self.limits.id_at + self.limits.id_bytes) <= head.raw.len

    def _copy_head(self, head: Head, out: cython.pointer(Buf)) -> cython.int:
        at: cython.p_char = out.base + out.end
        id: uint64_t = self.stream_id
        i: cython.int
        if out.cap - out.end < head.raw.len:
            return NO_ROOM
        memcpy(at, head.at(head.raw.at), head.raw.len)
        at += self.limits.id_at
        for i in range(self.limits.id_bytes):
            at[self.limits.id_bytes - 1 - i] = cython.cast(cython.char, id & 0xFF)
            id >>= 8
        out.end += head.raw.len
        return WRITTEN

    def _write_frame(self, frame: Frame, bound: uint32_t, out: cython.pointer(Buf)) -> cython.int:
        """Append what encode() makes of *frame*; a head above *bound* bytes would never find room."""
        encoded: bytes
        size: cython.Py_ssize_t
        try:
            encoded = self.limits.protocol.encode(frame)
        except BaseException as e:  # noqa: BLE001 - the user's code may raise anything, and only this stream shall suffer
            self.limits.tell(f"encode: {line_of(e)}")
            return self._refuse(f"encode: {line_of(e)}")
        if encoded is None:
            return self._refuse(f"encode: there is no {frame!r}")
        size = PyBytes_GET_SIZE(encoded)
        if cython.cast(cython.Py_ssize_t, out.cap - out.end) < size:
            if out.cap - out.end >= bound:
                self.limits.tell(f"encode: a head of {size} bytes where {bound} are allowed")
                return self._refuse(f"encode: a head of {size} bytes where {bound} are allowed")
            return NO_ROOM
        memcpy(out.base + out.end, PyBytes_AS_STRING(encoded), size)
        out.end += cython.cast(uint32_t, size)
        return WRITTEN

    def _refuse(self, problem: str) -> cython.int:
        """The message cannot be written; the connection lives."""
        self.problem = problem.encode("utf-8", "replace")
        self.reason = INTERNAL
        self.detail = PyBytes_AS_STRING(self.problem)
        return UNSUPPORTED

    def begin_data(self, length: uint64_t, out: cython.pointer(Buf)) -> cython.int:
        """Nothing stands before a piece of body; ValueError if the head left no room for it."""
        if self.refused:
            return UNSUPPORTED
        if length > self.out_left:
            raise ValueError(f"body is longer than its head says by {length - self.out_left} bytes")
        self.out_left -= length
        return WRITTEN

    def write_end(self, trailers: Head, out: cython.pointer(Buf)) -> cython.int:
        """Nothing stands behind a body; ValueError if bytes of it are missing: the next frame would be read as them."""
        if self.refused:
            return UNSUPPORTED
        if self.out_left:
            raise ValueError(f"body is shorter than its head says by {self.out_left} bytes")
        return WRITTEN

    def write_error(self, reason: cython.int, out: cython.pointer(Buf)) -> cython.int:
        """Append encode() of a response without a body that has the status of *reason*."""
        frame: Frame = Frame(RESPONSE, self.stream_id)
        frame.status = REASONS[Reason(reason)].status
        return self._write_frame(frame, self.limits.max_head, out)

    def _write_control(self, kind: cython.int, out: cython.pointer(Buf)) -> cython.int:
        return self._write_frame(Frame(kind, self.stream_id), self.limits.max_head, out)

    def write_heartbeat(self, out: cython.pointer(Buf)) -> cython.int:
        """Append encode() of a HEARTBEAT."""
        return self._write_control(HEARTBEAT, out)

    def write_heartbeat_reply(self, out: cython.pointer(Buf)) -> cython.int:
        """Append encode() of a HEARTBEAT_REPLY."""
        return self._write_control(HEARTBEAT_REPLY, out)

    def write_goaway(self, out: cython.pointer(Buf)) -> cython.int:
        """Append encode() of a GOAWAY."""
        return self._write_control(GOAWAY, out)


@cython.cfunc
def _fields(head: Head, family: cython.int) -> list:
    """The fields of *head* that another hop may see; those of another protocol's request with its pseudo-headers."""
    fields: list[tuple[bytes, bytes]] = []
    i: cython.int
    for i in range(head.count):
        if not head.fields[i].flags & (REMOVED | HOP) and head.fields[i].known != K_CONTENT_LENGTH:
            fields.append((head.name_bytes(i), head.value_bytes(i)))
    if head.raw_protocol != family and head.status == 0:
        names: tuple[bytes, ...] = (b"x-mosn-method", b"x-mosn-path", b"x-mosn-host")
        texts: tuple[bytes, ...] = (head.slice_bytes(head.method), head.slice_bytes(head.path), head.slice_bytes(head.authority))
        fields += [(name, text) for name, text in zip(names, texts, strict=True) if text]
    return fields
