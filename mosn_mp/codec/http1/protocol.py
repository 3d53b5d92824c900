"""HTTP/1.1 as a Protocol: recognised by its method, one request at a time on a connection."""

from mosn_mp.codec.codec import Codec
from mosn_mp.codec.http1.codec import Http1Codec
from mosn_mp.codec.http1.limits import Http1Limits
from mosn_mp.codec.protocol import Match, PoolMode, Protocol

# MOSN pkg/stream/http: the methods its matcher knows
METHODS = tuple(
    method.encode("ascii") + b" "
    for method in ("OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT", "PATCH", "LINK", "UNLINK")
)


class Http1(Protocol):
    """RFC 9112."""

    name = "Http1"
    pool_mode = PoolMode.PING_PONG
    multiplexed = False
    movable = True
    id_bits = 0
    id_step = 0

    def match(self, first_bytes: bytes) -> Match:
        """A known method and a blank; an empty line may stand before it, as the codec allows."""
        text = first_bytes[2:] if first_bytes.startswith(b"\r\n") else first_bytes
        if text.startswith(METHODS):
            return Match.YES
        if text in (b"", b"\r") or any(method.startswith(text) for method in METHODS):
            return Match.AGAIN
        return Match.NO

    def make_limits(self, max_head_bytes: int = 61440, max_fields: int = 100, max_body: int = -1) -> Http1Limits:
        """Http1Limits with these three set."""
        return Http1Limits(max_head_bytes=max_head_bytes, max_fields=max_fields, max_body=max_body)

    def make_codec(self, role: int, limits: object) -> Codec:
        """An Http1Codec; *limits* is an Http1Limits."""
        if not isinstance(limits, Http1Limits):
            raise TypeError(f"limits is an Http1Limits, not {type(limits).__name__}")
        return Http1Codec(role, limits)


HTTP1 = Http1()
