import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosn_mp.config.decoding.units import format_duration, format_size, parse_duration, parse_size

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("300ms", 0.3),
        ("1m30s", 90.0),
        ("1.5h", 5400.0),
        ("-1.5s", -1.5),
        ("+5s", 5.0),
        ("0", 0.0),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("1h0m0.000000001s", 3600.000000001),
        ("2s500ms", 2.5),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "30", "1.5", "-", "3 s", "30S", ".s", "1s ", " 1s", "1d", "1s-1s", "١s", "1e3s", "1_0s", "--1s"]
)
def test_what_go_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape("not a duration; write numbers with units as in '30s', '300ms' or '1m30s'")):
        parse_duration(text)


def test_a_duration_beyond_gos_int64_is_refused() -> None:
    assert parse_duration("2562047h47m16.854775807s") > 9e9
    with pytest.raises(ValueError, match="longest"):
        parse_duration("2562047h47m16.854775808s")


@given(st.integers(-(1 << 52), 1 << 52))
def test_a_duration_survives_writing_and_reading(nanoseconds: int) -> None:
    seconds = nanoseconds / 1e9
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.lists(st.tuples(st.integers(0, 5 * 10**5), st.sampled_from(sorted(UNITS))), min_size=1, max_size=5))
def test_the_parts_of_a_duration_are_summed(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == pytest.approx(sum(number * UNITS[unit] for number, unit in parts), rel=1e-12)


@given(st.text(alphabet="0123456789.+-nusmhµ ", max_size=12))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        parse_duration(text)
    except ValueError:
        pass


def test_durations_are_written_short() -> None:
    assert [format_duration(s) for s in (90, 0.3, 0, -1.5, 3600)] == ["1m30s", "300ms", "0s", "-1s500ms", "1h"]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MB", 64 << 20),
        ("64 KB", 64 << 10),
        ("1g", 1 << 30),
        ("4096", 4096),
        ("0", 0),
        ("7B", 7),
        ("2TB", 2 << 40),
        ("3k", 3072),
    ],
)
def test_a_size_is_1024_based(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1.5MB", "64MiB", "64  KB", "1 XB", "٤"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size; write a number of bytes or as in '64KB' or '256MB'"):
        parse_size(text)


def test_a_size_beyond_63_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        parse_size("9999999999TB")


@given(st.integers(0, (1 << 63) - 1))
def test_a_size_survives_writing_and_reading(size: int) -> None:
    assert parse_size(format_size(size)) == size
