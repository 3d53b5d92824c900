"""The three error families and the Reason table: every way a stream can fail, in one place.

A Reason is a row: the HTTP status of the local reply, MOSN's response flag (pkg/types/proxy.go), the short
name for the access log (Envoy's %RESPONSE_FLAGS% letters, extended), the body text of the reply. Codecs map it to
their own reply.
"""

from enum import IntEnum
from typing import NamedTuple


class ConfigError(Exception):
    """A configuration value that cannot be served: *path* names it (`servers[0].listeners[1].address`)."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


class Reason(IntEnum):
    """Why a stream ended the way it did; 0 is 'as it should'."""

    NONE = 0
    NO_ROUTE = 1
    NO_HEALTHY_UPSTREAM = 2
    UPSTREAM_TIMEOUT = 3
    PER_TRY_TIMEOUT = 4
    CONNECT_FAILED = 5
    CONNECT_TIMEOUT = 6
    UPSTREAM_CLOSED = 7
    UPSTREAM_RESET = 8
    UPSTREAM_PROTOCOL = 9
    UPSTREAM_OVERFLOW = 10
    DOWNSTREAM_GONE = 11
    BAD_REQUEST = 12
    HEAD_TOO_LARGE = 13
    URI_TOO_LONG = 14
    BODY_TOO_LARGE = 15
    METHOD_NOT_IMPLEMENTED = 16
    VERSION_NOT_SUPPORTED = 17
    HEAD_TIMEOUT = 18
    BODY_TIMEOUT = 19
    FILTER_ERROR = 20
    DENIED = 21
    RATE_LIMITED = 22
    OVERLOADED = 23
    WRITE_TIMEOUT = 24
    INTERNAL = 25
    DOWNSTREAM_OVERFLOW = 26


class ReasonRow(NamedTuple):
    """What follows from a Reason."""

    status: int  # HTTP status of the local reply
    flag: int  # MOSN's response flag bit, 0 = none
    short: str  # access-log letters
    text: bytes  # body of the local reply


REASONS: dict[Reason, ReasonRow] = {
    Reason.NONE: ReasonRow(200, 0, "-", b""),
    Reason.NO_ROUTE: ReasonRow(404, 0x100, "NR", b"no route matches this request\n"),
    Reason.NO_HEALTHY_UPSTREAM: ReasonRow(502, 0x2, "UH", b"no healthy upstream\n"),
    Reason.UPSTREAM_TIMEOUT: ReasonRow(504, 0x4, "UT", b"upstream request timeout\n"),
    Reason.PER_TRY_TIMEOUT: ReasonRow(504, 0x4, "UT", b"upstream request timeout\n"),
    Reason.CONNECT_FAILED: ReasonRow(502, 0x20, "UF", b"upstream connect failed\n"),
    Reason.CONNECT_TIMEOUT: ReasonRow(502, 0x20, "UF", b"upstream connect timeout\n"),
    Reason.UPSTREAM_CLOSED: ReasonRow(502, 0x40, "UC", b"upstream closed the connection before it answered\n"),
    Reason.UPSTREAM_RESET: ReasonRow(502, 0x10, "UR", b"upstream reset the connection\n"),
    Reason.UPSTREAM_PROTOCOL: ReasonRow(502, 0x10, "UPE", b"upstream sent an invalid response\n"),
    Reason.UPSTREAM_OVERFLOW: ReasonRow(503, 0x80, "UO", b"upstream connection limit reached\n"),
    Reason.DOWNSTREAM_GONE: ReasonRow(504, 0x2000, "DC", b""),
    Reason.BAD_REQUEST: ReasonRow(400, 0, "DPE", b"bad request\n"),
    Reason.HEAD_TOO_LARGE: ReasonRow(431, 0, "DPE", b"request header fields too large\n"),
    Reason.URI_TOO_LONG: ReasonRow(414, 0, "DPE", b"request target too long\n"),
    Reason.BODY_TOO_LARGE: ReasonRow(413, 0x1000, "TL", b"request body too large\n"),
    Reason.METHOD_NOT_IMPLEMENTED: ReasonRow(501, 0, "DPE", b"transfer coding or method not implemented\n"),
    Reason.VERSION_NOT_SUPPORTED: ReasonRow(505, 0, "DPE", b"http version not supported\n"),
    Reason.HEAD_TIMEOUT: ReasonRow(408, 0, "DT", b"request timeout\n"),
    Reason.BODY_TIMEOUT: ReasonRow(408, 0, "DT", b"request body timeout\n"),
    Reason.FILTER_ERROR: ReasonRow(500, 0, "FE", b"internal error\n"),
    Reason.DENIED: ReasonRow(403, 0, "DA", b"access denied\n"),
    Reason.RATE_LIMITED: ReasonRow(429, 0x800, "RL", b"rate limited\n"),
    Reason.OVERLOADED: ReasonRow(503, 0, "OM", b"overloaded\n"),
    Reason.WRITE_TIMEOUT: ReasonRow(504, 0x2000, "DW", b""),
    Reason.INTERNAL: ReasonRow(500, 0, "IE", b"internal error\n"),
    Reason.DOWNSTREAM_OVERFLOW: ReasonRow(503, 0, "DO", b"too many responses wait to be read\n"),
}


def printable(text: str) -> str:
    """*text* as one line of text alone: line ends, control characters (C0 and C1) and marks of direction are escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
