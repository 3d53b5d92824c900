"""Tunnels: CONNECT and Upgrade (WebSocket), bytes both ways, half-closes, refusals."""

import hashlib
import threading

import pytest

from tests.process.program import DEADLINE_S
from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit, answer, ok
from tests.process.proxy.wire import Wire, request

UPGRADE = request("/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x")
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nDate: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n"
)
CONNECT = b"CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\n\r\n"
CONNECTED = b"HTTP/1.1 200 Connected\r\nDate: x\r\n\r\n"
KINDS = [(UPGRADE, SWITCHED), (CONNECT, CONNECTED)]
both_kinds = pytest.mark.parametrize(("asks", "agrees"), KINDS, ids=["upgrade", "connect"])


def configure(setting: Setting, origin: Upstream) -> None:
    setting.add_listener("brief", connection_idle_timeout="600ms")
    setting.add_cluster("few", origin.port, max_request_per_conn=1)


class Switch:
    """A script that agrees and hands the upstream's end of the tunnel over to the test."""

    def __init__(self, agrees: bytes) -> None:
        self.agrees = agrees
        self.ready = threading.Event()
        self.over = threading.Event()
        self.end: Wire

    def __call__(self, visit: Visit) -> None:
        visit.send(self.agrees)
        self.end = visit
        self.ready.set()
        self.over.wait(DEADLINE_S)
        visit.shut()

    def wait(self) -> Wire:
        assert self.ready.wait(DEADLINE_S)
        self.end.sock.settimeout(DEADLINE_S)
        return self.end


@both_kinds
def test_bytes_pass_both_ways(setting: Setting, upstream: Upstream, asks: bytes, agrees: bytes) -> None:
    upstream.script = switch = Switch(agrees)
    tally = setting.tally()
    with setting.connect() as client:
        client.send(asks)
        assert client.head().status == int(agrees.split()[1])
        far = switch.wait()
        tally.wait("front.tunnels_active", 1)
        for i in range(200):
            client.send(b"up %d\n" % i)
            assert far.until(b"\n") == b"up %d\n" % i
            far.send(b"down %d\n" % i)
            assert client.until(b"\n") == b"down %d\n" % i
        switch.over.set()
        assert client.rest() == b""
    tally.wait("front.tunnels_active", 0)
    tally.wait("front.connection_active", 0)


@both_kinds
def test_single_bytes_pass_both_ways(setting: Setting, upstream: Upstream, asks: bytes, agrees: bytes) -> None:
    upstream.script = switch = Switch(agrees)
    with setting.connect() as client:
        client.send(asks)
        client.head()
        far = switch.wait()
        for byte in b"one by one":
            client.send(bytes([byte]))
            assert far.exactly(1) == bytes([byte])
            far.send(bytes([byte]))
            assert client.exactly(1) == bytes([byte])
        switch.over.set()
        assert client.rest() == b""


@both_kinds
def test_the_heads_of_a_tunnel_are_forwarded(setting: Setting, upstream: Upstream, asks: bytes, agrees: bytes) -> None:
    upstream.script = switch = Switch(agrees)
    with setting.connect() as client:
        client.send(asks)
        head = client.head()
        switch.wait()
        switch.over.set()
    assert sorted(head.lines) == sorted(agrees.split(b"\r\n")[1:-2])
    assert upstream.last.first_line == asks.split(b"\r\n")[0]
    assert sorted(upstream.last.lines) == sorted(asks.split(b"\r\n")[1:-2])


@both_kinds
def test_bytes_right_behind_the_agreement_belong_to_the_tunnel(
    setting: Setting, upstream: Upstream, asks: bytes, agrees: bytes
) -> None:
    upstream.script = switch = Switch(agrees + b"first words")
    with setting.connect() as client:
        client.send(asks)
        client.head()
        assert client.exactly(11) == b"first words"
        switch.over.set()


def test_bytes_behind_an_upgrade_request_wait_for_the_agreement(setting: Setting, upstream: Upstream) -> None:
    agree = threading.Event()

    def script(visit: Visit) -> None:
        assert visit.is_quiet(0.05) and visit.unread == b""
        agree.set()
        visit.sock.settimeout(5)
        visit.send(SWITCHED)
        visit.send(visit.exactly(5).upper())

    upstream.script = script
    with setting.connect() as client:
        client.send(UPGRADE + b"early")
        assert agree.wait(5)
        assert client.head().status == 101
        assert client.exactly(5) == b"EARLY"


@pytest.mark.parametrize("upwards", [True, False])
@pytest.mark.parametrize("size", [100, 20_000, 3_000_000])
def test_bulk_passes_and_the_other_side_sees_its_end(setting: Setting, upstream: Upstream, upwards: bool, size: int) -> None:
    upstream.script = switch = Switch(SWITCHED)
    data = hashlib.sha256(b"x").digest() * (size // 32)
    with setting.connect() as client:
        client.send(UPGRADE)
        client.head()
        sender, reader = (client, switch.wait()) if upwards else (switch.wait(), client)

        def send() -> None:
            sender.send(data)
            sender.finish()

        thread = threading.Thread(target=send)
        thread.start()
        assert hashlib.sha256(reader.rest()).digest() == hashlib.sha256(data).digest()
        thread.join()
        # the half that is still open goes on
        reader.send(data[:50_000])
        assert sender.exactly(len(data[:50_000])) == data[:50_000]
        reader.finish()
        assert sender.rest() == b""
        switch.over.set()


@pytest.mark.parametrize("upwards", [True, False])
def test_the_last_words_after_a_half_close_arrive(setting: Setting, upstream: Upstream, upwards: bool) -> None:
    for _ in range(10):
        upstream.script = switch = Switch(SWITCHED)
        with setting.connect() as client:
            client.send(UPGRADE)
            client.head()
            first, second = (client, switch.wait()) if upwards else (switch.wait(), client)
            first.finish()
            assert second.rest() == b""
            second.send(b"last words")
            second.close()
            assert first.rest() == b"last words"
            switch.over.set()


@pytest.mark.parametrize("upwards", [True, False])
def test_a_reset_of_one_side_ends_the_other(setting: Setting, upstream: Upstream, upwards: bool) -> None:
    tally = setting.tally()
    upstream.script = switch = Switch(SWITCHED)
    with setting.connect() as client:
        client.send(UPGRADE)
        client.head()
        first, second = (client, switch.wait()) if upwards else (switch.wait(), client)
        first.reset()
        assert second.ends() == b""
        switch.over.set()
    tally.wait("front.tunnels_active", 0)


def test_a_silent_tunnel_ends_after_the_idle_timeout(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    upstream.script = switch = Switch(SWITCHED)
    with setting.connect("brief") as client:
        client.send(UPGRADE)
        client.head()
        for _ in range(4):
            client.send(b"x" * 10)
            switch.wait().exactly(10)
            assert client.is_quiet(0.2)
        assert client.ends() == b""
        assert switch.end.ends() == b""
        switch.over.set()
    tally.wait("brief.timeout_idle", 1)


@pytest.mark.parametrize("status", [b"200 OK", b"403 Forbidden", b"426 Upgrade Required"])
def test_an_upgrade_that_is_refused_leaves_the_connection_usable(setting: Setting, upstream: Upstream, status: bytes) -> None:
    upstream.script = answer(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nno")
    tally = setting.tally()
    with setting.connect() as client:
        for _ in range(2):
            client.send(UPGRADE)
            response = client.response()
            assert response.status == int(status[:3]) and response.body == b"no"
            assert response.get(b"connection") is None
        upstream.script = answer(ok())
        assert client.get("/").status == 200
    assert tally.of("front.connection_total") == 1 and tally.of("up.connection_total") == 1
    assert tally.of("front.tunnels_active") == 0


def test_requests_behind_an_upgrade_that_is_refused_are_requests(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        client.send(UPGRADE + request("/next"))
        assert [client.response().body, client.response().body] == [b"/ws", b"/next"]
    assert [m.first_line for m in upstream.messages] == [b"GET /ws HTTP/1.1", b"GET /next HTTP/1.1"]


def test_a_connect_that_is_refused_ends_the_connection(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    with setting.connect() as client:
        client.send(CONNECT + b"bytes for the tunnel that is not there")
        response = client.response()
        assert response.status == 403 and response.get(b"connection") == b"close"
        assert client.ends() == b""
    assert len(upstream.messages) == 1


def test_a_switch_that_nobody_asked_for_is_an_error(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(SWITCHED)
    with setting.connect() as client:
        assert client.get("/").status == 502
        upstream.script = answer(ok())
        assert client.get("/").status == 200


@pytest.mark.parametrize("lines", [("Upgrade: websocket",), ("Connection: Upgrade", "Upgrade: h2c"), ("Connection: Upgrade",)])
def test_an_upgrade_that_is_none_is_a_plain_request(setting: Setting, upstream: Upstream, lines: tuple[str, ...]) -> None:
    with setting.connect() as client:
        assert client.get("/", *lines).status == 200
    assert upstream.last.lines == [b"Host: test"]


def test_many_tunnels_are_independent(setting: Setting, upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        visit.send(SWITCHED)
        while True:
            visit.send(visit.until(b"\n"))

    upstream.script = script
    clients = [setting.connect() for _ in range(50)]
    for i, client in enumerate(clients):
        client.send(UPGRADE + b"hello %d\n" % i)
    for i, client in enumerate(clients):
        client.head()
        assert client.until(b"\n") == b"hello %d\n" % i
        client.close()
