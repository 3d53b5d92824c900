"""The configuration as bytes, for the sealed memfd that every worker gets: msgpack of the frozen model, trusted by the reader."""

import msgspec

from mosn_mp.config.model import Config

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Config)


def encode(config: Config) -> bytes:
    """The snapshot of *config*."""
    return _encoder.encode(config)


def decode(snapshot: bytes | memoryview) -> Config:
    """The configuration that encode() made *snapshot* of."""
    return _decoder.decode(snapshot)
