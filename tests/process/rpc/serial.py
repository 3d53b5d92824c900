"""Protocols of one request at a time, as a user would write them: a kind, two bytes of length, the content."""

from mosn_mp.codec.protocol import PoolMode
from mosn_mp.codec.python_protocol import HEARTBEAT, HEARTBEAT_REPLY, ONE_WAY, REQUEST, RESPONSE, Frame, PythonProtocol

KINDS = {b"q": REQUEST, b"o": ONE_WAY, b"a": RESPONSE, b"e": RESPONSE, b"h": HEARTBEAT, b"r": HEARTBEAT_REPLY}


class Serial(PythonProtocol):
    """`q` a question, `o` one that takes no answer, `a` an answer, `e` an error, `h` and `r` heartbeat and its answer."""

    name = "serial"
    pool_mode = PoolMode.PING_PONG
    MAGIC = b"!"

    @property
    def magic(self) -> bytes:  # type: ignore[override]
        return self.MAGIC

    def decode(self, data: bytes) -> Frame | None:
        if len(data) < 4:
            return None
        if data[:1] != self.MAGIC:
            raise ValueError(f"a frame begins with {data[:1]!r}")
        return Frame(KINDS[data[1:2]], 0, 4, int.from_bytes(data[2:4], "big"), 503 if data[1:2] == b"e" else 200)

    def encode(self, frame: Frame) -> bytes | None:
        letters = {kind: letter for letter, kind in reversed(KINDS.items())}
        letter = b"e" if frame.kind == RESPONSE and frame.status >= 500 else letters.get(frame.kind)
        return None if letter is None else self.MAGIC + letter + frame.body_size.to_bytes(2, "big")


class Session(Serial):
    """The same where the host remembers what was said on a connection."""

    name = "session"
    pool_mode = PoolMode.BIND
    MAGIC = b"$"
