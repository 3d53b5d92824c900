"""Protocols in plain Python: a class of the user's says what a frame is, codec/python/ makes a Codec of it.

    class Mine(PythonProtocol):
        name = "mine"
        magic = b"M"                                what its clients begin with

        def decode(self, data: bytes) -> Frame | None:      what the head at the begin of data says; None = more bytes
        def encode(self, frame: Frame) -> bytes | None:     the head of frame; None = there is no such frame

A frame is a head and a body. The user's code sees heads only: bodies pass by it uncopied and unbuffered, whatever their size. A
message that nobody changed is forwarded without encode() where the protocol says at which place of its head the id is.

What the user's code does wrong hurts one connection: an exception, a size that cannot be, a head without end give an ERROR event
whose detail names the method and the line; what encode() cannot write is UNSUPPORTED and the connection goes on. decode() gets
bytes of its own and not a view: a view that is kept by mistake would show the traffic of others later.

Source: MOSN api/protocol/xprotocol.go (XProtocol: Encode, Decode, Trigger, Reply, Hijack).
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t

from mosn_mp.codec.protocol import Match, PoolMode

MAX_FRAME = 16 << 20  # default; dubbo's 8 MiB twice over


class Frame:
    """One frame: what decode() returns and encode() gets.

    *status* is HTTP's on both sides, so that counters, retries and other protocols understand it: decode() and encode() map it.
    *headers* are pairs of name and value, bytes or text, that HTTP would allow; routes and filters see them. `service` and
    `method` make the path `/service/method`; `x-mosn-path`, `x-mosn-method` and `x-mosn-host` are the pseudo-headers themselves.
    """

    def __init__(
        self,
        kind: cython.int,
        id: uint64_t = 0,
        head_size: uint32_t = 0,
        body_size: int64_t = 0,
        status: cython.int = 200,
        headers: object = (),
        timeout_ms: cython.int = 0,
    ) -> None:
        self.kind = kind
        self.id = id
        self.head_size = head_size
        self.body_size = body_size
        self.status = status
        self.headers = headers
        self.timeout_ms = timeout_ms
        self.raw = b""

    def __repr__(self) -> str:
        kinds = ("?", "REQUEST", "ONE_WAY", "RESPONSE", "HEARTBEAT", "HEARTBEAT_REPLY", "GOAWAY")
        kind = kinds[self.kind] if 0 < self.kind < len(kinds) else str(self.kind)
        return f"Frame({kind}, {self.id}, {self.head_size}, {self.body_size}, {self.status}, {self.headers!r}, {self.timeout_ms})"


class PythonProtocol:
    """Derive from this, set *name*, and override decode() and encode(). One object serves all connections: keep nothing in it."""

    name = ""  # as in downstream_protocol
    magic = b""  # what a client's first bytes are; or override match()
    pool_mode = PoolMode.MULTIPLEX
    id_bits = 32  # of an id on the wire: 8, 16, 32 or 64; other pool modes have none
    id_at = -1  # where in every head the id is, big endian; untouched messages are then forwarded without encode()
    max_frame = MAX_FRAME  # a longer one closes its connection before it is read

    def __init__(self, config: object = None) -> None:
        """*config*: the object of that name in the configuration."""

    def match(self, first_bytes: bytes) -> Match:
        """Does a client that begins with *first_bytes* speak this protocol?"""
        if first_bytes.startswith(self.magic):
            return Match.YES if self.magic else Match.NO
        return Match.AGAIN if self.magic.startswith(first_bytes) else Match.NO

    def decode(self, data: bytes) -> Frame:
        """The Frame that begins at *data*[0], as soon as its head is there (its body need not be); None: more bytes are needed.

        ValueError, or any other exception: this is not the protocol, the connection is closed.
        """
        raise NotImplementedError("decode() is missing")

    def encode(self, frame: Frame) -> bytes:
        """The head of *frame*, whose body of frame.body_size bytes follows it; None: this protocol has no such frame.

        A local error reply is a RESPONSE with that status and no body. *frame.raw* is the head as it came, b"" where the message
        comes from another protocol or from the proxy itself.
        """
        raise NotImplementedError("encode() is missing")
