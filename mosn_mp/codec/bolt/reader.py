"""The reading half of the bolt codec: frames of v1 and v2 in any order, byte 0 of each says which it is.

    state     what is read                                        event            then
    FRAME     heartbeat request, its answer, goaway, whole        HEARTBEAT ...    FRAME
              request or response up to the header block          HEAD             CONTENT; FINISH if there is none
    CONTENT   what there is of the content                        DATA             CONTENT; FINISH behind the last piece
    FINISH    nothing                                             END              FRAME
    FAILED    nothing, ever again                                 ERROR            FAILED

A frame with a checksum is verified before the end of its content is given out, so a broken frame is never passed on as a whole,
and nothing of the content of one that is no longer than HELD_BACK.
Lengths are checked when the fixed part is there, before anything behind it is waited for.
"""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import F_LENGTH, Head
from cython.cimports.mosn_mp.codec.bolt.block import Keys, read_block, settle_request
from cython.cimports.mosn_mp.codec.bolt.crc import crc32
from cython.cimports.mosn_mp.codec.bolt.endian import get32
from cython.cimports.mosn_mp.codec.bolt.frame import (
    C_GOAWAY,
    C_HEARTBEAT,
    C_REQUEST,
    C_RESPONSE,
    CRC_BYTES,
    FORM_V1,
    FORM_V2,
    T_ONE_WAY,
    T_RESPONSE,
    Frame,
    read_fixed,
)
from cython.cimports.mosn_mp.codec.bolt.limits import BoltLimits
from cython.cimports.mosn_mp.codec.bolt.status import http_status
from cython.cimports.mosn_mp.codec.codec import (
    CLIENT,
    DATA,
    END,
    ERROR,
    FAMILY_BOLT,
    GOAWAY,
    HEAD,
    HEARTBEAT,
    HEARTBEAT_REPLY,
    NEED_MORE,
    SERVER,
    Codec,
)

from mosn_mp.errors import Reason

BAD_REQUEST = cython.declare(cython.int, int(Reason.BAD_REQUEST))
HEAD_TOO_LARGE = cython.declare(cython.int, int(Reason.HEAD_TOO_LARGE))
BODY_TOO_LARGE = cython.declare(cython.int, int(Reason.BODY_TOO_LARGE))
UPSTREAM_PROTOCOL = cython.declare(cython.int, int(Reason.UPSTREAM_PROTOCOL))
LONGEST_CONTENT = cython.declare(uint32_t, 0x7FFFFFFF)
# The end of content with a checksum, up to this size, is not given out before it is verified: it fits into the smallest buffer.
HELD_BACK = cython.declare(uint32_t, 2048)


class BoltReader(Codec):
    """What BoltCodec reads."""

    def __cinit__(self, role: cython.int, limits: BoltLimits, version: cython.int = 1) -> None:
        if role != SERVER and role != CLIENT:
            raise ValueError(f"role is SERVER (0) or CLIENT (1), not {role}")
        if version != 1 and version != 2:
            raise ValueError(f"bolt has versions 1 and 2, not {version}")
        if limits is None:
            raise ValueError("limits is a BoltLimits, not None")
        self.role = role
        self.limits = limits
        self.usual = FORM_V1 if version == 1 else FORM_V2
        self.restore(0)

    def state_word(self) -> uint32_t:
        """The form of the connection's first frame."""
        return self.form

    def restore(self, word: uint32_t) -> cython.void:
        self.form = word
        self.state = FRAME
        self.reason = 0
        self.detail = b""
        self.left = self.in_crc = self.beat_form = 0
        self.stream_id = 0
        self.in_has_crc = self.checksums = self.one_way = self.body_done = False
        self.timeout_ms = 0
        self.keep_alive = True

    def _break(self, reason: cython.int, detail: cython.p_const_char) -> cython.int:
        """The connection is lost; whatever a server does wrong is one reason."""
        self.state = FAILED
        self.keep_alive = False
        return self.fail(reason if self.role == SERVER else UPSTREAM_PROTOCOL, detail)

    def next_event(self, input: cython.pointer(Buf)) -> cython.int:
        """The next Event; a frame that is there as a whole gives HEAD, DATA and END without a copy."""
        if self.state == FRAME:
            return self._read_frame(input)
        elif self.state == CONTENT:
            return self._read_content(input)
        elif self.state == FINISH:
            self.state = FRAME
            return END
        return ERROR

    def end_of_input(self, input: cython.pointer(Buf)) -> cython.int:
        """Between frames a close is clean."""
        if self.state == FINISH:
            self.state = FRAME
            return END
        elif self.state == FRAME and input.start == input.end:
            return NEED_MORE
        elif self.state == FAILED:
            return ERROR
        return self._break(BAD_REQUEST, b"closed inside a frame")

    def _read_frame(self, input: cython.pointer(Buf)) -> cython.int:
        frame: Frame
        wrong: cython.p_const_char
        if input.start == input.end:
            return NEED_MORE
        wrong = read_fixed(input.base + input.start, input.end - input.start, cython.address(frame))
        if frame.fixed:
            self.stream_id = frame.id
        if wrong != cython.NULL:
            return self._break(BAD_REQUEST, wrong)
        if frame.fixed == 0:
            return NEED_MORE
        if self._check_lengths(cython.address(frame)):
            return ERROR
        if frame.command == C_HEARTBEAT or frame.command == C_GOAWAY:
            return self._read_signal(input, cython.address(frame))
        if frame.command == C_RESPONSE and self.role == SERVER:
            return self._break(BAD_REQUEST, b"response from a client")
        if frame.command == C_REQUEST and self.role == CLIENT:
            return self._break(BAD_REQUEST, b"request from a server")
        return self._read_message(input, cython.address(frame))

    def _check_lengths(self, frame: cython.pointer(Frame)) -> cython.int:
        """0, or ERROR if the frame is larger than the limits."""
        head_len: uint32_t = frame.fixed + frame.class_len + frame.block_len
        limit: uint32_t = self.limits.max_frame
        if frame.content_len > LONGEST_CONTENT:
            return self._break(BODY_TOO_LARGE, b"content is longer than 2^31 - 1 bytes")
        if head_len > self.limits.max_head_bytes:
            return self._break(HEAD_TOO_LARGE, b"class and header block are larger than max_head_bytes")
        if head_len > limit or frame.content_len > limit - head_len:
            return self._break(BODY_TOO_LARGE, b"frame is larger than max_frame")
        return 0

    def _read_signal(self, input: cython.pointer(Buf), frame: cython.pointer(Frame)) -> cython.int:
        """A heartbeat or goaway, which has to be there as a whole; what it carries means nothing (sofa-bolt HeartbeatCommand)."""
        at: cython.p_const_char = input.base + input.start
        size: uint32_t = frame.fixed + frame.class_len + frame.block_len
        if frame.content_len > self.limits.max_head_bytes - size:
            return self._break(BODY_TOO_LARGE, b"heartbeat or goaway with a body")
        size += frame.content_len
        if input.end - input.start < size + (CRC_BYTES if frame.has_crc else 0):
            return NEED_MORE
        if frame.has_crc:
            if crc32(0, at, size) != get32(at + size):
                return self._break(BAD_REQUEST, b"wrong checksum")
            size += CRC_BYTES
        input.start += size
        if self.role == SERVER and self.form == 0:
            self.form = frame.form
        if frame.command == C_GOAWAY:
            return GOAWAY
        if frame.type == T_RESPONSE:
            return HEARTBEAT_REPLY
        self.beat_form = frame.form
        return HEARTBEAT

    def _read_message(self, input: cython.pointer(Buf), frame: cython.pointer(Frame)) -> cython.int:
        """A request or response up to its content; one without content is verified first if it has a checksum."""
        at: cython.p_const_char = input.base + input.start
        size: uint32_t = frame.fixed + frame.class_len + frame.block_len
        closes: cython.bint = frame.has_crc and frame.content_len == 0
        if input.end - input.start < size + (CRC_BYTES if closes else 0):
            return NEED_MORE
        self.in_has_crc = frame.has_crc
        if frame.has_crc:
            self.in_crc = crc32(0, at, size)
            if closes and self.in_crc != get32(at + size):
                return self._break(BAD_REQUEST, b"wrong checksum")
        if self._fill_head(input, frame) == ERROR:
            return ERROR
        if self.role == SERVER:
            if self.form == 0:
                self.form = frame.form
            self.one_way = frame.type == T_ONE_WAY
            self.timeout_ms = frame.timeout if frame.timeout >= 0 else -1
        input.start += size + (CRC_BYTES if closes else 0)
        self.left = frame.content_len
        self.body_done = frame.content_len == 0
        self.state = FINISH if frame.content_len == 0 else CONTENT
        return HEAD

    def _fill_head(self, input: cython.pointer(Buf), frame: cython.pointer(Frame)) -> cython.int:
        """Make self.head the head of the frame at input.start: HEAD or ERROR."""
        keys: Keys
        block_at: uint32_t = input.start + frame.fixed + frame.class_len
        head: Head = self.head
        if head is None:
            raise ValueError("codec.head is not set")
        head.clear()
        head.base = input.base
        head.raw.at = input.start
        head.raw.len = frame.fixed + frame.class_len + frame.block_len
        head.raw_protocol = FAMILY_BOLT
        head.framing = F_LENGTH
        head.content_length = frame.content_len
        head.keep_alive = True
        if not read_block(head, block_at, frame.block_len, self.limits.max_fields, cython.address(keys)):
            return self._break(HEAD_TOO_LARGE if keys.too_many else BAD_REQUEST, keys.wrong)
        if self.role == SERVER:
            settle_request(head, cython.address(keys))
        else:
            head.status = http_status(frame.status)
        return HEAD

    def _read_content(self, input: cython.pointer(Buf)) -> cython.int:
        """What there is of the content; its end only if the checksum behind it is there and right."""
        at: cython.p_const_char = input.base + input.start
        there: uint32_t = input.end - input.start
        piece: uint32_t = there if there < self.left else self.left
        if self.in_has_crc and there < self.left + CRC_BYTES:
            if self.left <= HELD_BACK:
                return NEED_MORE
            if piece > self.left - HELD_BACK:
                piece = self.left - HELD_BACK
        if piece == 0:
            return NEED_MORE
        self.data_at = input.start
        self.data_len = piece
        self.left -= piece
        input.start += piece
        if self.in_has_crc:
            self.in_crc = crc32(self.in_crc, at, piece)
            if self.left == 0:
                if self.in_crc != get32(at + piece):
                    return self._break(BAD_REQUEST, b"wrong checksum")
                input.start += CRC_BYTES
        if self.left == 0:
            self.body_done = True
            self.state = FINISH
        return DATA
