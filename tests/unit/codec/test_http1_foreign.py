"""RPC heads written as HTTP/1.1: whatever a frame holds, the next hop reads one request with the same meaning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosn_mp.buffer.head import Head
from mosn_mp.codec.bolt.codec import BoltCodec
from mosn_mp.codec.bolt.limits import BoltLimits
from mosn_mp.codec.driver import CodecDriver
from mosn_mp.codec.http1.codec import Http1Codec
from mosn_mp.codec.http1.limits import Http1Limits
from tests.contract.bolt_frames import ANSWER, SOFA, Sample, block

HEAD, END = 1, 4
SERVER, CLIENT = 0, 1
Pairs = list[tuple[bytes | None, bytes | None]]


def bolt_head(frame: Sample, role: int = SERVER) -> tuple[CodecDriver, Head]:
    driver = CodecDriver(BoltCodec(role, BoltLimits()))
    driver.feed(frame.wire())
    event, head = driver.next_event()
    assert event == HEAD and isinstance(head, Head)
    return driver, head


def as_http(pairs: Pairs, content: bytes = b"") -> bytes:
    driver, head = bolt_head(Sample(headers=block(pairs), content=content))
    client = CodecDriver(Http1Codec(CLIENT, Http1Limits()))
    client.write_head(head, not content)
    if content:
        client.write_data(content)
    client.write_end()
    assert driver.body_done is not None
    return client.take_output()


def test_a_sofa_request_is_a_post_to_its_service_and_method() -> None:
    driver, head = bolt_head(Sample(headers=SOFA, content=b"hi"))
    client = CodecDriver(Http1Codec(CLIENT, Http1Limits()))
    client.write_head(head)
    client.write_data(b"hi")
    assert client.take_output() == (
        b"POST /com.example.Echo:1.0/say HTTP/1.1\r\nHost: \r\nservice: com.example.Echo:1.0\r\nsofa_head_method_name: say\r\n"
        b"sofa_head_target_app: bench\r\nContent-Length: 2\r\n\r\nhi"
    )
    assert driver.stream_id == 1


def test_pseudo_headers_become_the_request_line_and_host() -> None:
    pairs: Pairs = [(b"x-mosn-method", b"PUT"), (b"x-mosn-path", b"/p?q"), (b"x-mosn-host", b"h:80"), (b"a", b"b")]
    assert as_http(pairs) == b"PUT /p?q HTTP/1.1\r\nHost: h:80\r\na: b\r\nContent-Length: 0\r\n\r\n"


def test_a_host_field_stands_in_for_the_authority() -> None:
    pairs: Pairs = [(b"x-mosn-path", b"/p"), (b"Host", b"first"), (b"host", b"second")]
    assert as_http(pairs) == b"POST /p HTTP/1.1\r\nHost: first\r\nContent-Length: 0\r\n\r\n"
    assert b"Host: h\r\n" in as_http([*pairs, (b"x-mosn-host", b"h")])


@pytest.mark.parametrize(
    "pair",
    [
        (b"a\r\nX: y", b"b"),
        (b"a", b"b\r\nX: y"),
        (b"a", b"\0"),
        (b"a b", b"c"),
        (b"", b"c"),
        (b"a:", b"c"),
        (b"Content-Length", b"5"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Connection", b"close"),
        (b"Upgrade", b"websocket"),
        (b"Expect", b"100-continue"),
        (b"TE", b"trailers"),
    ],
)
def test_what_would_be_another_line_or_frame_is_not_written(pair: tuple[bytes, bytes]) -> None:
    assert as_http([pair, (b"x-mosn-path", b"/p")]) == b"POST /p HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("path", "written"),
    [
        (b"/a b", b"/a%20b"),
        (b"/a HTTP/1.1\r\nX: y\r\n\r\n", b"/a%20HTTP/1.1%0D%0AX:%20y%0D%0A%0D%0A"),
        (b"a", b"/a"),
        (b"*", b"/*"),
        (b"http://h/", b"/http://h/"),
        (b"/\xff#", b"/%FF%23"),
    ],
)
def test_a_path_is_escaped_where_it_has_to_be(path: bytes, written: bytes) -> None:
    assert as_http([(b"x-mosn-path", path)]).startswith(b"POST " + written + b" HTTP/1.1\r\n")


@pytest.mark.parametrize(("name", "value"), [(b"x-mosn-method", b"GET / HTTP/1.1\r\n"), (b"x-mosn-host", b"h\r\nX: y")])
def test_a_method_or_host_that_is_none_is_not_written(name: bytes, value: bytes) -> None:
    assert as_http([(name, value)]) == b"POST / HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("pair", [(b"x-mosn-method", b"CONNECT"), (b"x-mosn-path", b"/" + b"a" * 8192)])
def test_what_http_cannot_ask_is_refused(pair: tuple[bytes, bytes]) -> None:
    with pytest.raises(NotImplementedError):
        as_http([pair])


def test_the_body_of_a_refused_request_is_not_written() -> None:
    driver, head = bolt_head(Sample(headers=block([(b"x-mosn-method", b"CONNECT")]), content=b"GET / HTTP/1.1"))
    client = CodecDriver(Http1Codec(CLIENT, Http1Limits()))
    with pytest.raises(NotImplementedError):
        client.write_head(head)
    with pytest.raises(ValueError, match="body for a message that has none"):
        client.write_data(b"GET / HTTP/1.1")
    assert client.take_output() == b"" and driver.stream_id == 1


def test_a_response_keeps_its_status_and_clean_fields() -> None:
    frame = ANSWER._replace(status=7, headers=block([(b"a", b"b"), (b"c", b"\r\n"), (b"content-length", b"99")]), content=b"")
    driver, head = bolt_head(frame, CLIENT)
    server = CodecDriver(Http1Codec(SERVER, Http1Limits()))
    server.feed(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert server.next_event()[0] == HEAD
    server.write_head(head, True)
    assert server.take_output() == b"HTTP/1.1 504 Gateway Timeout\r\na: b\r\nContent-Length: 0\r\n\r\n"
    assert driver.stream_id == 7


KEYS = st.sampled_from([b"service", b"x-mosn-path", b"x-mosn-method", b"x-mosn-host", b"Host", b"Connection", b"Content-Length"])
TEXTS = st.binary(max_size=12) | st.text("aZ/ :%\r\n\0.@,", max_size=12).map(str.encode)


@given(st.lists(st.tuples(KEYS | TEXTS, TEXTS), max_size=6), st.binary(max_size=20))
def test_any_frame_is_one_request_to_the_next_hop(pairs: Pairs, content: bytes) -> None:
    if (b"x-mosn-method", b"CONNECT") in pairs:
        return
    wire = as_http(pairs, content)
    server = CodecDriver(Http1Codec(SERVER, Http1Limits()))
    server.feed(wire + b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
    event, head = server.next_event()
    assert event == HEAD, (wire, head)
    events = server.pull()
    assert events[-1] == (END, None)
    assert b"".join(shown for event, shown in events[:-1] if isinstance(shown, bytes)) == content
    assert server.unread.startswith(b"GET /next")
