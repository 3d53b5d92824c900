"""Every deadline of a client's connection, and its counter."""

import time

import pytest

from tests.process.program import wait_until
from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit, answer, ok
from tests.process.proxy.wire import ClosedError, request

SOON_S = 5.0  # on a busy machine; the defaults are ten seconds and more


def configure(setting: Setting, origin: Upstream) -> None:
    setting.change_listener(
        "front",
        request_header_timeout="300ms",
        request_body_timeout="600ms",
        connection_idle_timeout="800ms",
        write_timeout="600ms",
    )
    setting.add_listener("patient", write_timeout="600ms", connection_idle_timeout="1200ms")
    setting.add_route({"path": "/long"}, direct_response={"body": "0123456789" * 800_000})


def test_a_head_that_takes_too_long_is_408(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect() as client:
        begun = time.monotonic()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        response = client.response()
        assert response.status == 408 and response.get(b"connection") == b"close"
        assert 0.25 < time.monotonic() - begun < SOON_S
        client.finish()
        assert client.ends() == b""
    tally.wait("front.timeout_header", 1)


def test_a_head_that_trickles_gains_no_time(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect() as client:
        begun = time.monotonic()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        while client.is_quiet(0.03):
            client.send(b"v")
        assert client.response().status == 408
        assert 0.25 < time.monotonic() - begun < SOON_S
    tally.wait("front.timeout_header", 1)


def test_the_second_head_of_a_connection_has_its_own_deadline(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        for _ in range(3):
            assert client.get("/").status == 200
            time.sleep(0.15)
        client.send(b"GET / HT")
        assert client.response().status == 408


def test_a_body_that_pauses_too_long_is_408(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect() as client:
        client.send(request("/", "Content-Length: 10", method="POST") + b"12345")
        begun = time.monotonic()
        response = client.response()
        assert response.status == 408 and response.get(b"connection") == b"close"
        assert 0.5 < time.monotonic() - begun < SOON_S
        assert client.ends() == b""
    tally.wait("front.timeout_body", 1)


def test_a_body_that_goes_on_may_take_its_time(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect() as client:
        client.send(request("/", "Content-Length: 500", method="POST"))
        for _ in range(10):
            time.sleep(0.1)
            client.send(b"x" * 50)
        assert client.response().body == b"x" * 500
    assert tally.of("front.timeout_body") == 0


def test_a_body_that_nobody_sends_ends_while_the_upstream_waits(setting: Setting, upstream: Upstream) -> None:
    ended: list[bytes] = []

    def script(visit: Visit) -> None:
        try:
            visit.body(visit.message)
        except (ClosedError, OSError) as error:
            ended.append(repr(error).encode())
            raise

    upstream.script = script
    with setting.connect() as client:
        client.send(request("/", "Content-Length: 10", method="POST"))
        assert client.response().status == 408
    wait_until(lambda: ended, "the end of the upstream's connection")


def test_a_slow_response_is_no_slow_body(setting: Setting, upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        visit.body(visit.message)
        time.sleep(0.9)
        visit.send(ok())

    upstream.script = script
    with setting.connect() as client:
        client.send(request("/", method="POST", body=b"12345"))
        assert client.response().status == 200


def test_an_idle_connection_is_closed_in_order(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect() as fresh, setting.connect() as used:
        assert used.get("/").status == 200
        begun = time.monotonic()
        assert fresh.rest() == b""
        assert used.rest() == b""
        assert 0.6 < time.monotonic() - begun < SOON_S
    tally.wait("front.timeout_idle", 2)
    tally.wait("front.connection_active", 0)


def test_a_connection_in_use_is_not_idle(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        for _ in range(4):
            assert client.get("/").status == 200
            time.sleep(0.3)
        upstream.script = lambda visit: (time.sleep(1.1), visit.send(ok()))[1]
        assert client.get("/").status == 200


BIG = 60_000_000


def pours(visit: Visit) -> None:
    """A response that does not fit into any socket's buffers."""
    visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
    piece = bytes(1 << 20)
    for _ in range(BIG // len(piece) + 1):
        visit.send(piece)


def test_a_client_that_never_reads_is_cut_off(setting: Setting, upstream: Upstream) -> None:
    upstream.script = pours
    tally = setting.tally()
    blocks = blocks_in_use(setting)
    with setting.connect(receive_buffer=4096) as client:
        begun = time.monotonic()
        client.send(request("/"))
        upstream.wait_messages(1)
        time.sleep(0.2)
        assert blocks_in_use(setting) - blocks < 40
        tally.wait("front.timeout_write", 1)
        assert time.monotonic() - begun < SOON_S
        with pytest.raises((ClosedError, ConnectionResetError)):
            client.response()
    tally.wait("front.connection_active", 0)
    tally.wait("up.connection_active", 0)


def blocks_in_use(setting: Setting) -> int:
    return sum(size["total"] - size["free"] for size in setting.status()["arena"])


def test_a_client_that_never_reads_a_local_reply_is_cut_off(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect(receive_buffer=4096) as client:
        client.send(request("/long"))
        tally.wait("front.timeout_write", 1)
        assert tally.of("front.request_active") == 0
    tally.wait("front.connection_active", 0)


def test_a_client_that_pipelines_and_never_reads_is_cut_off(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect(receive_buffer=4096) as client:
        client.send(request("/long") * 3)
        tally.wait("front.timeout_write", 1)
    tally.wait("front.connection_active", 0)


def test_a_client_that_reads_slowly_is_served(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(ok(bytes(range(256)) * 20_000))
    with setting.connect(receive_buffer=4096) as client:
        client.send(request("/"))
        message = client.head()
        got = 0
        begun = time.monotonic()
        while got < 20_000 * 256:
            got += len(client.exactly(min(256 * 1000, 20_000 * 256 - got)))
            time.sleep(0.08)
        assert message.status == 200 and time.monotonic() - begun > 1.2


def test_the_end_of_a_response_that_is_stuck_is_cut_off_too(setting: Setting, upstream: Upstream) -> None:
    """The stream is over, the connection parked, but its last bytes do not leave."""
    tally = setting.tally()
    with setting.connect("patient", receive_buffer=4096) as client:
        for _ in range(60):
            client.send(request("/", method="POST", body=bytes(60_000)))
            if tally.of("patient.timeout_write"):
                break
        tally.wait("patient.connection_active", 0)
    tally.wait("patient.timeout_write", 1)
    assert tally.of("patient.timeout_idle") == 0


def test_a_stall_that_ended_does_not_shorten_the_idle_time(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(ok(bytes(4_000_000)))
    with setting.connect("patient", receive_buffer=4096) as client:
        client.send(request("/"))
        client.head()
        time.sleep(0.1)
        assert len(client.exactly(4_000_000)) == 4_000_000
        begun = time.monotonic()
        assert client.rest() == b""
        assert time.monotonic() - begun > 0.9
