import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosn_mp.observe.access_log.text import duration_text, escaped_text, time_text


@pytest.mark.parametrize(
    ("duration_us", "text"),
    [
        (0, "0s"),
        (-1, "0s"),
        (1, "1µs"),
        (999, "999µs"),
        (1_000, "1ms"),
        (1_010, "1.01ms"),
        (1_234, "1.234ms"),
        (999_999, "999.999ms"),
        (1_000_000, "1s"),
        (1_500_000, "1.5s"),
        (59_999_999, "59.999999s"),
        (60_000_000, "1m0s"),
        (61_250_000, "1m1.25s"),
        (3_600_000_000, "1h0m0s"),
        (90_061_000_001, "25h1m1.000001s"),
    ],
)
def test_a_duration_reads_as_go_prints_it(duration_us: int, text: str) -> None:
    assert duration_text(duration_us).decode() == text


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/St_Johns"])
def test_a_time_is_local_with_milliseconds(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for wall_us in (0, 951_782_399_999_999, 1_709_208_000_007_000, 1_700_000_000_123_456):
            local = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(wall_us // 1_000_000))
            assert time_text(wall_us).decode() == f"{local}.{wall_us // 1000 % 1000:03}"
    finally:
        os.environ.pop("TZ", None)
        time.tzset()


@given(st.binary(max_size=64))
def test_escaped_text_can_be_read_back_and_cannot_forge(raw: bytes) -> None:
    escaped = escaped_text(raw)
    assert all(0x20 <= byte < 0x7F for byte in escaped)
    assert b'"' not in escaped
    assert escaped.decode("unicode_escape").encode("latin-1") == raw


@given(st.binary(max_size=32), st.integers(0, 40))
def test_escaped_text_that_does_not_fit_is_cut_between_characters(raw: bytes, room: int) -> None:
    cut = escaped_text(raw, room)
    assert len(cut) <= room
    assert raw.startswith(cut.decode("unicode_escape").encode("latin-1"))
