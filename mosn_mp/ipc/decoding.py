"""Decoding what another process packed: whatever is wrong with it is a ValueError."""

from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Decoder(Protocol[T_co]):
    """msgspec's, of one type."""

    def decode(self, packed: bytes | memoryview, /) -> T_co:
        """What is in *packed*."""


def decoded(decoder: Decoder[T_co], packed: bytes | memoryview) -> T_co:
    """What *decoder* finds in *packed*; ValueError, also where things are nested deeper than it goes (RecursionError)."""
    try:
        return decoder.decode(packed)
    except RecursionError as e:
        raise ValueError("it is nested too deeply") from e
