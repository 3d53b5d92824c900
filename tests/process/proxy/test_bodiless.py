"""Messages without a body, or with an empty one, and those that end with their connection."""

import pytest

from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit, answer
from tests.process.proxy.wire import Message, chunked, pattern, without_hops

CHUNKED_POST = b"POST /x HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED_OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_an_empty_body_by_length_stays_one(setting: Setting, bodies: list[Message]) -> None:
    with setting.connect() as client:
        assert client.get("/", "Content-Length: 0", method="POST").body == b"0"
    assert bodies[0].all(b"content-length") == [b"0"]


def test_an_empty_chunked_body_stays_empty(setting: Setting, bodies: list[Message]) -> None:
    with setting.connect() as client:
        for _ in range(2):
            client.send(CHUNKED_POST + b"0\r\n\r\n")
            assert client.response().body == b"0"


def test_a_post_without_a_body_stays_without(setting: Setting, bodies: list[Message]) -> None:
    with setting.connect() as client:
        assert client.get("/", method="POST").status == 200
    assert without_hops(bodies[0]) == bodies[0].lines == [b"Host: test"]


@pytest.mark.parametrize("framing", [b"Content-Length: 0\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])
def test_an_empty_response_body_stays_empty(setting: Setting, upstream: Upstream, framing: bytes) -> None:
    upstream.script = answer(b"HTTP/1.1 200 OK\r\n" + framing)
    with setting.connect() as client:
        for _ in range(3):
            assert client.get("/").body == b""


def test_head_has_the_lines_of_get_and_no_body(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 12345\r\n\r\n")
    with setting.connect() as client:
        for _ in range(3):
            response = client.get("/", method="HEAD")
            assert response.get(b"content-length") == b"12345" and response.body == b""
            assert client.is_quiet(0.01)
    assert {m.first_line for m in upstream.messages} == {b"HEAD / HTTP/1.1"}


def test_head_of_a_chunked_resource_has_no_body(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(CHUNKED_OK)
    with setting.connect() as client:
        for _ in range(3):
            assert client.get("/", method="HEAD").get(b"transfer-encoding") == b"chunked"
            assert client.is_quiet(0.01)


def test_head_of_a_direct_response_has_its_length_and_no_body(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        for _ in range(3):
            assert client.get("/ping", method="HEAD").get(b"content-length") == b"4"
            assert client.is_quiet(0.01)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_no_content_and_not_modified_have_no_body(setting: Setting, upstream: Upstream, status: bytes) -> None:
    tally = setting.tally()
    upstream.script = answer(b"HTTP/1.1 " + status + b"\r\nETag: x\r\n\r\n")
    with setting.connect() as client:
        for _ in range(3):
            response = client.get("/")
            assert response.status == int(status[:3]) and response.get(b"content-length") is None
            assert response.get(b"transfer-encoding") is None and response.get(b"etag") == b"x"
            assert client.is_quiet(0.01)
    assert tally.of("up.connection_total") == 1


def test_not_modified_keeps_the_length_that_it_speaks_of(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7777\r\n\r\n")
    with setting.connect() as client:
        for _ in range(2):
            assert client.get("/").get(b"content-length") == b"7777"


def close_delimited(visit: Visit) -> None:
    visit.send(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n")
    visit.send_pieces(pattern(50_000), 20_000)
    visit.shut()


def test_a_response_that_ends_with_its_connection_becomes_chunked(setting: Setting, upstream: Upstream) -> None:
    upstream.script = close_delimited
    with setting.connect() as client:
        for _ in range(2):
            response = client.get("/")
            assert response.get(b"transfer-encoding") == b"chunked" and response.body == pattern(50_000)
            assert response.get(b"connection") is None


def test_a_client_of_http_1_0_gets_a_response_that_ends_with_its_connection(setting: Setting, upstream: Upstream) -> None:
    for script in (
        close_delimited,
        answer(CHUNKED_OK + chunked(pattern(20_000), pattern(50_000)[20_000:], trailers=b"T: 1\r\n")),
    ):
        upstream.script = script
        with setting.connect() as client:
            client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            response = client.response()
            assert response.get(b"transfer-encoding") is None and response.get(b"connection") == b"close"
            assert response.body == pattern(50_000)
