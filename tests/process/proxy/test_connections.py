"""Persistence of client connections: keep-alive, pipelining, HTTP/1.0, who closes and how."""

import contextlib
import threading
import time

import pytest

from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit, ok
from tests.process.proxy.wire import ClosedError, connect, request


def configure(setting: Setting, origin: Upstream) -> None:
    setting.add_listener("few", max_requests_per_connection=3)
    setting.add_listener("half", allow_half_close=True)


def test_a_connection_carries_request_after_request(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect() as client:
        for i in range(50):
            response = client.get(f"/up/{i}")
            assert response.status == 200 and response.body == b"/up/%d" % i
            assert response.get(b"connection") is None
    tally.wait("front.request_total", 50)
    tally.wait("front.connection_total", 1)
    tally.wait("up.connection_total", 1)


def test_an_empty_line_before_a_request_is_skipped(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        client.send(b"\r\n" + request("/a") + b"\r\n" + request("/b"))
        assert [client.response().body, client.response().body] == [b"/a", b"/b"]


def test_a_hundred_pipelined_requests_are_answered_in_order(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        client.send(b"".join(request(f"/{i}") for i in range(100)))
        assert [client.response().body for _ in range(100)] == [b"/%d" % i for i in range(100)]
    assert [m.first_line for m in upstream.messages] == [b"GET /%d HTTP/1.1" % i for i in range(100)]


def test_pipelined_requests_with_bodies_are_answered_in_order(setting: Setting, upstream: Upstream) -> None:
    bodies = [b"%d" % i * (i * 97 % 3000) for i in range(60)]
    with setting.connect() as client:
        stream = b"".join(request("/", method="POST", body=body) for body in bodies)
        sender = threading.Thread(target=client.send, args=(stream,))
        sender.start()
        for body in bodies:
            assert client.response().body == (body or b"/")
        sender.join()


def test_pipelined_requests_of_direct_responses_and_upstreams_keep_their_order(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        client.send(b"".join(request(path) for path in ["/slow", "/ping"] * 20))
        assert [client.response().body for _ in range(40)] == [b"/slow", b"pong"] * 20


def test_pipelined_requests_cut_at_any_byte_are_the_same_requests(setting: Setting, upstream: Upstream) -> None:
    stream = request("/a") + request("/b", method="POST", body=b"body") + request("/c")
    with setting.connect() as client:
        for at in range(1, len(stream), 2):
            client.send_split(stream, at)
            assert [client.response().body for _ in range(3)] == [b"/a", b"body", b"/c"]


def test_a_client_that_pipelines_for_ever_does_not_starve_another(setting: Setting, upstream: Upstream) -> None:
    flood = b"".join(request("/ping") for _ in range(200))
    with setting.connect() as greedy, setting.connect() as modest:
        end = threading.Event()

        def pour() -> None:
            with contextlib.suppress(OSError):
                while not end.is_set():
                    greedy.send(flood)

        def drink() -> None:
            with contextlib.suppress(OSError):
                while not end.is_set():
                    greedy.sock.recv(1 << 16)

        threads = [threading.Thread(target=work) for work in (pour, drink)]
        for thread in threads:
            thread.start()
        slowest = 0.0
        for _ in range(50):
            begun = time.monotonic()
            assert modest.get("/ping").status == 200
            slowest = max(slowest, time.monotonic() - begun)
        end.set()
        greedy.shut()
        for thread in threads:
            thread.join()
    assert slowest < 3


def test_a_client_that_uploads_for_ever_does_not_starve_another(setting: Setting, upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        if visit.message.first_line.startswith(b"POST"):
            while visit.sock.recv(1 << 18):
                pass
        visit.send(ok())

    upstream.script = script
    with setting.connect() as greedy, setting.connect() as modest:
        greedy.send(request("/", "Content-Length: 100000000000", method="POST"))
        end = threading.Event()

        def pour() -> None:
            piece = bytes(1 << 18)
            while not end.is_set():
                greedy.send(piece)

        thread = threading.Thread(target=pour)
        thread.start()
        begun = time.monotonic()
        for _ in range(30):
            assert modest.get("/").status == 200
        assert time.monotonic() - begun < 15
        end.set()
        thread.join()


def test_connection_close_of_the_client_ends_its_connection(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        client.send(request("/", "Connection: close"))
        response = client.response()
        assert response.get(b"connection") == b"close"
        assert client.rest() == b""
    assert upstream.last.get(b"connection") is None


def test_connection_close_of_the_client_keeps_the_upstream_connection(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    for _ in range(5):
        with setting.connect() as client:
            client.get("/", "Connection: close")
    tally.wait("up.connection_total", 1)


def test_connection_close_of_the_upstream_keeps_the_clients_connection(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()

    def script(visit: Visit) -> None:
        visit.send(ok(b"bye", b"Connection: close"))
        visit.shut()

    upstream.script = script
    with setting.connect() as client:
        for _ in range(5):
            response = client.get("/")
            assert response.body == b"bye" and response.get(b"connection") is None
    tally.wait("up.connection_total", 5)
    assert tally.of("up.request_retry") == 0


def test_a_client_of_http_1_0_is_parted_from_after_its_response(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        client.send(b"GET /old HTTP/1.0\r\n\r\n")
        response = client.response()
        assert response.first_line == b"HTTP/1.1 200 OK" and response.body == b"/old"
        assert client.rest() == b""
    assert upstream.last.first_line == b"GET /old HTTP/1.1"


def test_a_client_of_http_1_0_may_keep_its_connection(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        for i in range(3):
            client.send(b"GET /%d HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" % i)
            response = client.response()
            assert response.get(b"connection") == b"keep-alive" and response.body == b"/%d" % i
        client.send(b"GET /last HTTP/1.0\r\n\r\n")
        assert client.response().body == b"/last"
        assert client.rest() == b""


@pytest.mark.parametrize("path", ["/ping", "/up"])
def test_a_client_that_closed_its_half_gets_its_response(setting: Setting, upstream: Upstream, path: str) -> None:
    for _ in range(20):
        with setting.connect("half") as client:
            client.send(request(path))
            client.finish()
            assert client.response().status == 200
            assert client.rest() == b""


def test_a_client_that_closed_its_half_gets_a_slow_response(setting: Setting, upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        time.sleep(0.1)
        visit.send(ok(b"x" * 300_000))

    upstream.script = script
    with setting.connect("half") as client:
        client.send(request("/"))
        client.finish()
        assert len(client.response().body) == 300_000
        assert client.rest() == b""


def test_a_client_that_closed_its_half_gets_all_pipelined_responses(setting: Setting, upstream: Upstream) -> None:
    with setting.connect("half") as client:
        client.send(b"".join(request(f"/{i}") for i in range(70)))
        client.finish()
        assert [client.response().body for _ in range(70)] == [b"/%d" % i for i in range(70)]
        assert client.rest() == b""


def test_the_last_request_of_a_connection_is_told_so(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect("few") as client:
        assert [client.get("/").get(b"connection") for _ in range(3)] == [None, None, b"close"]
        assert client.rest() == b""
    tally.wait("few.limit_requests_per_connection", 1)


def test_requests_beyond_the_last_one_are_not_served(setting: Setting, upstream: Upstream) -> None:
    with setting.connect("few") as client:
        client.send(b"".join(request(f"/{i}") for i in range(6)))
        assert [client.response().body for _ in range(3)] == [b"/0", b"/1", b"/2"]
        assert client.ends() == b""
    assert len(upstream.messages) == 3


def test_a_client_that_leaves_inside_a_head_costs_nothing(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    for at in range(1, 30, 4):
        with setting.connect() as client:
            client.send(request("/")[:at])
    tally.wait("front.connection_destroy", 8)
    assert upstream.messages == []


def test_a_client_that_leaves_while_the_upstream_works_frees_the_upstream(setting: Setting, upstream: Upstream) -> None:
    gone = threading.Event()

    def script(visit: Visit) -> None:
        try:
            visit.more()
        except (ClosedError, OSError):
            gone.set()
            raise

    upstream.script = script
    tally = setting.tally()
    client = connect(setting.port)
    client.send(request("/"))
    upstream.wait_messages(1)
    client.reset()
    assert gone.wait(5)
    tally.wait("front.request_reset", 1)
