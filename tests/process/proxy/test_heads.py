"""What the next hop sees of a head: bytes, order and case as they came, but for what concerns one connection."""

import time
from email.utils import parsedate_to_datetime

import pytest

from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, answer
from tests.process.proxy.wire import Message

ODD_LINES = (
    b"X-Upper: A",
    b"x-lower: a",
    b"X-Twice: 1",
    b"Accept: */*",
    b"x-TWICE: 2",
    b"X-Empty:",
    b"Cookie: a=1; b=2",
    b"Cookie: c=3",
    b"!#$%&'*+-.^_`|~0: token",
    b"X-Bytes: \xe4\xf6\xfc \x80\xff",
    b"X-Tab: a\tb",
    b'X-Quoted: "a, b" , c',
    b"X-Long: " + b"v" * 5000,
    b"X-Twice: 1",
)


def normal(lines: list[bytes]) -> list[bytes]:
    """Lines without the white space around values, which may change."""
    return [b": ".join((line.partition(b":")[0], line.partition(b":")[2].strip(b" \t"))) for line in lines]


def ask(setting: Setting, data: bytes) -> Message:
    with setting.connect() as client:
        client.send(data)
        return client.response()


def test_request_lines_arrive_as_they_were_sent(setting: Setting, upstream: Upstream) -> None:
    target = b"/a//b/c/%2f%61;p?x=1&x=%zz;[]|\"<>{}^`\\~!$'()*,+=:@"
    head = b"GET " + target + b" HTTP/1.1\r\nHost: Test.Example:80\r\n" + b"\r\n".join(ODD_LINES) + b"\r\n\r\n"
    ask(setting, head)
    assert upstream.last.first_line == b"GET " + target + b" HTTP/1.1"
    assert normal(upstream.last.lines) == normal([b"Host: Test.Example:80", *ODD_LINES])


def test_dot_segments_are_resolved_before_they_are_forwarded(setting: Setting, upstream: Upstream) -> None:
    ask(setting, b"GET /a/./b/../%2e%2e/c?x=/../y HTTP/1.1\r\nHost: a\r\n\r\n")
    assert upstream.last.first_line == b"GET /c?x=/../y HTTP/1.1"


@pytest.mark.parametrize("target", [b"/a%00b", b"/a/..%2fb", b"/a/..\\b", b"/a/..;x/b"])
def test_a_path_that_servers_read_in_different_ways_takes_no_route(setting: Setting, upstream: Upstream, target: bytes) -> None:
    assert ask(setting, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n").status == 404
    assert upstream.messages == []


def test_a_plain_request_head_is_forwarded_byte_for_byte(setting: Setting, upstream: Upstream) -> None:
    head = b"DELETE /x?y HTTP/1.1\r\nAccept: */*\r\nhost: a\r\nUSER-AGENT: curl/8\r\nX: 1\r\n\r\n"
    ask(setting, head)
    assert upstream.last.head == head


def test_response_lines_arrive_as_they_were_sent(setting: Setting, upstream: Upstream) -> None:
    head = b"HTTP/1.1 299 Very \xe4 odd\r\nServer: x\r\nDate: x\r\n" + b"\r\n".join(ODD_LINES) + b"\r\nContent-Length: 0\r\n\r\n"
    upstream.script = answer(head)
    response = ask(setting, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert response.first_line == b"HTTP/1.1 299 Very \xe4 odd"
    assert normal(response.lines) == normal([b"Server: x", b"Date: x", *ODD_LINES, b"Content-Length: 0"])


def test_a_response_without_a_date_gets_one(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    date = ask(setting, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").get(b"date")
    assert date is not None
    assert abs(parsedate_to_datetime(date.decode()).timestamp() - time.time()) < 5


def test_a_plain_response_head_is_forwarded_byte_for_byte(setting: Setting, upstream: Upstream) -> None:
    head = b"HTTP/1.1 200 fine\r\ndate: x\r\ncontent-LENGTH: 0\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n"
    upstream.script = answer(head)
    assert ask(setting, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").head == head


def test_an_empty_reason_phrase_stays_empty(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n")
    assert ask(setting, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").first_line == b"HTTP/1.1 200 "


def test_what_concerns_one_connection_is_not_forwarded(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(
        b"HTTP/1.1 200 OK\r\nDate: x\r\nConnection: X-Down, keep-alive\r\nX-Down: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Proxy-Connection: x\r\nX-Stays: 1\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"
    )
    response = ask(
        setting,
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop , keep-alive\r\nX-Stays: 1\r\nx-hop: 2\r\nKeep-Alive: 5\r\n"
        b"Proxy-Connection: keep-alive\r\nTE: trailers\r\nX-Hop: 3\r\nUpgrade: h2c\r\n\r\n",
    )
    assert upstream.last.lines == [b"Host: a", b"X-Stays: 1"]
    assert response.lines == [b"Date: x", b"X-Stays: 1", b"Content-Length: 0"]


@pytest.mark.parametrize("names", ["Authorization", "Cookie, X-Forwarded-For", "Host", "Content-Length"])
def test_connection_cannot_strip_fields_that_belong_to_the_request(setting: Setting, upstream: Upstream, names: str) -> None:
    head = f"POST / HTTP/1.1\r\nHost: a\r\nConnection: {names}\r\nAuthorization: x\r\nCookie: y\r\nX-Forwarded-For: z\r\n"
    with setting.connect() as client:
        client.send(head.encode() + b"Content-Length: 2\r\n\r\nab")
        response = client.response()
        assert response.status == 400 and client.rest() == b""
    assert upstream.messages == []


def test_twenty_fields_of_every_length_arrive(setting: Setting, upstream: Upstream) -> None:
    lines = [b"X-%d: %s" % (i, b"v" * (i * 137 % 900)) for i in range(80)]
    with setting.connect() as client:
        for at in (1, 17, 4096, 16_383, 16_384, 16_385, 30_000):
            data = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"
            client.send_split(data, at)
            assert client.response().status == 200
            assert upstream.last.lines == [b"Host: a", *lines]


def test_a_head_just_below_the_limit_arrives_both_ways(setting: Setting, upstream: Upstream) -> None:
    lines = [b"X-%02d: %s" % (i, b"v" * 990) for i in range(60)]
    upstream.script = answer(b"HTTP/1.1 200 OK\r\nDate: x\r\n" + b"\r\n".join(lines) + b"\r\nContent-Length: 2\r\n\r\nok")
    for _ in range(2):
        response = ask(setting, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"\r\n".join(lines) + b"\r\n\r\n")
        assert response.lines == [b"Date: x", *lines, b"Content-Length: 2"]
        assert upstream.last.lines == [b"Host: a", *lines]


def test_the_absolute_form_becomes_the_origin_form(setting: Setting, upstream: Upstream) -> None:
    for target, seen in (
        (b"http://a.example/x?y", b"/x?y"),
        (b"HTTP://a.example", b"/"),
        (b"https://a.example?q", b"/?q"),
    ):
        ask(setting, b"GET " + target + b" HTTP/1.1\r\nHost: a.example\r\nX: 1\r\n\r\n")
        assert upstream.last.head == b"GET " + seen + b" HTTP/1.1\r\nHost: a.example\r\nX: 1\r\n\r\n"


def test_the_asterisk_form_is_forwarded(setting: Setting, upstream: Upstream) -> None:
    ask(setting, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    assert upstream.last.first_line == b"OPTIONS * HTTP/1.1"
    ask(setting, b"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n")
    assert upstream.last.first_line == b"OPTIONS * HTTP/1.1"


def test_methods_that_nobody_knows_are_forwarded(setting: Setting, upstream: Upstream) -> None:
    for method in (b"PROPFIND", b"X!#$", b"get", b"M-SEARCH"):
        assert ask(setting, method + b" / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        assert upstream.last.first_line == method + b" / HTTP/1.1"


def test_a_request_of_http_1_0_goes_on_as_http_1_1_with_a_host(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        client.send(b"GET /x HTTP/1.0\r\nA: 1\r\n\r\n")
        assert client.response().status == 200
    assert upstream.last.first_line == b"GET /x HTTP/1.1"
    assert upstream.last.all(b"host") != [] and upstream.last.get(b"a") == b"1"


def test_a_response_of_http_1_0_goes_on_as_http_1_1(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    upstream.script = answer(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    with setting.connect() as client:
        for _ in range(2):
            response = client.get("/")
            assert response.first_line == b"HTTP/1.1 200 OK" and response.body == b"ok"
            assert response.get(b"connection") is None
    tally.wait("up.connection_total", 2)


def test_a_response_of_http_1_0_that_keeps_its_connection_is_believed(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    upstream.script = answer(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
    with setting.connect() as client:
        for _ in range(3):
            assert client.get("/").body == b"ok"
    assert tally.of("up.connection_total") == 1
