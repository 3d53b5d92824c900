"""What a wire protocol is to the proxy: how it is recognised, how its connections are pooled, and its codec.

One Protocol object per protocol is listed in the catalogue (kind `codec`, MOSN's protocol names). It knows what differs between
protocols; what a message looks like is the Codec's business (codec/codec), and nothing above this floor knows either.

                     Http1        Http2          bolt, dubbo, tars ...
    pool_mode        PING_PONG    MULTIPLEX      MULTIPLEX (BIND where a connection carries a session)
    multiplexed      no           yes            yes            (never with BIND: requests are answered in turn)
    ids              none         31 bits, +2    32 or 64 bits, +1, wrapping; the client's id is restored on the response
    heartbeat        none         PING           frame of the protocol, answered by write_heartbeat_reply, sent by write_heartbeat
    goaway           close_after  GOAWAY         write_goaway where the peers understand it (bolt: only if configured)
    local error      write_error: a reply of the protocol's own kind, on stream_id, for a Reason
    own timeout      none         none           Codec.timeout_ms of the request's frame
    one way          never        never          Codec.one_way: no response is awaited
    sticky first     no           no             yes: a bolt server answers in the version of the connection's first frame, so the
                                                 pool is kept per pool_key of a head

A connection of a `movable` protocol goes on in another process (an upgrade, a rebalance, a worker that leaves), between messages
or with streams under way, at a moment when none is half read or half written. All that moves of its codec is state_word();
whatever else a codec kept would be lost, so a protocol that keeps more is not movable. Messages in flight at that moment are
answered by the codec they were read by, and come through one that was given the same word. A tunnel moves by resume_tunnel().

Sources: MOSN api/protocol/xprotocol.go (XProtocolCodec, XProtocol) and pkg/stream/xprotocol.
"""

from abc import ABC, abstractmethod
from enum import Enum, IntEnum

from mosn_mp.buffer.head import Head
from mosn_mp.codec.codec import Codec


class Match(IntEnum):
    """What the first bytes of a connection say."""

    NO = 0
    AGAIN = 1  # too few bytes to tell
    YES = 2


class PoolMode(Enum):
    """How streams share upstream connections."""

    PING_PONG = "ping_pong"  # one stream at a time, idle connections are reused
    MULTIPLEX = "multiplex"  # many streams at a time
    BIND = "bind"  # one upstream connection per downstream connection, both close together


def can_go_as(downstream: "Protocol", upstream: "Protocol") -> bool:
    """Whether requests of *downstream* clients may go upstream as *upstream*: a connection that is bound to one client needs a
    client that sends one request after the other."""
    return upstream.pool_mode is not PoolMode.BIND or not downstream.multiplexed


class Protocol(ABC):
    """One wire protocol; stateless, shared by all listeners and clusters."""

    name: str  # MOSN's name, as in downstream_protocol
    pool_mode: PoolMode
    multiplexed: bool  # several streams at a time on one connection
    movable: bool  # a connection can go on in another process with nothing but Codec.state_word()
    id_bits: int  # width of a stream id on the wire; 0 = no ids
    id_step: int  # between ids that a client allocates

    @abstractmethod
    def match(self, first_bytes: bytes) -> Match:
        """Does a client that begins with *first_bytes* speak this protocol?"""

    @abstractmethod
    def make_limits(self, max_head_bytes: int, max_fields: int, max_body: int) -> object:
        """What make_codec takes as limits; -1 = no limit on the body."""

    @abstractmethod
    def make_codec(self, role: int, limits: object) -> Codec:
        """A codec for one side of a connection; role is codec.SERVER (0) or codec.CLIENT (1)."""

    def pool_key(self, head: Head) -> bytes:
        """Requests of different keys never share an upstream connection."""
        return b""

    def next_id(self, last: int) -> int:
        """The id after *last*, wrapping at the width of the wire; 0 where there are none."""
        return (last + self.id_step) & ((1 << self.id_bits) - 1)
