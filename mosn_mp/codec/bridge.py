"""A PythonProtocol as a Protocol: what the user's class says of itself is checked once, what it does wrong is contained."""

import logging
import re

from mosn_mp.codec.codec import Codec
from mosn_mp.codec.protocol import Match, PoolMode, Protocol
from mosn_mp.codec.python.codec import PythonCodec
from mosn_mp.codec.python.limits import PythonLimits, line_of
from mosn_mp.codec.python_protocol import PythonProtocol

MAX_FRAME_LIMIT = (1 << 31) - 1
ID_WIDTHS = (8, 16, 32, 64)
NAME = re.compile(r"[0-9A-Za-z_.-]+")


class BridgedProtocol(Protocol):
    """`BridgedProtocol(the user's object)`; ValueError names the attribute that cannot be."""

    movable = True  # nothing outlives a frame but the user's object, which every process has

    def __init__(self, protocol: PythonProtocol) -> None:
        self._protocol = protocol
        self._log = logging.getLogger("mosn_mp.codec")
        self.name = protocol.name
        self.pool_mode = protocol.pool_mode
        self.multiplexed = self.pool_mode is PoolMode.MULTIPLEX
        self.id_bits = protocol.id_bits if self.multiplexed else 0
        self.id_step = 1 if self.multiplexed else 0
        self._check(protocol.id_at, protocol.max_frame)

    def _check(self, id_at: object, max_frame: object) -> None:
        if not (isinstance(self.name, str) and NAME.fullmatch(self.name)):
            raise ValueError(f"name is {self.name!r}, not a name as in downstream_protocol")
        if not isinstance(self.pool_mode, PoolMode):
            raise ValueError(f"pool_mode is {self.pool_mode!r}, not a PoolMode")
        if self.multiplexed and self.id_bits not in ID_WIDTHS:
            raise ValueError(f"id_bits is {self.id_bits!r}; expected one of {', '.join(map(str, ID_WIDTHS))}")
        if not (isinstance(id_at, int) and -1 <= id_at <= 255):
            raise ValueError(f"id_at is {id_at!r}; expected a place in the head, or -1")
        if not (isinstance(max_frame, int) and 0 < max_frame <= MAX_FRAME_LIMIT):
            raise ValueError(f"max_frame is {max_frame!r}; expected 1 to {MAX_FRAME_LIMIT}")

    def match(self, first_bytes: bytes) -> Match:
        """The user's match(); one that fails does not match: the connection may be another protocol's."""
        try:
            return Match(self._protocol.match(first_bytes))
        except BaseException as e:  # noqa: BLE001 - the user's code may raise anything; others' clients shall not suffer
            self._log.error("%s: match: %s", self.name, line_of(e))
            return Match.NO

    def make_limits(self, max_head_bytes: int = 61440, max_fields: int = 100, max_body: int = -1) -> PythonLimits:
        """PythonLimits with these and the protocol's own max_frame, whichever is smaller."""
        max_frame = self._protocol.max_frame if max_body < 0 else min(self._protocol.max_frame, max_head_bytes + max_body)
        return PythonLimits(self._protocol, self.id_bits, max_head_bytes, max_frame, max_fields)

    def make_codec(self, role: int, limits: object) -> Codec:
        """A PythonCodec; *limits* is a PythonLimits."""
        if not isinstance(limits, PythonLimits):
            raise TypeError(f"limits is a PythonLimits, not {type(limits).__name__}")
        return PythonCodec(role, limits)


def bridge(made: object, what: str) -> Protocol:
    """The Protocol that *made* is, or that is made of it if it is a PythonProtocol; ValueError for others."""
    if isinstance(made, Protocol):
        return made
    if not isinstance(made, PythonProtocol):
        raise ValueError(f"{what} makes {type(made).__name__}, which is not a PythonProtocol")
    return BridgedProtocol(made)
