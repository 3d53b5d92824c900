"""The tables that go with a snapshot: where in shared memory each of its things has its cells. Assigned by the master."""

from typing import Any

import msgspec


class Tables(msgspec.Struct, frozen=True):
    """Packed Directories (observe.directory): of the counter rows and of the state records."""

    metrics: dict[str, Any]
    state: dict[str, Any]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Tables)


def encode_tables(tables: Tables) -> bytes:
    """The msgpack of *tables*."""
    return _encoder.encode(tables)


def decode_tables(packed: bytes) -> Tables:
    """The tables in *packed*; ValueError if it is none."""
    return _decoder.decode(packed)
