"""Every limit of what clients may send, and its counter."""

import threading

import pytest

from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, answer, ok
from tests.process.proxy.wire import ClosedError, Wire, chunked, request


def configure(setting: Setting, origin: Upstream) -> None:
    setting.add_listener("heads", max_header_size="2KB", max_header_count=10, max_uri_size=200)
    setting.add_listener("bodies", max_request_body_size=1000)
    setting.add_listener("crowd", max_connections=3)
    setting.add_listener("wary", reject_underscores=True)
    setting.add_listener("wide", max_header_size="60KB", max_header_count=1024, max_uri_size="50KB")
    setting.server["max_connections"] = 40


def refusal(setting: Setting, listener: str, data: bytes, status: int, counter: str) -> None:
    """*data* is answered with *status*, counted, and the end of the connection."""
    tally = setting.tally()
    with setting.connect(listener) as client:
        client.send(data)
        response = client.response()
        assert response.status == status and response.get(b"connection") == b"close"
        assert response.body
        client.finish()
        assert client.ends() == b""
    tally.wait(f"{listener}.{counter}", 1)
    assert tally.of(f"{listener}.request_failed") == 1


def test_a_head_too_large_is_431(setting: Setting, upstream: Upstream) -> None:
    refusal(setting, "heads", request("/", "X: " + "v" * 3000), 431, "limit_header_size")
    refusal(setting, "front", request("/", "X: " + "v" * 100_000), 431, "limit_header_size")
    assert upstream.messages == []


def test_a_head_of_just_the_limit_is_served(setting: Setting, upstream: Upstream) -> None:
    fixed = len(request("/", "X: "))
    with setting.connect("heads") as client:
        client.send(request("/", "X: " + "v" * (2048 - fixed)))
        assert client.response().status == 200
        client.send(request("/", "X: " + "v" * (2049 - fixed)))
        assert client.response().status == 431


def test_too_many_header_fields_are_431(setting: Setting, upstream: Upstream) -> None:
    with setting.connect("heads") as client:
        assert client.get("/", *["X: 1"] * 9).status == 200
    refusal(setting, "heads", request("/", *["X: 1"] * 10), 431, "limit_header_count")
    refusal(setting, "front", request("/", *["X: 1"] * 100), 431, "limit_header_count")


def test_a_target_too_long_is_414(setting: Setting, upstream: Upstream) -> None:
    with setting.connect("heads") as client:
        assert client.get("/" + "u" * 199).status == 200
    refusal(setting, "heads", request("/" + "u" * 200), 414, "limit_uri_size")
    refusal(setting, "front", request("/" + "u" * 10_000), 414, "limit_uri_size")


def test_a_head_as_large_as_allowed_is_served(setting: Setting, upstream: Upstream) -> None:
    with setting.connect("wide") as client:
        for count, size in ((1, 60_000), (59, 1000), (1000, 50)):
            lines = ["X: " + "v" * size] * count
            assert client.get("/", *lines).status == 200
            assert len(upstream.last.lines) == count + 1
        assert client.get("/" + "u" * 50_000).status == 200


def test_a_head_that_never_ends_is_cut_off(setting: Setting, upstream: Upstream) -> None:
    with setting.connect("wide") as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"v" * 200_000)
        assert client.response().status == 431


def test_a_length_above_the_limit_is_413(setting: Setting, upstream: Upstream) -> None:
    with setting.connect("bodies") as client:
        client.send(request("/", method="POST", body=bytes(1000)))
        assert client.response().status == 200
    refusal(setting, "bodies", request("/", method="POST", body=bytes(1001)), 413, "limit_body_size")
    assert len(upstream.messages) == 1


def test_chunks_above_the_limit_are_413(setting: Setting, upstream: Upstream) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with setting.connect("bodies") as client:
        client.send(head + chunked(bytes(500), bytes(500)))
        assert client.response().status == 200
    tally = setting.tally()
    with setting.connect("bodies") as client:
        client.send(head + chunked(bytes(500), bytes(501)))
        response = client.response()
        assert response.status == 413 and response.get(b"connection") == b"close"
        client.finish()
        assert client.ends() == b""
    tally.wait("bodies.limit_body_size", 1)
    assert tally.of("bodies.request_failed") == 1


def test_limits_of_clients_are_not_limits_of_upstreams(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(ok(bytes(100_000), *[b"X: 1"] * 50, b"Y: " + b"v" * 10_000))
    for listener in ("bodies", "heads"):
        with setting.connect(listener) as client:
            response = client.get("/")
            assert response.status == 200 and len(response.body) == 100_000


def test_names_with_underscores_can_be_refused(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        assert client.get("/", "x_y: 1").status == 200
    refusal(setting, "wary", request("/", "x_y: 1"), 400, "protocol_error")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/0.9\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ],
)
def test_what_is_not_spoken_here_is_said_so(setting: Setting, upstream: Upstream, data: bytes, status: int) -> None:
    refusal(setting, "front", data, status, "protocol_error")


def is_refused(client: Wire) -> bool:
    """Whether the connection is closed without an answer."""
    try:
        client.send(request("/ping"))
        client.response()
    except (ClosedError, OSError):
        return True
    return False


def test_connections_beyond_the_limit_of_a_listener_are_closed(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    inside = [setting.connect("crowd") for _ in range(3)]
    for client in inside:
        assert client.get("/").status == 200
    for _ in range(4):
        with setting.connect("crowd") as outside:
            assert is_refused(outside)
    with setting.connect() as other:
        assert other.get("/").status == 200
    for client in inside:
        assert client.get("/").status == 200
    tally.wait("crowd.limit_connections", 4)
    inside.pop().close()
    tally.wait("crowd.connection_active", 2)
    with setting.connect("crowd") as client:
        assert client.get("/").status == 200
    for client in inside:
        client.close()


def test_connections_beyond_the_limit_of_the_server_are_closed(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    inside = [setting.connect(("front", "heads")[i % 2]) for i in range(40)]
    for client in inside:
        assert client.get("/ping").status == 200
    for listener in ("front", "heads", "bodies"):
        with setting.connect(listener) as outside:
            assert is_refused(outside)
    for client in inside:
        assert client.get("/ping").status == 200
        client.close()
    assert sum(tally.of(f"{name}.limit_connections") for name in ("front", "heads", "bodies")) == 3
    tally.wait("front.connection_active", 0)
    tally.wait("heads.connection_active", 0)
    with setting.connect("bodies") as client:
        assert client.get("/ping").status == 200


def test_a_client_may_not_send_trailers_without_end(setting: Setting, upstream: Upstream) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    with setting.connect() as client:
        thread = threading.Thread(target=_pour, args=(client, head + b"T: " + b"v" * 300_000))
        thread.start()
        assert client.response().status in (400, 431)
        thread.join()


def _pour(client: Wire, data: bytes) -> None:
    try:
        client.send(data)
    except OSError:
        pass
