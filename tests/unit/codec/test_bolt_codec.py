"""The bolt codec beyond its wire samples: what a frame means, and limits."""

import pytest
from hypothesis import strategies as st

from mosn_mp.buffer.head import Head
from mosn_mp.codec.bolt.limits import BoltLimits
from mosn_mp.codec.bolt.status import to_http
from mosn_mp.codec.driver import facts
from mosn_mp.errors import Reason
from tests.contract.bolt_frames import (
    ANSWER,
    ONE_WAY,
    V1,
    V2,
    V2_CRC,
    Sample,
    block,
)
from tests.contract.codec_kit import CLIENT, DATA, END, ERROR, HEAD, NEED_MORE, SERVER
from tests.unit.codec.bolt_sides import ALL_FORMS, driver, read

JAVA_TAKES = {*range(10), 16, 17, 18}
TEXT = st.binary(max_size=40)


# --- reading ------------------------------------------------------------------------------------------------------------------


@ALL_FORMS
def test_a_request_says_what_its_frame_says(request_frame: Sample) -> None:
    side, head, content = read(request_frame.wire())
    assert (side.stream_id, side.timeout_ms, side.one_way) == (7, 10000, False)
    assert (head.method, head.path, head.authority, head.status) == (b"POST", b"/com.example.Echo:1.0/say", b"", 0)
    assert head.get("service") == b"com.example.Echo:1.0" and head.get("SERVICE") == b"com.example.Echo:1.0"
    assert len(head) == 3 and content == request_frame.content
    assert facts(head).content_length == len(content)


@pytest.mark.parametrize(
    ("pairs", "method", "path", "authority"),
    [
        ([], b"POST", b"/", b""),
        ([(b"service", b"s")], b"POST", b"/s", b""),
        ([(b"sofa_head_method_name", b"m")], b"POST", b"/", b""),
        ([(b"service", b"s"), (b"sofa_head_method_name", b"m")], b"POST", b"/s/m", b""),
        ([(b"service", b"s"), (b"x-mosn-path", b"/p?q")], b"POST", b"/p?q", b""),
        ([(b"x-mosn-method", b"PUT"), (b"x-mosn-host", b"h:1")], b"PUT", b"/", b"h:1"),
        ([(b"x-mosn-method", b""), (b"x-mosn-path", b"")], b"POST", b"/", b""),
        ([(b"Service", b"s")], b"POST", b"/", b""),
        ([(b"service", b"first"), (b"service", b"second")], b"POST", b"/first", b""),
    ],
)
def test_pseudo_headers_come_from_keys(
    pairs: list[tuple[bytes | None, bytes | None]], method: bytes, path: bytes, authority: bytes
) -> None:
    _, head, _ = read(Sample(headers=block(pairs)).wire())
    assert (head.method, head.path, head.authority) == (method, path, authority)


@pytest.mark.parametrize(("timeout", "seen"), [(3000, 3000), (0, 0), (-1, -1), (-2147483648, -1), (2147483647, 2147483647)])
def test_the_timeout_of_the_frame_is_known(timeout: int, seen: int) -> None:
    side, _, _ = read(V1._replace(timeout=timeout).wire())
    assert side.timeout_ms == seen


def test_a_one_way_request_is_one() -> None:
    side, _, _ = read(V1._replace(type=ONE_WAY, timeout=-1).wire() + V1.wire())
    assert side.one_way and side.timeout_ms == -1
    assert side.next_event()[0] == HEAD and not side.one_way


def test_null_keys_and_values_do_not_count() -> None:
    pairs = [(b"a", None), (None, b"x"), (None, None), (b"b", b""), (b"", b"c")]
    _, head, _ = read(Sample(headers=block(pairs)).wire())
    assert head.items() == [(b"b", b""), (b"", b"c")]


def test_v1_and_v2_may_be_mixed_on_one_connection() -> None:
    side = driver(SERVER)
    side.feed(V1.wire() + V2_CRC._replace(id=8).wire() + V2._replace(id=9).wire() + V1._replace(id=10).wire())
    seen = []
    for _ in range(4):
        assert side.next_event()[0] == HEAD
        seen.append(side.stream_id)
        assert side.pull() == [(DATA, V1.content), (END, None)]
    assert seen == [7, 8, 9, 10] and side.next_event() == (NEED_MORE, None)


def test_heads_of_several_frames_stay_good_in_the_same_bytes() -> None:
    side = driver(SERVER)
    heads = [Head() for _ in range(3)]
    for number, head in enumerate(heads):
        side.feed(V1._replace(headers=block([(b"n", b"%d" % number)])).wire())
        side.use_head(head)
        assert [event for event, _ in (side.next_event(), side.next_event(), side.next_event())] == [HEAD, DATA, END]
        assert head.get("n") == b"%d" % number


@pytest.mark.parametrize(("bolt", "http"), [(0, 200), (4, 503), (7, 504), (16, 502), (1, 500), (6, 500), (18, 500), (999, 500)])
def test_a_response_has_the_http_status_of_its_own(bolt: int, http: int) -> None:
    _, head, _ = read(ANSWER._replace(status=bolt).wire(), CLIENT)
    assert head.status == http == to_http(bolt)


# --- limits -------------------------------------------------------------------------------------------------------------------


def error_of(frame: bytes, role: int = SERVER, **limits: int) -> tuple[Reason, bytes]:
    side = driver(role, **limits)
    side.feed(frame)
    event, shown = side.next_event()
    assert event == ERROR and isinstance(shown, tuple) and not side.keep_alive
    return shown


def test_a_frame_that_is_too_large_is_refused_by_its_fixed_part() -> None:
    fixed = V1._replace(content_len=1000).fixed()
    size = len(fixed) + len(V1.class_name) + len(V1.headers) + 1000
    assert error_of(fixed, max_frame=size - 1) == (Reason.BODY_TOO_LARGE, b"frame is larger than max_frame")
    side = driver(SERVER, max_frame=size)
    side.feed(fixed)
    assert side.next_event() == (NEED_MORE, None)


def test_a_frame_of_64_mib_is_refused_by_default() -> None:
    assert error_of(V1._replace(content_len=64 << 20).fixed())[0] is Reason.BODY_TOO_LARGE


@pytest.mark.parametrize("length", [1 << 31, (1 << 32) - 1])
def test_a_length_that_java_takes_for_negative_is_refused(length: int) -> None:
    for frame in (V1, V2):
        reason, detail = error_of(frame._replace(content_len=length).fixed(), max_frame=0x7FFFFFFF)
        assert reason is Reason.BODY_TOO_LARGE and detail == b"content is longer than 2^31 - 1 bytes"
        assert error_of(frame._replace(class_len=32768).fixed())[0] is Reason.BAD_REQUEST
        assert error_of(frame._replace(header_len=65535).fixed())[0] is Reason.BAD_REQUEST


def test_a_head_may_fill_its_limit_but_not_more() -> None:
    headers = block([(b"k", b"v" * (1024 - 22 - 9))])
    read_at_limit = driver(SERVER, max_head_bytes=1024)
    read_at_limit.feed(Sample(headers=headers).wire())
    assert read_at_limit.next_event()[0] == HEAD
    assert error_of(Sample(headers=headers).wire(), max_head_bytes=1023)[0] is Reason.HEAD_TOO_LARGE


def test_fields_are_counted() -> None:
    headers = block([(b"k", b"v")] * 5)
    assert error_of(Sample(headers=headers).wire(), max_fields=4) == (Reason.HEAD_TOO_LARGE, b"too many header fields")


def test_a_server_that_breaks_the_rules_is_always_the_same_reason() -> None:
    assert error_of(ANSWER._replace(content_len=64 << 20).fixed(), CLIENT)[0] is Reason.UPSTREAM_PROTOCOL


@pytest.mark.parametrize(
    "limits", [{"max_frame": 63}, {"max_frame": 1 << 31}, {"max_head_bytes": 61441}, {"max_fields": -1}, {"max_fields": 1025}]
)
def test_limits_that_cannot_be_kept_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="max_"):
        BoltLimits(**limits)


# --- forwarding ---------------------------------------------------------------------------------------------------------------


# --- heads of other protocols -------------------------------------------------------------------------------------------------


# --- round trips --------------------------------------------------------------------------------------------------------------
