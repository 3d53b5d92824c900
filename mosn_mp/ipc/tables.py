"""The tables that go with a snapshot: how shared memory is shaped, and which numbers the things of the snapshot have there.

The master assigns numbers (master/state/directory.py). They are in the order of the snapshot,
without names: those of a hundred thousand hosts are 400 KB.
"""

from array import array
from collections.abc import Iterable
from typing import Literal

import msgspec

from mosn_mp.buffer.segment import Shape
from mosn_mp.ipc.decoding import decoded

Kind = Literal["listener", "cluster", "host"]
_WORD = "I"


class Leaving(msgspec.Struct, frozen=True, array_like=True):
    """What is not in the snapshot and keeps its number while anything counts there; the names of a host: cluster, address."""

    kind: Kind
    names: tuple[str, ...]
    number: int


class Tables(msgspec.Struct, frozen=True):
    """The shapes of the segments and the packed numbers of listeners, of clusters, and of the hosts of each cluster."""

    arena: Shape  # of what workers hold of it (buffer/holdings.py)
    metrics: Shape
    state: Shape
    listeners: bytes
    clusters: bytes
    hosts: list[bytes]
    leaving: list[Leaving] = []


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Tables)


def pack_numbers(numbers: Iterable[int]) -> bytes:
    """*numbers* as 32-bit words."""
    return array(_WORD, numbers).tobytes()


def unpack_numbers(packed: bytes) -> "array[int]":
    """The numbers that pack_numbers() packed; ValueError if they are none."""
    numbers = array(_WORD)
    numbers.frombytes(packed)
    return numbers


def encode_tables(tables: Tables) -> bytes:
    """The msgpack of *tables*."""
    return _encoder.encode(tables)


def decode_tables(packed: bytes) -> Tables:
    """The tables in *packed*; ValueError if it is none."""
    return decoded(_decoder, packed)
