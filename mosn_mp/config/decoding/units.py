"""Go's way of writing waits (`time.ParseDuration`) and MOSN's way of writing sizes (`64MB`, 1024-based), read and written."""

import re
from fractions import Fraction

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # micro sign
    "\u03bcs": 1_000,  # Greek mu; Go takes both
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_DURATION_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)", re.ASCII)
_SIZE = re.compile(r"([0-9]+) ?([KMGT]?)B?", re.ASCII | re.IGNORECASE)
_SIZE_SHIFT = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
MAX_NANOSECONDS = (1 << 63) - 1  # Go's time.Duration is an int64
LONGEST = 64  # characters
MAX_SIZE = (1 << 63) - 1  # what fits into the C side's signed sizes and into msgpack


def parse_duration(text: str) -> float:
    """The seconds that the Go duration *text* (`1m30s`, `300ms`, `-1s`, `0`) means; ValueError says what is wrong with it."""
    if len(text) > LONGEST:
        raise ValueError("too long")
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    total = Fraction(0)
    at = 0
    while at < len(rest):
        part = _DURATION_PART.match(rest, at)
        if part is None:
            break
        total += Fraction(part[1]) * _NANOSECONDS[part[2]]
        at = part.end()
    if at == 0 or at < len(rest):
        raise ValueError("not a duration; write numbers with units as in '30s', '300ms' or '1m30s'")
    if total > MAX_NANOSECONDS:
        raise ValueError("longer than Go's longest duration of 292 years")
    return float(sign * Fraction(int(total), 1_000_000_000))


def format_duration(seconds: float) -> str:
    """The Go duration for *seconds*, exact to the nanosecond: `1m30s`, `300ms`, `0s`."""
    left = round(abs(Fraction(seconds)) * 1_000_000_000)
    parts = []
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        count, left = divmod(left, _NANOSECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if seconds < 0 and parts else "") + ("".join(parts) or "0s")


def parse_size(text: str) -> int:
    """The bytes that *text* (`64MB`, `64 KB`, `4096`, `1g`) means; ValueError says what is wrong with it."""
    found = _SIZE.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        raise ValueError("not a size; write a number of bytes or as in '64KB' or '256MB'")
    size = int(found[1]) << _SIZE_SHIFT[found[2].upper()]
    if size > MAX_SIZE:
        raise ValueError("too large")
    return size


def format_size(size: int) -> str:
    """The shortest exact way to write *size* bytes: `256MB`, `61440B` as `60KB`, `1000`."""
    for unit in ("T", "G", "M", "K"):
        count, rest = divmod(size, 1 << _SIZE_SHIFT[unit])
        if count and not rest:
            return f"{count}{unit}B"
    return str(size)
