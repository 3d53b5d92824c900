"""What all connections of a PythonProtocol share: its limits, and what is told of the user's mistakes."""

import logging
import traceback
import zlib
from typing import Any

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.mosn_mp.codec.python_protocol import PythonProtocol

# Files of ours that call the user's code.
OURS = ("codec/python/reader.py", "codec/python/codec.py", "codec/bridge.py")


class PythonLimits:
    """`PythonLimits(protocol, id_bits, max_head, max_frame, max_fields)`."""

    def __init__(
        self, protocol: PythonProtocol, id_bits: cython.int, max_head: uint32_t, max_frame: uint64_t, max_fields: cython.int
    ) -> None:
        self.protocol = protocol
        # a hash of the name, so that no registry is needed; see codec.pxd for the numbers below 2^30
        self.family = 1 << 30 | zlib.crc32(protocol.name.encode()) >> 2
        self.id_bytes = id_bits // 8
        self.id_at = protocol.id_at
        self.max_head = max_head
        self.max_frame = max_frame
        self.max_fields = max_fields
        self.log = logging.getLogger("mosn_mp.codec")

    def tell(self, problem: str) -> None:
        """Log what the user's code did wrong: the 1st, 2nd, 4th, 8th ... time, because clients may be able to bring it about."""
        self.mistakes += 1
        if self.mistakes & (self.mistakes - 1) == 0:
            self.log.warning("protocol %s: %s (%d so far)", self.protocol.name, problem, self.mistakes)


def line_of(error: Any) -> str:
    """*error* with the innermost line of the user's that raised it; sys.exit() and the like are errors here, they end nothing."""
    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.endswith(OURS):
            where = f" ({frame.filename.rpartition('/')[2]}:{frame.lineno})"
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - the user's own __str__
        text = "an error without a text"
    return f"{type(error).__name__}: {text[:200]}{where}"[:300]
