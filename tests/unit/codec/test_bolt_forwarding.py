"""What the bolt codec writes: frames forwarded, edited, converted, and any of them once more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosn_mp.buffer.head import Head
from mosn_mp.codec.driver import CodecDriver
from mosn_mp.codec.http1.codec import Http1Codec
from mosn_mp.codec.http1.limits import Http1Limits
from tests.contract.bolt_frames import (
    ANSWER,
    ANSWER_V2,
    ANSWER_V2_CRC,
    ONE_WAY,
    REQUEST,
    RESPONSE,
    RPC_REQUEST,
    RPC_RESPONSE,
    V1,
    V2,
    V2_CRC,
    Sample,
    block,
)
from tests.contract.codec_kit import CLIENT, NEED_MORE, SERVER
from tests.unit.codec.bolt_sides import ALL_FORMS, driver, read, write

TEXT = st.binary(max_size=40)


@ALL_FORMS
def test_an_untouched_request_is_the_same_but_for_its_id(request_frame: Sample) -> None:
    for frame in (request_frame, request_frame._replace(type=ONE_WAY, timeout=-1), request_frame._replace(content=b"")):
        _, head, content = read(frame.wire())
        assert write(head, content, 0xFFFFFFFF) == frame._replace(id=0xFFFFFFFF).wire()


@pytest.mark.parametrize("answer", [ANSWER, ANSWER_V2, ANSWER_V2_CRC], ids=["v1", "v2", "v2-crc"])
def test_an_untouched_response_is_the_same_but_for_its_id(answer: Sample) -> None:
    for frame in (answer, answer._replace(status=18), answer._replace(content=b"", headers=b"", class_name=b"")):
        _, head, content = read(frame.wire(), CLIENT)
        assert write(head, content, 5, SERVER) == frame._replace(id=5).wire()


@ALL_FORMS
def test_an_edit_changes_the_block_and_nothing_else(request_frame: Sample) -> None:
    _, head, content = read(request_frame.wire())
    head.set("service", "other")
    head.add("x-new", "1")
    head.remove("sofa_head_target_app")
    edited = block([(b"service", b"other"), (b"sofa_head_method_name", b"say"), (b"x-new", b"1")])
    assert write(head, content, 8) == request_frame._replace(id=8, headers=edited).wire()


def test_an_edit_drops_null_pairs() -> None:
    _, head, _ = read(Sample(headers=block([(b"a", None), (b"b", b"1")])).wire())
    head.set("b", "2")
    assert write(head, b"", 1) == Sample(headers=block([(b"b", b"2")])).wire()


@pytest.mark.parametrize("named", [False, True])
def test_an_edited_pseudo_header_becomes_its_key(named: bool) -> None:
    pairs: list[tuple[bytes | None, bytes | None]] = [(b"service", b"s")]
    if named:
        pairs += [(b"x-mosn-path", b"/p"), (b"x-mosn-method", b"GET"), (b"x-mosn-host", b"h")]
    for name, key in (("path", b"x-mosn-path"), ("method", b"x-mosn-method"), ("authority", b"x-mosn-host")):
        _, head, _ = read(Sample(headers=block(pairs)).wire())
        setattr(head, name, b"/new" if name == "path" else b"NEW")
        _, again, _ = read(write(head, b"", 1))
        assert getattr(again, name) == (b"/new" if name == "path" else b"NEW")
        assert len(again.get_all(key)) == 1
        assert len(again) == (4 if named else 2)


def test_an_edited_service_does_not_pin_the_old_path() -> None:
    _, head, _ = read(V1.wire())
    head.set("service", "other")
    _, again, _ = read(write(head, b"", 1))
    assert again.path == b"/other/say" and "x-mosn-path" not in again


def test_an_edited_status_is_written() -> None:
    _, head, content = read(ANSWER._replace(status=18).wire(), CLIENT)
    head.status = 504
    assert write(head, content, 7, SERVER) == ANSWER._replace(status=7).wire()


@ALL_FORMS
def test_another_length_of_content_is_announced(request_frame: Sample) -> None:
    _, head, _ = read(request_frame.wire())
    assert write(head, b"", 7) == request_frame._replace(content=b"").wire()


def test_content_that_is_not_as_announced_is_our_own_mistake() -> None:
    side = driver(CLIENT)
    _, head, _ = read(V1.wire())
    side.write_head(head)
    with pytest.raises(ValueError, match="longer than announced by 1"):
        side.write_data(V1.content + b"x")
    with pytest.raises(ValueError, match="shorter than announced by 7"):
        side.write_end()


def test_a_block_that_edits_made_too_long_is_not_written() -> None:
    _, head, _ = read(V1.wire())
    head.add("x", b"v" * 32768)
    side = driver(CLIENT)
    with pytest.raises(NotImplementedError):
        side.write_head(head)
    with pytest.raises(ValueError, match="longer than announced"):
        side.write_data(b"x")
    assert side.take_output() == b""


@pytest.mark.parametrize("version", [1, 2])
def test_a_response_of_our_own_has_the_form_of_the_first_frame(version: int) -> None:
    for first in (V1, V2, V2_CRC):
        side = driver(SERVER, version)
        side.feed(first.wire() + V1.wire() + V2.wire())
        while side.next_event()[0] != NEED_MORE:
            pass
        reply = Head()
        reply.status = 404
        reply.add("a", "b")
        side.stream_id = 7
        side.write_head(reply, True)
        expected = ANSWER._replace(status=6, class_name=b"", headers=block([(b"a", b"b")]), content=b"")
        assert side.take_output() == expected._replace(code=first.code, ver1=first.ver1).wire()


@pytest.mark.parametrize("version", [1, 2])
def test_a_request_from_another_protocol_is_a_request_with_its_pseudo_headers(version: int) -> None:
    http = CodecDriver(Http1Codec(SERVER, Http1Limits()))
    http.feed(b"PUT /a?b HTTP/1.1\r\nHost: h:1\r\nX-A: 1\r\nConnection: x-b\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nhi")
    _, head = http.next_event()
    assert isinstance(head, Head)
    pairs = [(b"X-A", b"1"), (b"x-mosn-method", b"PUT"), (b"x-mosn-path", b"/a?b"), (b"x-mosn-host", b"h:1")]
    expected = Sample(code=version, id=3, timeout=-1, headers=block(list(pairs)), content=b"hi")
    assert write(head, b"hi", 3, CLIENT, version) == expected.wire()
    side = driver(CLIENT, version)
    side.stream_id, side.timeout_ms, side.one_way = 3, 250, True
    side.write_head(head)
    side.write_data(b"hi")
    assert side.take_output() == expected._replace(type=ONE_WAY, timeout=250).wire()


def test_a_body_of_unknown_length_has_to_be_collected_first() -> None:
    http = CodecDriver(Http1Codec(SERVER, Http1Limits()))
    http.feed(b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    _, head = http.next_event()
    assert isinstance(head, Head)
    with pytest.raises(NotImplementedError):
        driver(CLIENT).write_head(head)


def test_v2_with_ver1_1_has_no_checksum_whatever_its_switch_says() -> None:
    _, head, content = read(V2._replace(switch=1).wire())
    assert write(head, content, 1) == V2._replace(switch=1, id=1).wire()


SAMPLES = st.builds(
    Sample,
    code=st.sampled_from([1, 2]),
    ver1=st.sampled_from([1, 2]),
    type=st.sampled_from([REQUEST, ONE_WAY]),
    command=st.just(RPC_REQUEST),
    ver2=st.sampled_from([1, 2]),
    id=st.integers(0, 0xFFFFFFFF),
    codec=st.integers(0, 255),
    switch=st.integers(0, 127),
    timeout=st.integers(-1, 1 << 30),
    class_name=TEXT,
    headers=st.lists(st.tuples(st.none() | TEXT, st.none() | TEXT), max_size=6).map(block),
    content=st.binary(max_size=300),
    class_len=st.none(),
    header_len=st.none(),
    content_len=st.none(),
    crc=st.none(),
)


@given(SAMPLES, st.integers(0, 0xFFFFFFFF))
def test_any_request_is_forwarded_as_it_came(sample: Sample, stream_id: int) -> None:
    side, head, content = read(sample.wire())
    assert side.stream_id == sample.id and content == sample.content
    assert write(head, content, stream_id) == sample._replace(id=stream_id).wire()


@given(SAMPLES, st.text("abc-", min_size=1, max_size=5), st.text("xyz ", max_size=5))
def test_an_edited_request_is_read_with_the_edit(sample: Sample, name: str, value: str) -> None:
    _, head, content = read(sample.wire())
    head.set(name, value)
    items = head.items()
    _, again, same = read(write(head, content, sample.id))
    assert again.items() == items and same == content


@given(SAMPLES, st.integers(0, 0xFFFF))
def test_any_response_is_forwarded_as_it_came(sample: Sample, status: int) -> None:
    sample = sample._replace(type=RESPONSE, command=RPC_RESPONSE, status=status)
    _, head, content = read(sample.wire(), CLIENT)
    assert write(head, content, 1, SERVER) == sample._replace(id=1).wire()


def test_room_is_asked_for_exactly() -> None:
    for frame in (V1, V2_CRC, V2_CRC._replace(content=b"")):
        _, head, content = read(frame.wire())
        assert 0 < driver(CLIENT).room_needed(head, not content) <= len(frame.wire()) + 4
        head.set("service", "other-service")
        assert driver(CLIENT).room_needed(head, not content) > 0
    assert driver(CLIENT, 2).room_needed(Head(), True) > 0
