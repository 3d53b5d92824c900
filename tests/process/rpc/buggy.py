"""Protocols in plain Python with a mistake: `B`, trouble or `.`, `q` or `s`, an id byte, a length byte, the content."""

from mosn_mp.codec.python_protocol import REQUEST, RESPONSE, Frame, PythonProtocol

HEAD_SIZE = 5


class Sound(PythonProtocol):
    """The protocol without a mistake: `B` `.`, `q` or `s` (question, answer), id, length, content."""

    name = "sound"
    magic = b"B"
    id_bits = 8
    id_at = 3

    def decode(self, data: bytes) -> Frame | None:
        if len(data) < HEAD_SIZE:
            return None
        return Frame(REQUEST if data[2:3] == b"q" else RESPONSE, data[3], HEAD_SIZE, data[4])

    def encode(self, frame: Frame) -> bytes | None:
        kinds = {REQUEST: b"q", RESPONSE: b"s"}
        if frame.kind not in kinds:
            return None
        return b"B." + kinds[frame.kind] + bytes([frame.id & 0xFF, frame.body_size])


class Buggy(Sound):
    """The same, but the second byte asks for a mistake."""

    name = "buggy"

    def decode(self, data: bytes) -> Frame | None:
        trouble = data[1:2]
        if trouble == b"e":
            raise RuntimeError("a mistake in decode()")
        if trouble == b"m":
            return None  # needs more, endlessly
        if trouble == b"l":
            return Frame(REQUEST, 1, HEAD_SIZE, -5)
        if trouble == b"h":
            return Frame(REQUEST, 1, 0, 0)  # a head of nothing: would be read again and again
        if trouble == b"w":
            return "no frame at all"  # type: ignore[return-value]
        if trouble == b"g":
            return Frame(REQUEST, 1, HEAD_SIZE, 1 << 40)
        return super().decode(data)

    def encode(self, frame: Frame) -> bytes | None:
        if frame.kind == RESPONSE and frame.id == 0xEE:
            raise RuntimeError("a mistake in encode()")
        return super().encode(frame)
