"""bolt and boltv2 as Protocols: one codec for both, recognised by the first bytes, many streams on a connection."""

from mosn_mp.buffer.head import Head
from mosn_mp.codec.bolt.codec import BoltCodec, pool_form
from mosn_mp.codec.bolt.limits import MAX_FRAME, MAX_HEAD, BoltLimits
from mosn_mp.codec.codec import Codec
from mosn_mp.codec.protocol import Match, PoolMode, Protocol

TYPES = b"\x00\x01\x02"
VERSIONS = b"\x01\x02"
# Command codes, high byte first: heartbeat, request, response, goaway.
COMMANDS = (b"\x00\x00", b"\x00\x01", b"\x00\x02", b"\x00\x64")


class Bolt(Protocol):
    """sofa-bolt; *version* is that of a connection's first frame, and of frames that are made from other protocols."""

    pool_mode = PoolMode.MULTIPLEX
    multiplexed = True
    movable = True
    id_bits = 32
    id_step = 1

    def __init__(self, name: str, version: int) -> None:
        self.name = name
        self.version = version

    def match(self, first_bytes: bytes) -> Match:
        """Protocol code, versions, type and command as a client may send them: bytes 0 to 4, in v2 0 to 5."""
        if not first_bytes:
            return Match.AGAIN
        if first_bytes[0] != self.version:
            return Match.NO
        rest = first_bytes[1:]
        if self.version == 2:
            if rest[:1] not in VERSIONS:
                return Match.NO
            rest = rest[1:]
        if rest[:1] not in TYPES or rest[3:4] not in VERSIONS:
            return Match.NO
        if not any(command.startswith(rest[1:3]) for command in COMMANDS):
            return Match.NO
        return Match.YES if len(rest) >= 4 else Match.AGAIN

    def make_limits(
        self,
        max_head_bytes: int = MAX_HEAD,
        max_fields: int = 100,
        max_body: int = -1,
        *,
        max_frame: int = 8 << 20,
        goaway: bool = False,
    ) -> BoltLimits:
        """BoltLimits; a *max_body* that is not -1 takes the place of *max_frame*, the head not counted."""
        head_bytes = min(max_head_bytes, MAX_HEAD)
        frame = max_frame if max_body < 0 else min(max_body + head_bytes, MAX_FRAME)
        return BoltLimits(max_frame=frame, max_head_bytes=head_bytes, max_fields=max_fields, goaway=goaway)

    def make_codec(self, role: int, limits: object) -> Codec:
        """A BoltCodec; *limits* is a BoltLimits."""
        if not isinstance(limits, BoltLimits):
            raise TypeError(f"limits is a BoltLimits, not {type(limits).__name__}")
        return BoltCodec(role, limits, self.version)

    def pool_key(self, head: Head) -> bytes:
        """Protocol code and ver1 of the request's frame (sofa-bolt RpcProtocolV2)."""
        form: int = pool_form(head, self.version)
        return form.to_bytes(2, "big")


BOLT = Bolt("bolt", 1)
BOLTV2 = Bolt("boltv2", 2)
