"""A protocol in plain Python that does wrong what its clients ask for: `W`, a byte that chooses, two bytes for it, three more."""

import sys

from mosn_mp.codec.protocol import Match
from mosn_mp.codec.python_protocol import ONE_WAY, REQUEST, RESPONSE, Frame, PythonProtocol

ERRORS = (ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, RecursionError, MemoryError)


class Wild(PythonProtocol):
    """Right are frames with a number above 127."""

    name = "wild"
    magic = b"W"

    def match(self, first_bytes: bytes) -> Match:
        if first_bytes[1:2] == b"\x7f":
            sys.exit(1)
        return super().match(first_bytes)

    def decode(self, data: bytes) -> Frame | None:
        if len(data) < 4:
            return None
        choice, number = data[1], int.from_bytes(data[2:4], "big")
        if choice & 128:
            return Frame(RESPONSE if choice & 64 else ONE_WAY if choice & 32 else REQUEST, number, 4, 3)
        wrong = choice % 16
        if wrong < 6:
            raise ERRORS[wrong](f"mistake {number}")
        if wrong == 6:
            return None
        if wrong == 7:
            return self  # type: ignore[return-value]
        odd = (-1, 0, 1, number, 1 << 31, 1 << 40, 1 << 63, number - 40_000)[choice >> 4 & 7]
        if wrong == 8:
            return Frame(odd % 9, number, 4, 3)
        if wrong == 9:
            return Frame(REQUEST, odd, 4, 3)
        if wrong == 10:
            return Frame(REQUEST, number, odd, 3)
        if wrong == 11:
            return Frame(REQUEST, number, 4, odd)
        if wrong == 12:
            return Frame(RESPONSE, number, 4, 3, odd)
        if wrong == 13:
            return Frame(REQUEST, number, 4, 3, headers=[("x" * (number % 5000), chr(number % 300))] * (number % 200))
        if wrong == 14:
            return Frame(REQUEST, number, 4, 3, headers=number)
        return Frame(REQUEST, number, 4, 3, timeout_ms=odd)

    def encode(self, frame: Frame) -> bytes | None:
        if frame.id % 5 == 0:
            raise SystemExit("a mistake in encode()")
        if frame.id % 5 == 1:
            return None
        if frame.id % 5 == 2:
            return b"W" * (frame.id % 20_000)
        choice = 192 if frame.kind == RESPONSE else 128
        return b"W" + bytes([choice]) + (frame.id & 0xFFFF).to_bytes(2, "big")
