"""A protocol in plain Python for tests: a line of text for a head."""

from mosn_mp.codec.bridge import BridgedProtocol, bridge
from mosn_mp.codec.driver import CodecDriver
from mosn_mp.codec.python_protocol import (
    GOAWAY,
    HEARTBEAT,
    HEARTBEAT_REPLY,
    ONE_WAY,
    REQUEST,
    RESPONSE,
    Frame,
    PythonProtocol,
)
from mosn_mp.errors import Reason
from tests.contract.codec_kit import ERROR, SERVER


class Lines(PythonProtocol):
    """`kind id size key=value...` and a line end, then the body: ids wherever they are, so encode() writes every head."""

    name = "lines"
    magic = b"!"
    kinds = {b"!req": REQUEST, b"!one": ONE_WAY, b"!res": RESPONSE, b"!hb": HEARTBEAT, b"!ack": HEARTBEAT_REPLY, b"!bye": GOAWAY}
    statuses = {b"ok": 200, b"bad": 500}

    def decode(self, data: bytes) -> Frame | None:
        line, end, _ = data.partition(b"\n")
        if not end:
            return None
        word, number, size, *pairs = line.split(b" ")
        headers = [tuple(pair.split(b"=", 1)) for pair in pairs]
        status = self.statuses[dict(headers).get(b"status", b"ok")]
        return Frame(self.kinds[word], int(number), len(line) + 1, int(size), status, headers, 250)

    def encode(self, frame: Frame) -> bytes | None:
        word = next(word for word, kind in self.kinds.items() if kind == frame.kind)
        pairs = b"".join(b" %s=%s" % pair for pair in frame.headers)
        if frame.kind == RESPONSE and frame.status != 200 and not frame.raw:
            pairs += b" status=bad"
        return b"%s %d %d%s\n" % (word, frame.id, frame.body_size, pairs)


def made(decode: object = None, **attributes: object) -> BridgedProtocol:
    """Lines with another decode() or other attributes."""
    if decode is not None:
        attributes["decode"] = lambda self, data: decode(data) if callable(decode) else decode
    protocol = bridge(type("Mine", (Lines,), attributes)(), "test")
    assert isinstance(protocol, BridgedProtocol)
    return protocol


def side(protocol: BridgedProtocol, role: int = SERVER) -> CodecDriver:
    return CodecDriver(protocol.make_codec(role, protocol.make_limits(16384, 100, 1 << 20)))


def error_of(protocol: BridgedProtocol, wire: bytes, role: int = SERVER) -> tuple[Reason, str]:
    """The error that *wire* ends in, checked to stay."""
    reader = side(protocol, role)
    reader.feed(wire)
    event, shown = reader.next_event()
    assert event == ERROR and isinstance(shown, tuple) and reader.next_event() == (event, shown)
    assert not reader.keep_alive
    return shown[0], shown[1].decode()
