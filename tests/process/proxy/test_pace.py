"""Clients that keep the proxy waiting a little at a time, up and down: who is slower than the least rate is given up, who is not
never is."""

import contextlib
import threading
import time

import pytest

from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit, ok
from tests.process.proxy.wire import Wire, request

TIMEOUT = "400ms"
SOON_S = 1.5  # after which who is too slow must be gone, on a busy machine
PAUSE_S = 0.03
PIECE = 1500  # read each time: 50 KB/s
BIG = 60_000_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
CHUNKS = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def configure(setting: Setting, origin: Upstream) -> None:
    log = {"log_path": "logs/front.log", "log_format": "%response_code% %response_flags%"}
    setting.change_listener("front", request_body_timeout=TIMEOUT, write_timeout=TIMEOUT, access_logs=[log])
    setting.add_listener("any", request_body_timeout=TIMEOUT, request_body_min_rate=0)
    setting.add_listener("fast", write_timeout=TIMEOUT, write_min_rate="200KB")
    setting.add_listener("held", request_body_timeout=TIMEOUT)
    setting.add_route({"path": "/some"}, direct_response={"body": "some text " * 1200})
    setting.add_route({"path": "/long"}, direct_response={"body": "0123456789" * 800_000})


def drip(client: Wire, piece: bytes) -> float:
    """Send *piece* now and then until an answer comes; how long that took."""
    began = time.monotonic()
    while client.is_quiet(PAUSE_S) and time.monotonic() < began + 3:
        with contextlib.suppress(OSError):
            client.send(piece)
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (request("/", "Content-Length: 1000000", method="POST"), b"x"),
        (request("/", "Content-Length: 1000000", method="POST") + bytes(300_000), b"x"),
        (CHUNKS, b"1\r\nx\r\n"),
        (CHUNKS + b"10000;", b"x"),
    ],
    ids=["from the start", "after a burst", "in chunks", "in a chunk's extension"],
)
def test_a_body_that_drips_is_408(setting: Setting, upstream: Upstream, first: bytes, piece: bytes) -> None:
    lines = setting.log_lines("front.log").count("408 DT")
    tally = setting.tally()
    with setting.connect() as client:
        client.send(first)
        assert 0.35 < drip(client, piece) < SOON_S
        response = client.response()
        assert response.status == 408 and response.get(b"connection") == b"close"
    tally.wait("front.timeout_body", 1)
    assert setting.counts()["up.request_active"] == 0
    assert len(setting.wait_lines("front.log", lines + 1)) > lines


def test_a_body_that_drips_after_the_answer_began_is_cut_off(setting: Setting, upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        visit.send(HEAD % BIG)
        visit.body(visit.message)

    upstream.script = script
    tally = setting.tally()
    with setting.connect() as client:
        client.send(request("/", "Content-Length: 1000000", method="POST"))
        client.head()
        with pytest.raises(ConnectionResetError):
            drip(client, b"x")
    tally.wait("front.timeout_body", 1)


def test_any_byte_will_do_where_there_is_no_least_rate(setting: Setting, upstream: Upstream) -> None:
    with setting.connect("any") as client:
        client.send(request("/", "Content-Length: 12", method="POST"))
        for _ in range(12):
            time.sleep(0.1)
            client.send(b"x")
        assert client.response().body == b"x" * 12


def test_a_body_that_its_host_holds_up_is_not_late(setting: Setting, upstream: Upstream) -> None:
    """Three times, so that what was waited for the host would have used up all patience with the client."""

    def script(visit: Visit) -> None:
        for _ in range(3):
            time.sleep(0.5)
            visit.exactly(6_000_000)
        visit.send(ok())

    upstream.script = script
    with setting.connect("held") as client:
        client.send(request("/", "Content-Length: 18000000", method="POST"))
        client.send(bytes(18_000_000))
        assert client.response().status == 200


def pours(visit: Visit) -> None:
    """A response that does not fit into any socket's buffers."""
    visit.send(HEAD % BIG)
    for _ in range(BIG // 1_000_000):
        visit.send(bytes(1_000_000))


def trickle(client: Wire, seconds: float, size: int) -> None:
    """Read *size* bytes now and then."""
    until = time.monotonic() + seconds
    with contextlib.suppress(OSError):
        while time.monotonic() < until and client.sock.recv(size):
            time.sleep(PAUSE_S)


@pytest.mark.parametrize("path", ["/", "/long"])
def test_a_client_that_reads_too_little_is_cut_off(setting: Setting, upstream: Upstream, path: str) -> None:
    upstream.script = pours
    tally = setting.tally()
    with setting.connect("fast", receive_buffer=4096) as client:
        client.send(request(path))
        reader = threading.Thread(target=trickle, args=(client, 3.0, PIECE))
        reader.start()
        tally.wait("fast.timeout_write", 1, SOON_S)
        reader.join()
    tally.wait("fast.connection_active", 0)
    tally.wait("up.connection_active", 0)


def test_a_client_that_reads_too_little_of_the_end_is_cut_off(setting: Setting, upstream: Upstream) -> None:
    """The stream is over, the connection parked, its last bytes stuck in the proxy."""
    tally = setting.tally()
    with setting.connect("fast", receive_buffer=4096) as client:
        setting.send_until_stuck(client, "/some", "fast")
        tally.wait("fast.request_active", 0)
        trickle(client, 2.0, PIECE)
    tally.wait("fast.timeout_write", 1)
    tally.wait("fast.connection_active", 0)


def test_a_client_that_keeps_to_the_rate_is_never_cut_off(setting: Setting, upstream: Upstream) -> None:
    """It reads 600 KB/s of socket buffers of megabytes: room for more comes seldom, and is no measure of what it reads."""
    upstream.script = pours
    tally = setting.tally()
    with setting.connect() as client:
        client.send(request("/"))
        trickle(client, 4.0, 20_000)
        assert setting.counts()["front.request_active"] == 1
        assert tally.of("front.timeout_write") == 0
