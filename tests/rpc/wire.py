"""bolt frames in plain Python, for tests only: written from the layouts of sofa-bolt, not from the codec that they check.

    v1  request   01 | type | cmd 2 | version | id 4 | codec |          timeout 4 | class 2 | header 2 | content 4 | ...
        response  01 | type | cmd 2 | version | id 4 | codec |          status 2  | class 2 | header 2 | content 4 | ...
    v2            02 | ver1 | type | cmd 2 | version | id 4 | codec | switch | as v1 from here ... | crc 4

The CRC is there if ver1 = 2 and bit 0 of switch is set.
Sources: sofa-bolt RpcCommandDecoder, RpcCommandDecoderV2, RpcCommandEncoderV2, CrcUtil.
"""

import struct
import zlib
from dataclasses import dataclass, field, replace

RESPONSE, REQUEST, ONE_WAY = 0, 1, 2
HEARTBEAT, RPC_REQUEST, RPC_RESPONSE, GOAWAY = 0, 1, 2, 100

SUCCESS, ERROR, SERVER_EXCEPTION, UNKNOWN, BUSY, COMM_ERROR, NO_PROCESSOR, TIMEOUT = range(8)
CLIENT_SEND_ERROR, CODEC_EXCEPTION, CONNECTION_CLOSED = 8, 9, 16

REQUEST_CLASS = b"com.alipay.sofa.rpc.core.request.SofaRequest"
RESPONSE_CLASS = b"com.alipay.sofa.rpc.core.response.SofaResponse"
NULL = 0xFFFFFFFF
MAX_CONTENT = 1 << 26  # more than any test sends: a larger length is a frame that was read wrong

Fields = list[tuple[bytes, bytes | None]]


class WireError(Exception):
    """Bytes that are no bolt frame."""


@dataclass(frozen=True)
class Frame:
    """One frame; `raw` are the bytes that it was read from."""

    kind: int = REQUEST
    command: int = RPC_REQUEST
    id: int = 0
    timeout_ms: int = 10_000  # requests
    status: int = SUCCESS  # responses
    class_name: bytes = b""
    fields: Fields = field(default_factory=list)
    content: bytes = b""
    protocol: int = 1  # byte 0
    ver1: int = 1  # v2 only
    switch: int = 0  # v2 only
    version: int = 1
    codec: int = 1
    raw: bytes = field(default=b"", compare=False, repr=False)

    @property
    def has_checksum(self) -> bool:
        """Whether four bytes of CRC32 follow the content."""
        return self.protocol == 2 and self.ver1 == 2 and bool(self.switch & 1)

    @property
    def is_heartbeat(self) -> bool:
        """A heartbeat, not its answer."""
        return self.command == HEARTBEAT and self.kind != RESPONSE

    def get(self, name: bytes) -> bytes | None:
        """The value of the first field of that name."""
        return next((value for key, value in self.fields if key == name), None)

    def encode(self) -> bytes:
        """The frame's bytes."""
        block = encode_fields(self.fields)
        first = struct.pack(">BB", 2, self.ver1) if self.protocol == 2 else b"\x01"
        first += struct.pack(">BHBIB", self.kind, self.command, self.version, self.id, self.codec)
        if self.protocol == 2:
            first += bytes([self.switch])
        first += struct.pack(">H", self.status) if self.kind == RESPONSE else struct.pack(">i", self.timeout_ms)
        lengths = struct.pack(">HHI", len(self.class_name), len(block), len(self.content))
        whole = first + lengths + self.class_name + block + self.content
        return whole + struct.pack(">I", zlib.crc32(whole)) if self.has_checksum else whole


def encode_fields(fields: Fields) -> bytes:
    """A header block."""
    out = bytearray()
    for pair in fields:
        for text in pair:
            out += struct.pack(">I", NULL if text is None else len(text)) + (text or b"")
    return bytes(out)


def decode_fields(block: bytes) -> Fields:
    """The fields of a header block; WireError if a length passes its end."""
    texts: list[bytes | None] = []
    at = 0
    while at < len(block):
        if len(block) - at < 4:
            raise WireError(f"{len(block) - at} bytes after the last field")
        (length,) = struct.unpack_from(">I", block, at)
        at += 4
        if length != NULL and at + length > len(block):
            raise WireError(f"a text of {length} bytes in a block that has {len(block) - at} left")
        texts.append(None if length == NULL else block[at : at + length])
        at += 0 if length == NULL else length
    if len(texts) % 2:
        raise WireError("a name without a value")
    return [(name or b"", value) for name, value in zip(texts[::2], texts[1::2], strict=True)]


class Reader:
    """Turns bytes, cut anywhere, into frames."""

    def __init__(self) -> None:
        self.unread = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that *data* completes; WireError if it breaks the rules."""
        self.unread += data
        found = []
        while frame := self._next():
            del self.unread[: len(frame.raw)]
            found.append(frame)
        return found

    def _next(self) -> Frame | None:
        buf = self.unread
        if not buf:
            return None
        if buf[0] not in (1, 2):
            raise WireError(f"protocol code {buf[0]}")
        at = 1 if buf[0] == 2 else 0  # v2 has one byte more before the type, and one more after the codec
        if len(buf) < at + 2:
            return None
        kind = buf[at + 1]
        if kind not in (RESPONSE, REQUEST, ONE_WAY):
            raise WireError(f"type {kind}")
        fixed = (20 if kind == RESPONSE else 22) + 2 * at
        if len(buf) < fixed:
            return None
        class_len, block_len, content_len = struct.unpack_from(">HHI", buf, fixed - 8)
        if content_len > MAX_CONTENT:
            raise WireError(f"a content of {content_len} bytes")
        command, version, id_, codec = struct.unpack_from(">HBIB", buf, at + 2)
        frame = Frame(kind, command, id_, protocol=buf[0], version=version, codec=codec)
        if at:
            frame = replace(frame, ver1=buf[1], switch=buf[11])
        length = fixed + class_len + block_len + content_len + (4 if frame.has_checksum else 0)
        if len(buf) < length:
            return None
        return _complete(frame, bytes(buf[:length]), fixed, class_len, block_len, content_len)


def _complete(frame: Frame, raw: bytes, fixed: int, class_len: int, block_len: int, content_len: int) -> Frame:
    body_at = fixed + class_len
    content_at = body_at + block_len
    end = content_at + content_len
    if frame.has_checksum and struct.unpack_from(">I", raw, end)[0] != zlib.crc32(raw[:end]):
        raise WireError(f"wrong CRC of the frame with id {frame.id}")
    if frame.kind == RESPONSE:
        frame = replace(frame, status=struct.unpack_from(">H", raw, fixed - 10)[0])
    else:
        frame = replace(frame, timeout_ms=struct.unpack_from(">i", raw, fixed - 12)[0])
    fields = decode_fields(raw[body_at:content_at])
    return replace(frame, class_name=raw[fixed:body_at], fields=fields, content=raw[content_at:end], raw=raw)


def without_id(raw: bytes) -> bytes:
    """*raw* with the request id, and the CRC that covers it, set to zero: what a proxy must leave as it was."""
    at = 6 if raw[0] == 2 else 5
    frame = Reader().feed(raw)[0]
    end = len(raw) - 4 if frame.has_checksum else len(raw)
    return raw[:at] + bytes(4) + raw[at + 4 : end] + bytes(len(raw) - end)


def request(id_: int, content: bytes = b"", fields: Fields | None = None, **changes: object) -> Frame:
    """An rpc request as a SOFA client would send it; *fields* win over the usual ones, *changes* are attributes of Frame."""
    given = {name for name, _ in fields or []}
    usual: Fields = [(b"service", b"com.example.Echo:1.0"), (b"sofa_head_method_name", b"say")]
    kept = [pair for pair in usual if pair[0] not in given]
    frame = Frame(id=id_, class_name=REQUEST_CLASS, fields=kept + (fields or []), content=content)
    return replace(frame, **changes)  # type: ignore[arg-type]


def response(to: Frame, content: bytes = b"", fields: Fields | None = None, **changes: object) -> Frame:
    """The answer to *to*, in its protocol; *changes* are attributes of Frame."""
    usual: Fields = [(b"sofa_head_response_error", b"false")]
    frame = Frame(RESPONSE, RPC_RESPONSE, to.id, class_name=RESPONSE_CLASS, fields=usual + (fields or []), content=content)
    frame = replace(frame, protocol=to.protocol, ver1=to.ver1, switch=to.switch)
    return replace(frame, **changes)  # type: ignore[arg-type]


def heartbeat(id_: int, protocol: int = 1, ver1: int = 1) -> Frame:
    """A heartbeat as sofa-bolt sends it."""
    return Frame(REQUEST, HEARTBEAT, id_, timeout_ms=-1, protocol=protocol, ver1=ver1)


def heartbeat_reply(to: Frame) -> Frame:
    """The answer to the heartbeat *to*."""
    return Frame(RESPONSE, HEARTBEAT, to.id, protocol=to.protocol, ver1=to.ver1)


def goaway(id_: int = 0, protocol: int = 1, ver1: int = 1) -> Frame:
    """MOSN's frame that asks for no more streams on this connection."""
    return Frame(REQUEST, GOAWAY, id_, timeout_ms=-1, protocol=protocol, ver1=ver1)
