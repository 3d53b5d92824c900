"""A configuration and users' Python that it names as bytes, for the sealed memfd that every worker gets.

msgpack of the frozen model and of plugin.Sources, trusted by the reader: what is served never depends on files that lie on disk.
"""

from typing import NamedTuple

import msgspec

from mosn_mp.config.model import Config
from mosn_mp.plugin import Sources


class Snapshot(NamedTuple):
    """What is accepted as a whole."""

    config: Config
    sources: Sources


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Snapshot)


def encode(config: Config, sources: Sources) -> bytes:
    """The snapshot of *config* and the *sources* that it was judged with."""
    return _encoder.encode(Snapshot(config, sources))


def decode(snapshot: bytes | memoryview) -> Snapshot:
    """What encode() made *snapshot* of."""
    return _decoder.decode(snapshot)
