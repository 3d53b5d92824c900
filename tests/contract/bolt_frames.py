"""Bolt frames for tests, put together by struct and zlib: nothing of the codec under test is used."""

import struct
import zlib
from typing import NamedTuple

RESPONSE, REQUEST, ONE_WAY = 0, 1, 2
HEARTBEAT, RPC_REQUEST, RPC_RESPONSE, GOAWAY = 0, 1, 2, 100
NULL = None
SOFA_REQUEST = b"com.alipay.sofa.rpc.core.request.SofaRequest"
SOFA_RESPONSE = b"com.alipay.sofa.rpc.core.response.SofaResponse"


def block(pairs: list[tuple[bytes | None, bytes | None]]) -> bytes:
    """A header block; None = null."""
    texts = [text for pair in pairs for text in pair]
    return b"".join(struct.pack(">i", -1) if text is None else struct.pack(">I", len(text)) + text for text in texts)


class Sample(NamedTuple):
    """A frame; lengths that are not None are lies."""

    code: int = 1
    ver1: int = 1
    type: int = REQUEST
    command: int = RPC_REQUEST
    ver2: int = 1
    id: int = 1
    codec: int = 1
    switch: int = 0
    timeout: int = 3000
    status: int = 0
    class_name: bytes = b""
    headers: bytes = b""
    content: bytes = b""
    class_len: int | None = None
    header_len: int | None = None
    content_len: int | None = None
    crc: int | None = None  # what is added to the right checksum

    def fixed(self) -> bytes:
        """The fixed part."""
        head = struct.pack(">B", self.code)
        if self.code != 1:
            head += struct.pack(">B", self.ver1)
        head += struct.pack(">BHBIB", self.type, self.command, self.ver2, self.id, self.codec)
        if self.code != 1:
            head += struct.pack(">B", self.switch)
        head += struct.pack(">H", self.status) if self.type == RESPONSE else struct.pack(">i", self.timeout)
        given = (self.class_len, self.header_len, self.content_len)
        real = (len(self.class_name), len(self.headers), len(self.content))
        return head + struct.pack(">HHI", *(r if g is None else g for g, r in zip(given, real, strict=True)))

    def parts(self) -> list[bytes]:
        """Fixed part, class, block, content, checksum."""
        parts = [self.fixed(), self.class_name, self.headers, self.content]
        if self.code == 2 and self.ver1 == 2 and self.switch & 1:
            parts.append(struct.pack(">I", zlib.crc32(b"".join(parts)) + (self.crc or 0) & 0xFFFFFFFF))
        return parts

    def wire(self) -> bytes:
        """The bytes."""
        return b"".join(self.parts())


SOFA = block([(b"service", b"com.example.Echo:1.0"), (b"sofa_head_method_name", b"say"), (b"sofa_head_target_app", b"bench")])
V1 = Sample(id=7, timeout=10000, class_name=SOFA_REQUEST, headers=SOFA, content=b"\0hello\xff")
V2 = V1._replace(code=2)
V2_CRC = V2._replace(ver1=2, switch=1)
ANSWER = Sample(
    type=RESPONSE,
    command=RPC_RESPONSE,
    id=7,
    class_name=SOFA_RESPONSE,
    headers=block([(b"sofa_head_response_error", b"false")]),
    content=b"world",
)
ANSWER_V2 = ANSWER._replace(code=2)
ANSWER_V2_CRC = ANSWER_V2._replace(ver1=2, switch=1)
BEAT = Sample(command=HEARTBEAT, timeout=-1, id=9)
BEAT_ANSWER = Sample(type=RESPONSE, command=HEARTBEAT, id=9)
