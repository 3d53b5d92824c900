"""The codec of bolt v1 and v2 (sofa-bolt, MOSN pkg/protocol/xprotocol): the reading half of bolt/reader and the writing.

What this side writes of its own accord (errors, heartbeats, heads of other protocols) has the form of the connection's first
frame, because that is the form in which SOFABolt itself answers and expects answers; an answer to a heartbeat has the heartbeat's
form. A head that came as a bolt frame is written as it came: form, type, timeout, class, and, where nothing was edited, block.
After write_as() it has another form, and all else is carried over.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import F_LENGTH, F_NONE, Head
from cython.cimports.mosn_mp.codec.bolt.block import P_HOST, P_METHOD, P_PATH, edited_pseudos, write_block
from cython.cimports.mosn_mp.codec.bolt.crc import crc32
from cython.cimports.mosn_mp.codec.bolt.endian import get16, put16, put32
from cython.cimports.mosn_mp.codec.bolt.frame import (
    C_GOAWAY,
    C_HEARTBEAT,
    C_REQUEST,
    C_RESPONSE,
    CRC_BYTES,
    FORM_V1,
    FORM_V2,
    SWITCH_CRC,
    T_ONE_WAY,
    T_REQUEST,
    T_RESPONSE,
    carries_crc,
    fixed_of,
    form_of,
    put_fixed,
)
from cython.cimports.mosn_mp.codec.bolt.reader import BoltReader
from cython.cimports.mosn_mp.codec.bolt.status import bolt_status, http_status
from cython.cimports.mosn_mp.codec.codec import CLIENT, CONVERTS, FAMILY_BOLT, NO_ROOM, SERVER, UNSUPPORTED, WRITTEN

from mosn_mp.errors import REASONS

FORM = cython.declare(uint32_t, 0xFFFF)
WITH_CRC = cython.declare(uint32_t, 0x10000)
LONGEST_BLOCK = cython.declare(cython.Py_ssize_t, 32767)
LONGEST_CONTENT = cython.declare(uint64_t, 0x7FFFFFFF)

# The bolt status of a local reply for each Reason.
REPLIES = cython.declare(cython.int[64])


def _fill_replies() -> None:
    reason: cython.int
    for reason in range(64):
        REPLIES[reason] = bolt_status(500)
    for known, row in REASONS.items():
        REPLIES[cython.cast(cython.int, int(known))] = bolt_status(row.status)


_fill_replies()


class BoltCodec(BoltReader):
    """One side of a connection: `BoltCodec(role, limits, version)`; *version* 1 or 2 is the usual one of frames of our own."""

    def restore(self, word: uint32_t) -> cython.void:
        BoltReader.restore(self, word)
        self.out_left = 0
        self.out_crc = 0
        self.wanted = 0

    def pool_word(self, head: Head) -> uint32_t:
        """SOFABolt answers in the form of a connection's first frame: each form has connections of its own."""
        return form_of(head.at(head.raw.at)) if head.raw_protocol == FAMILY_BOLT else self.usual

    def answer_word(self, request: Head) -> uint32_t:
        """The request's own form, and whether it had a checksum."""
        if request.raw_protocol != FAMILY_BOLT:
            return 0
        raw: cython.p_const_char = request.at(request.raw.at)
        return form_of(raw) | (WITH_CRC if carries_crc(raw) else 0)

    def write_as(self, word: uint32_t) -> cython.void:
        """Towards a host every frame of the other version is converted; one of its own version keeps its form."""
        self.wanted = word & (FORM | WITH_CRC)
        if word & CONVERTS and (word & FORM) >> 8 != self.usual >> 8:
            self.wanted = self.usual

    def _own_form(self) -> uint32_t:
        return self.form if self.form else self.usual

    def _put_converted(self, at: cython.p_char, raw: cython.p_const_char) -> uint32_t:
        """Write the fixed part of the frame *raw* in the wanted form; returns its length."""
        kind: cython.p_const_char = raw + (1 if raw[0] == 1 else 2)
        kind_out: cython.p_char = at + (1 if self.wanted & FORM == FORM_V1 else 2)
        fixed: uint32_t = put_fixed(at, self.wanted & FORM, kind[0], get16(kind + 1))
        rest: uint32_t = 10 if kind[0] == T_RESPONSE else 12  # status or timeout, and the lengths
        kind_out[3] = kind[3]
        kind_out[8] = kind[8]
        memcpy(at + fixed - rest, raw + fixed_of(raw) - rest, rest)
        if self.wanted & WITH_CRC:
            at[11] = SWITCH_CRC
        return fixed

    def _refuse(self, detail: cython.p_const_char) -> cython.int:
        """This message cannot be a frame; the connection is none the worse for it."""
        self.detail = detail
        self.out_left = 0
        self.checksums = False
        return UNSUPPORTED

    def write_head(self, head: Head, end_stream: cython.bint, out: cython.pointer(Buf)) -> cython.int:
        """A request (CLIENT) or response (SERVER) with stream_id, up to its content; UNSUPPORTED says in detail why."""
        length: uint64_t = 0
        if not end_stream:
            if head.framing == F_LENGTH:
                length = cython.cast(uint64_t, head.content_length)
            elif head.framing != F_NONE:
                return self._refuse(b"the length of the content is not known")
            if length > LONGEST_CONTENT:
                return self._refuse(b"content is longer than 2^31 - 1 bytes")
        if head.raw_protocol == FAMILY_BOLT and (head.status == 0) == (self.role == CLIENT):
            return self._write_again(head, length, out)
        return self._write_new(head, length, out)

    def _write_again(self, head: Head, length: uint64_t, out: cython.pointer(Buf)) -> cython.int:
        """A head that came as a frame: its own bytes, if edited with another header block."""
        raw: cython.p_const_char = head.at(head.raw.at)
        at: cython.p_char = out.base + out.end
        end: cython.p_char = out.base + out.cap
        fixed: uint32_t = fixed_of(raw)
        size: uint32_t = head.raw.len
        rest: uint32_t
        status: cython.int
        behind: cython.p_char
        if head.edited:
            size = fixed + get16(raw + fixed - 8)
        if end - at < cython.cast(cython.Py_ssize_t, size) + 2 + CRC_BYTES:
            return NO_ROOM
        if self.wanted and self.wanted & FORM != form_of(raw):
            rest = size - fixed
            fixed = self._put_converted(at, raw)
            memcpy(at + fixed, raw + size - rest, rest)
            size = fixed + rest
        else:
            memcpy(at, raw, size)
        if head.edited:
            behind = write_block(head, edited_pseudos(head) if head.status == 0 else 0, False, at + size, end)
            if behind == cython.NULL:
                return NO_ROOM
            if behind - at - size > LONGEST_BLOCK:
                return self._refuse(b"header block is longer than 32767 bytes")
            put16(at + fixed - 6, behind - at - size)
            size = behind - at
        if head.status:
            status = get16(at + fixed - 10)
            if head.status != http_status(status):
                put16(at + fixed - 10, bolt_status(head.status))
        put32(at + fixed - 4, length)
        return self._finish(at, size, length, out)

    def _write_new(self, head: Head, length: uint64_t, out: cython.pointer(Buf)) -> cython.int:
        """A head of another protocol or of our own, in the connection's form, without a class name."""
        at: cython.p_char = out.base + out.end
        end: cython.p_char = out.base + out.cap
        fixed: uint32_t
        pseudos: cython.int = 0
        behind: cython.p_char
        form: uint32_t = self.wanted & FORM if self.wanted else self._own_form()
        if end - at < 24 + CRC_BYTES:
            return NO_ROOM
        if self.role == CLIENT:
            fixed = put_fixed(at, form, T_ONE_WAY if self.one_way else T_REQUEST, C_REQUEST)
            put32(at + fixed - 12, self.timeout_ms if self.timeout_ms > 0 else -1)
            pseudos = P_METHOD | P_PATH | (P_HOST if head.authority.len else 0)
        else:
            fixed = put_fixed(at, form, T_RESPONSE, C_RESPONSE)
            put16(at + fixed - 10, bolt_status(head.status))
        behind = write_block(head, pseudos, True, at + fixed, end)
        if behind == cython.NULL:
            return NO_ROOM
        if behind - at - fixed > LONGEST_BLOCK:
            return self._refuse(b"header block is longer than 32767 bytes")
        put16(at + fixed - 6, behind - at - fixed)
        put32(at + fixed - 4, length)
        return self._finish(at, behind - at, length, out)

    def _finish(self, at: cython.p_char, size: uint32_t, length: uint64_t, out: cython.pointer(Buf)) -> cython.int:
        """Put the id in; a frame with a checksum and no content is complete with it."""
        put32(at + (5 if at[0] == 1 else 6), cython.cast(uint32_t, self.stream_id))
        self.checksums = carries_crc(at)
        if self.checksums:
            self.out_crc = crc32(0, at, size)
            if length == 0:
                if out.cap - out.end - size < CRC_BYTES:
                    return NO_ROOM
                put32(at + size, self.out_crc)
                size += CRC_BYTES
                self.checksums = False
        if self.role == CLIENT and self.form == 0:
            self.form = form_of(at)
        out.end += size
        self.out_left = length
        return WRITTEN

    def begin_data(self, length: uint64_t, out: cython.pointer(Buf)) -> cython.int:
        """Nothing stands before content; ValueError if the head left no room for these bytes."""
        if length > self.out_left:
            raise ValueError(f"content is longer than announced by {length - self.out_left} bytes")
        self.out_left -= length
        return WRITTEN

    def checksum(self, payload: cython.p_const_char, length: cython.size_t) -> cython.void:
        self.out_crc = crc32(self.out_crc, payload, length)

    def write_end(self, trailers: Head, out: cython.pointer(Buf)) -> cython.int:
        """The checksum, if there is one; bolt has no trailers. ValueError if content is missing: the frame is broken."""
        if self.out_left:
            raise ValueError(f"content is shorter than announced by {self.out_left} bytes")
        if self.checksums:
            if out.cap - out.end < CRC_BYTES:
                return NO_ROOM
            put32(out.base + out.end, self.out_crc)
            out.end += CRC_BYTES
            self.checksums = False
        return WRITTEN

    def _write_signal(
        self, form: uint32_t, type: cython.int, command: cython.int, status: cython.int, out: cython.pointer(Buf)
    ) -> cython.int:
        """A frame that is nothing but its fixed part; requests have no timeout."""
        at: cython.p_char = out.base + out.end
        fixed: uint32_t
        if out.cap - out.end < 24:
            return NO_ROOM
        fixed = put_fixed(at, form, type, command)
        put32(at + (5 if form == FORM_V1 else 6), cython.cast(uint32_t, self.stream_id))
        if type == T_RESPONSE:
            put16(at + fixed - 10, status)
        else:
            put32(at + fixed - 12, 0xFFFFFFFF)
        out.end += fixed
        return WRITTEN

    def write_error(self, reason: cython.int, out: cython.pointer(Buf)) -> cython.int:
        """MOSN's Hijack: a response without content, with a status that a Java client takes."""
        if self.role != SERVER:
            return UNSUPPORTED
        return self._write_signal(self._own_form(), T_RESPONSE, C_RESPONSE, REPLIES[reason & 63], out)

    def write_heartbeat(self, out: cython.pointer(Buf)) -> cython.int:
        return self._write_signal(self._own_form(), T_REQUEST, C_HEARTBEAT, 0, out)

    def write_heartbeat_reply(self, out: cython.pointer(Buf)) -> cython.int:
        """In the heartbeat's own form, whatever the connection's."""
        return self._write_signal(self.beat_form if self.beat_form else self._own_form(), T_RESPONSE, C_HEARTBEAT, 0, out)

    def write_goaway(self, out: cython.pointer(Buf)) -> cython.int:
        """Only where configured: a SOFABolt peer closes its connection on it."""
        if not self.limits.goaway:
            return UNSUPPORTED
        return self._write_signal(self._own_form(), T_REQUEST, C_GOAWAY, 0, out)


def pool_form(head: Head, version: int) -> int:
    """The form of the frame that *head* came as, or the usual one of *version*; see BoltCodec.pool_word."""
    if head.raw_protocol == FAMILY_BOLT:
        return form_of(head.at(head.raw.at))
    return FORM_V1 if version == 1 else FORM_V2
