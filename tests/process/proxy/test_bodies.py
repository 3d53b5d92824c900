"""Bodies through the proxy, both ways: framing, splits, trailers, back-pressure."""

import hashlib
import select
import threading
import time

import pytest

from tests.process.program import wait_until
from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit, answer, ok
from tests.process.proxy.wire import ClosedError, Message, Wire, chunked, pattern, request

CHUNKED_POST = b"POST /x HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED_OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SIZES = (1, 100, 4000, 8192, 8193, 16_384, 70_000, 1_000_000)


def send_and_read(client: Wire, data: bytes) -> Message:
    """Send in a thread, so that neither side waits for the other."""
    thread = threading.Thread(target=client.send, args=(data,))
    thread.start()
    response = client.response()
    thread.join()
    return response


@pytest.mark.parametrize("size", SIZES)
def test_a_request_body_by_length_arrives(setting: Setting, bodies: list[Message], size: int) -> None:
    with setting.connect() as client:
        assert send_and_read(client, request("/", method="POST", body=pattern(size))).body == b"%d" % size
    assert bodies[0].body == pattern(size)
    assert bodies[0].all(b"content-length") == [b"%d" % size] and bodies[0].get(b"transfer-encoding") is None


@pytest.mark.parametrize("size", SIZES)
def test_a_chunked_request_body_arrives(setting: Setting, bodies: list[Message], size: int) -> None:
    body = pattern(size)
    with setting.connect() as client:
        assert send_and_read(client, CHUNKED_POST + chunked(body[: size // 3 or 1], body[size // 3 or 1 :] or b"!")).status == 200
    assert bodies[0].body == (body[: size // 3 or 1] + (body[size // 3 or 1 :] or b"!"))
    assert bodies[0].all(b"transfer-encoding") == [b"chunked"] and bodies[0].get(b"content-length") is None


@pytest.mark.parametrize("size", SIZES)
def test_a_response_body_by_length_arrives(setting: Setting, upstream: Upstream, size: int) -> None:
    upstream.script = answer(ok(pattern(size)))
    with setting.connect() as client:
        for _ in range(2):
            response = client.get("/")
            assert response.body == pattern(size)
            assert response.all(b"content-length") == [b"%d" % size] and response.get(b"transfer-encoding") is None


@pytest.mark.parametrize("size", SIZES)
def test_a_chunked_response_body_arrives(setting: Setting, upstream: Upstream, size: int) -> None:
    upstream.script = answer(CHUNKED_OK + chunked(pattern(size), b"tail"))
    with setting.connect() as client:
        for _ in range(2):
            response = client.get("/")
            assert response.body == pattern(size) + b"tail"
            assert response.all(b"transfer-encoding") == [b"chunked"] and response.get(b"content-length") is None
    assert upstream.connections


def test_a_chunked_request_may_be_cut_at_any_byte(setting: Setting, bodies: list[Message]) -> None:
    data = CHUNKED_POST + chunked(b"hello", b"world of pieces", trailers=b"X-Sum: 1\r\n")
    with setting.connect() as client:
        for at in range(1, len(data)):
            client.send_split(data, at)
            assert client.response().body == b"20"
    assert {m.body for m in bodies} == {b"helloworld of pieces"}
    assert {m.trailers for m in bodies} == {b"X-Sum: 1\r\n"}
    assert len({m.head for m in bodies}) == 1


def test_a_request_by_length_may_be_cut_at_any_byte(setting: Setting, bodies: list[Message]) -> None:
    data = request("/somewhere?a=b", "X-One: 1", "x-two:2", method="PUT", body=b"a short body")
    with setting.connect() as client:
        for at in range(1, len(data)):
            client.send_split(data, at)
            assert client.response().body == b"12"
    assert {m.body for m in bodies} == {b"a short body"}
    assert len({m.head for m in bodies}) == 1


def test_single_bytes_within_large_bodies_arrive(setting: Setting, upstream: Upstream) -> None:
    """Large enough for splice(2), which then moves one byte."""
    body = bytes(range(256)) * 256
    lengths = [1, 2, 40_000, 1, 1, len(body) - 40_006, 1]
    pieces = [body[sum(lengths[:i]) : sum(lengths[: i + 1])] for i in range(len(lengths))]
    seen = []

    def script(visit: Visit) -> None:
        seen.append(visit.exactly(len(body)))
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        for piece in pieces:
            time.sleep(0.02)
            visit.send(piece)

    upstream.script = script
    worker = setting.pids("worker")
    with setting.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        for piece in pieces:
            time.sleep(0.02)
            client.send(piece)
        response = client.response()
    assert seen == [body]
    assert response.body == body
    assert setting.pids("worker") == worker


def test_requests_sent_byte_by_byte_are_understood(setting: Setting, bodies: list[Message]) -> None:
    with setting.connect() as client:
        client.send_pieces(CHUNKED_POST + chunked(b"hello", b"w", trailers=b"T: 2\r\n"))
        assert client.response().body == b"6"
        client.send_pieces(request("/", method="POST", body=b"xyz"))
        assert client.response().body == b"3"
    assert [m.body for m in bodies] == [b"hellow", b"xyz"]


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello",
        CHUNKED_OK + chunked(b"he", b"llo", trailers=b"X-Sum: 2\r\n"),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ],
    ids=["length", "chunked", "interim"],
)
def test_a_response_may_be_cut_at_any_byte(setting: Setting, upstream: Upstream, response: bytes) -> None:
    at = 0

    def script(visit: Visit) -> None:
        visit.send_split(response, at)

    upstream.script = script
    with setting.connect() as client:
        for at in range(1, len(response)):
            message = client.get("/")
            assert (message.status, message.body) == (200, b"hello")
            assert message.trailers == (b"X-Sum: 2\r\n" if response.startswith(CHUNKED_OK) else b"")
    assert len({visit.head for visit in upstream.messages}) == 1


def test_chunk_extensions_are_dropped_both_ways(setting: Setting, upstream: Upstream) -> None:
    raw: list[bytes] = []

    def script(visit: Visit) -> None:
        raw.append(visit.until(b"0\r\n\r\n"))
        visit.send(CHUNKED_OK + b'5;a=b;c="d e"\r\nhello\r\n0;end\r\n\r\n')

    upstream.script = script
    with setting.connect() as client:
        client.send(CHUNKED_POST + b'3;x=y\r\nabc\r\n03;q="1"\r\ndef\r\n0;z\r\n\r\n')
        client.head()
        assert client.until(b"0\r\n\r\n") == b"5\r\nhello\r\n0\r\n\r\n"
    assert raw == [b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"]


def test_trailers_pass_both_ways(setting: Setting, upstream: Upstream) -> None:
    seen: list[Message] = []

    def script(visit: Visit) -> None:
        seen.append(visit.body(visit.message))
        visit.send(
            b"HTTP/1.1 200 OK\r\nTrailer: X-B\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunked(b"x", trailers=b"X-B: 2\r\nX-C:  3\r\n")
        )

    upstream.script = script
    with setting.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(chunked(b"body", trailers=b"X-A: 1\r\n"))
        response = client.response()
        assert response.trailers.split(b"\r\n")[0] == b"X-B: 2" and response.trailers.split(b"\r\n")[1].split() == [b"X-C:", b"3"]
        assert response.get(b"trailer") == b"X-B"
        assert client.get("/").status == 200
    assert seen[0].trailers == b"X-A: 1\r\n"
    assert seen[0].get(b"trailer") == b"X-A"


def test_both_bodies_stream_at_the_same_time(setting: Setting, upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        visit.send(CHUNKED_OK)
        while (size := int(visit.until(b"\r\n"), 16)) > 0:
            piece = visit.exactly(size + 2)[:-2]
            visit.send(b"%x\r\n%s\r\n" % (len(piece), piece.upper()))
        visit.until(b"\r\n")
        visit.send(b"0\r\n\r\n")

    upstream.script = script
    for _ in range(2):
        with setting.connect() as client:
            client.send(CHUNKED_POST)
            assert client.head().get(b"connection") == b"close"  # it began before the length of the request was known
            for i in range(20):
                client.send(b"4\r\ne%03d\r\n" % i)
                assert client.until(b"\r\n") + client.until(b"\r\n") == b"4\r\nE%03d\r\n" % i
            client.send(b"0\r\n\r\n")
            assert client.until(b"0\r\n\r\n")


def test_a_slow_upstream_slows_the_client_and_not_the_memory(setting: Setting, upstream: Upstream) -> None:
    wait = threading.Event()

    def script(visit: Visit) -> None:
        assert wait.wait(10)
        visit.body(visit.message)
        visit.send(ok(hashlib.sha256(visit.message.body).hexdigest().encode()))

    upstream.script = script
    body = pattern(1000) * 30_000
    with setting.connect() as client:
        client.send(request("/", f"Content-Length: {len(body)}", method="POST"))
        client.sock.setblocking(False)
        sent = 0
        while True:
            try:
                sent += client.sock.send(body[sent : sent + 65_536])
            except BlockingIOError:
                if client.is_quiet(0.1) and not _writable(client):
                    break
                client.sock.setblocking(False)
        client.sock.settimeout(8)
        assert 0 < sent < len(body)
        wait.set()
        client.send(body[sent:])
        assert client.response().body == hashlib.sha256(body).hexdigest().encode()


def _writable(client: Wire) -> bool:
    return bool(select.select([], [client.sock], [], 0.1)[1])


def test_a_body_that_the_client_breaks_off_never_looks_complete_upstream(setting: Setting, upstream: Upstream) -> None:
    ends: list[str] = []

    def script(visit: Visit) -> None:
        try:
            visit.body(visit.message)
            ends.append("complete")
        except (ClosedError, OSError):
            ends.append("broken")
            raise

    upstream.script = script
    for data in (request("/", "Content-Length: 100", method="POST") + b"x" * 50, CHUNKED_POST + b"5\r\nhello\r\n"):
        for leave in ("close", "reset", "finish"):
            with setting.connect() as client:
                client.send(data)
                upstream.wait_messages(len(ends) + 1)
                getattr(client, leave)()
                wait_until(lambda: len(ends) >= len(upstream.messages), "the end of the request upstream")
    assert ends == ["broken"] * 6
