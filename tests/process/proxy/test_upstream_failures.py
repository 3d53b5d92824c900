"""Upstreams that fail: refused, unreachable, gone before, during or behind the response, talking nonsense."""

import contextlib
import threading
import time

import pytest

from tests.ports import free_port
from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Script, Upstream, Visit, answer, ok
from tests.process.proxy.wire import ClosedError, request

HEAD = b"HTTP/1.1 200 OK\r\n"


def configure(setting: Setting, origin: Upstream) -> None:
    setting.add_cluster("refusing", free_port())
    setting.add_cluster("half", free_port(), origin.port)
    setting.add_cluster("none")
    setting.add_black_hole("hole", connect_timeout="150ms")


def breaks_off(data: bytes, how: str = "shut") -> Script:
    """A script that sends *data* and ends the connection."""

    def script(visit: Visit) -> None:
        if data:
            visit.send(data)
            time.sleep(0.01)
        getattr(visit, how)()

    return script


def test_a_refused_connect_is_502(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect() as client:
        for _ in range(3):
            response = client.get("/refusing")
            assert (response.status, response.body) == (502, b"upstream connect failed\n")
        assert client.get("/").status == 200
    tally.wait("refusing.connection_con_fail", 3)
    assert tally.of("front.request_502_total") == 3 and tally.of("front.request_failed") == 3


def test_after_a_refused_connect_the_next_host_is_tried(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        for method in ("GET", "POST"):
            for _ in range(4):
                client.send(request("/half", method=method, body=b"body" if method == "POST" else None))
                assert client.response().status == 200
    assert len(upstream.messages) == 8


def test_a_cluster_without_hosts_is_502(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        response = client.get("/none")
        assert (response.status, response.body) == (502, b"no healthy upstream\n")


def test_a_connect_that_takes_too_long_is_502(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect() as client:
        begun = time.monotonic()
        response = client.get("/hole")
        assert (response.status, response.body) == (502, b"upstream connect timeout\n")
        assert 0.1 < time.monotonic() - begun < 2.5  # the default is 3 s
        assert client.get("/").status == 200
    tally.wait("hole.connection_connect_timeout", 1)


@pytest.mark.parametrize("how", ["shut", "reset"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_upstream_that_closes_before_it_answers_is_502(setting: Setting, upstream: Upstream, how: str, method: str) -> None:
    upstream.script = breaks_off(b"", how)
    tally = setting.tally()
    with setting.connect() as client:
        client.send(request("/", method=method, body=b"x" if method == "POST" else None))
        assert client.response().status == 502
        upstream.script = answer(ok())
        assert client.get("/").status == 200
    assert len(upstream.messages) == 2
    assert tally.of("up.request_retry") == 0


def prepare_idle(setting: Setting, upstream: Upstream) -> None:
    """One pooled connection, used once."""
    upstream.script = answer(ok())
    with setting.connect() as client:
        assert client.get("/").status == 200


@pytest.mark.parametrize("how", ["shut", "reset"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_a_reused_connection_that_dies_costs_an_idempotent_request_nothing(
    setting: Setting, upstream: Upstream, how: str, method: str
) -> None:
    prepare_idle(setting, upstream)
    tally = setting.tally()

    def script(visit: Visit) -> None:
        if visit.number > 1:
            return getattr(visit, how)()  # type: ignore[no-any-return]
        return visit.send(ok(b"" if method == "HEAD" else b"again"))

    upstream.script = script
    with setting.connect() as client:
        assert client.get("/", method=method).status == 200
    assert [m.first_line for m in upstream.messages[1:]] == [f"{method} / HTTP/1.1".encode()] * 2
    assert upstream.messages[1].head == upstream.messages[2].head
    tally.wait("up.request_retry", 1)
    tally.wait("up.connection_total", 1)


@pytest.mark.parametrize(
    ("method", "body"), [("POST", b""), ("POST", b"x"), ("PATCH", None), ("PUT", b"streamed already"), ("X", None)]
)
def test_a_reused_connection_that_dies_is_502_for_other_requests(
    setting: Setting, upstream: Upstream, method: str, body: bytes | None
) -> None:
    prepare_idle(setting, upstream)
    upstream.script = breaks_off(b"")
    with setting.connect() as client:
        client.send(request("/", method=method, body=body))
        assert client.response().status == 502
    assert len(upstream.messages) == 2


def test_a_request_is_sent_again_only_once(setting: Setting, upstream: Upstream) -> None:
    prepare_idle(setting, upstream)
    upstream.script = breaks_off(b"")
    with setting.connect() as client:
        assert client.get("/").status == 502
    assert len(upstream.messages) == 3


def test_a_reused_connection_that_dies_inside_the_response_is_502(setting: Setting, upstream: Upstream) -> None:
    prepare_idle(setting, upstream)
    upstream.script = breaks_off(b"HTTP/1.1 200 OK\r\nConte")
    with setting.connect() as client:
        assert client.get("/").status == 502
    assert len(upstream.messages) == 2


def test_an_idle_connection_that_the_host_closed_is_noticed_before_use(setting: Setting, upstream: Upstream) -> None:
    for how in ("shut", "reset", "send"):
        prepare_idle(setting, upstream)
        tally = setting.tally()
        for wire in upstream.wires:
            with contextlib.suppress(OSError):
                wire.send(b"HTTP/1.1 200 OK\r\n\r\n") if how == "send" else getattr(wire, how)()
        tally.wait("up.connection_active", -1)
        with setting.connect() as client:
            client.send(request("/", method="POST", body=b"x"))
            assert client.response().status == 200
        assert tally.of("up.request_retry") == 0
        assert tally.of("up.connection_remote_close") == 1
        upstream.hang_up()
        tally.wait("up.connection_active", -1)


GARBAGE = [
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\x16\x03\x01\x02\x00\x01" + bytes(100),
    b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    HEAD + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    HEAD + b"Content-Length: 1, 1\r\n\r\nx",
    HEAD + b"Content-Length: -1\r\n\r\n",
    HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    HEAD + b" folded\r\nContent-Length: 0\r\n\r\n",
    HEAD + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    HEAD + b"X\x00: a\r\nContent-Length: 0\r\n\r\n",
    HEAD + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("response", GARBAGE)
def test_a_response_that_breaks_the_rules_is_502(setting: Setting, upstream: Upstream, response: bytes) -> None:
    upstream.script = answer(response)
    with setting.connect() as client:
        reply = client.get("/")
        assert (reply.status, reply.body) == (502, b"upstream sent an invalid response\n")
        upstream.script = answer(ok())
        assert client.get("/").status == 200
    assert upstream.connections and len(upstream.messages) == 2


def test_a_response_head_beyond_the_limit_is_502(setting: Setting, upstream: Upstream) -> None:
    for lines in (b"X: " + b"v" * 70_000 + b"\r\n", b"X-%d: v\r\n" * 1000 % tuple(range(1000)), b"X" * 200_000):
        upstream.script = answer(HEAD + lines + b"Content-Length: 0\r\n\r\n")
        with setting.connect() as client:
            assert client.get("/").status == 502


TRUNCATED = [
    HEAD + b"Content-Length: 100\r\n\r\n",
    HEAD + b"Content-Length: 100\r\n\r\n" + b"x" * 99,
    HEAD + b"Content-Length: 1000000\r\n\r\n" + b"x" * 500_000,
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("how", ["shut", "reset"])
@pytest.mark.parametrize("response", TRUNCATED, ids=range(len(TRUNCATED)))
def test_a_truncated_response_never_looks_complete(setting: Setting, upstream: Upstream, response: bytes, how: str) -> None:
    upstream.script = breaks_off(response, how)
    tally = setting.tally()
    with setting.connect() as client:
        client.send(request("/"))
        with pytest.raises((ClosedError, ConnectionResetError)):
            client.response()
    tally.wait("front.request_failed", 1)


def test_a_truncated_response_never_looks_complete_to_http_1_0(setting: Setting, upstream: Upstream) -> None:
    for response in TRUNCATED[1:6]:
        upstream.script = breaks_off(response)
        with setting.connect() as client:
            client.send(b"GET / HTTP/1.0\r\n\r\n")
            with pytest.raises((ClosedError, ConnectionResetError)):
                client.response()


@pytest.mark.parametrize(
    "surplus", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
def test_bytes_behind_a_response_are_never_an_answer(setting: Setting, upstream: Upstream, surplus: bytes) -> None:
    upstream.script = answer(ok(b"right") + surplus)
    with setting.connect() as client, setting.connect() as other:
        for _ in range(10):
            assert client.get("/").body == b"right"
            assert other.get("/").body == b"right"


DATED_OK = b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 6\r\n\r\npoison"


@pytest.mark.parametrize("response", [b"HTTP/1.1 304 Not Modified\r\nDate: x\r\nContent-Length: 6\r\n\r\npoison", DATED_OK])
def test_a_body_that_must_not_be_is_never_an_answer(setting: Setting, upstream: Upstream, response: bytes) -> None:
    method = "HEAD" if b"200" in response else "GET"
    upstream.script = answer(response)
    with setting.connect() as client:
        for _ in range(5):
            client.send(request("/", method=method))
            assert client.head().head == response.removesuffix(b"poison")
            assert client.is_quiet(0.01)


def test_answers_to_pipelined_requests_keep_their_places_around_a_failure(setting: Setting, upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        if b"/bad" in visit.message.first_line:
            visit.shut()
        else:
            visit.send(ok(visit.message.first_line.split()[1]))

    upstream.script = script
    with setting.connect() as client:
        client.send(b"".join(request(path) for path in ("/1", "/bad", "/2", "/refusing", "/3", "/bad", "/4")))
        assert [client.response().status for _ in range(7)] == [200, 502, 200, 502, 200, 502, 200]


def test_other_requests_do_not_suffer_from_an_upstream_that_hangs(setting: Setting, upstream: Upstream) -> None:
    release = threading.Event()

    def script(visit: Visit) -> None:
        if b"/hang" in visit.message.first_line:
            release.wait(8)
        visit.send(ok())

    upstream.script = script
    hanging = [setting.connect() for _ in range(40)]
    for client in hanging:
        client.send(request("/hang"))
    with setting.connect() as client:
        for _ in range(50):
            assert client.get("/").status == 200
    release.set()
    for client in hanging:
        assert client.response().status == 200
        client.close()
