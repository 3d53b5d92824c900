"""HTTP/1 connections that move between workers: idle ones and tunnels."""

import pytest

from tests.process.moving.conftest import MovingSetting
from tests.process.program import wait_until
from tests.process.proxy.test_tunnels import CONNECT, CONNECTED, SWITCHED, Switch
from tests.process.proxy.upstream import Upstream
from tests.process.proxy.wire import Wire, request

UPGRADE = request("/web", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x")
# As browsers and most libraries have it.
UPGRADE_FIRST = request("/web", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: x")


def test_idle_connections_serve_on_in_the_other_worker(moving: MovingSetting) -> None:
    clients = [moving.connect() for _ in range(40)]
    for client in clients:
        assert client.get("/ping").status == 200
    before = moving.counts()
    assert moving.shift() == 20
    assert moving.connections() == [20, 20]
    for client in clients:
        assert client.get("/ping").body == b"pong"
    after = moving.counts()
    for name in ("front.connection_total", "front.connection_destroy"):
        assert after[name] == before[name], name
    moving.use_workers(1)
    wait_until(lambda: moving.connections() == [40], "all back in the first worker")
    for client in clients:
        assert client.get("/ping").body == b"pong"
        client.close()
    wait_until(lambda: moving.counts()["front.connection_active"] == 0, "no connection is counted")
    assert moving.counts()["front.connection_parked"] == 0


def test_half_a_head_is_read_on(moving: MovingSetting) -> None:
    clients = [moving.connect() for _ in range(8)]
    tally = moving.tally()
    for client in clients:
        client.send(b"GET /pi")
    tally.wait("front.bytes_read_total", 8 * 7)
    assert moving.shift() == 4
    for client in clients:
        client.send(b"ng HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().body == b"pong"
        client.close()


def test_a_connection_that_has_said_nothing_moves(moving: MovingSetting) -> None:
    clients = [moving.connect() for _ in range(4)]
    wait_until(lambda: moving.connections() == [4], "four connections")
    assert moving.shift() == 2
    for client in clients:
        assert client.get("/ping").status == 200
        client.close()


@pytest.mark.parametrize(
    ("asks", "agrees"),
    [(UPGRADE, SWITCHED), (UPGRADE_FIRST, SWITCHED), (CONNECT, CONNECTED)],
    ids=["upgrade", "upgrade first", "connect"],
)
def test_a_tunnel_moves_with_its_bytes(moving: MovingSetting, http_origin: Upstream, asks: bytes, agrees: bytes) -> None:
    if asks is CONNECT:
        moving.server["routers"][0]["virtual_hosts"][0]["routers"][-1]["route"]["cluster_name"] = "web"
        moving.write()
        assert moving.run("reload").returncode == 0
    http_origin.script = switch = Switch(agrees)
    with moving.connect() as client, moving.connect() as other:
        client.send(asks)
        client.head()
        far = switch.wait()
        assert other.get("/ping").status == 200
        for turn in range(6):
            exchange(client, far, turn)
            if turn % 2 == 0:
                moving.use_workers(2)
                moving.rebalance()
            else:
                moving.use_workers(1)
        exchange(client, far, 99)
        assert moving.counts()["front.tunnels_active"] == 1
        assert moving.counts()["web.connection_active"] == 1
        client.finish()
        assert far.rest() == b""
        switch.over.set()
        assert client.rest() == b""
    wait_until(lambda: moving.counts()["front.tunnels_active"] == 0, "the tunnel's end")
    wait_until(lambda: moving.counts()["web.connection_active"] == 0, "the end of the host's connection")
    lines = wait_until(lambda: [x for x in moving.log_lines("access.log") if f":{http_origin.port}" in x], "the log line")
    assert len(lines) == 1, lines


def exchange(client: Wire, far: Wire, turn: int) -> None:
    client.send(b"up %d\n" % turn)
    assert far.until(b"\n") == b"up %d\n" % turn
    far.send(b"down %d\n" % turn)
    assert client.until(b"\n") == b"down %d\n" % turn


def test_a_tunnel_that_is_full_moves_without_losing_a_byte(moving: MovingSetting, http_origin: Upstream) -> None:
    http_origin.script = switch = Switch(SWITCHED)
    with moving.connect(receive_buffer=4096) as client, moving.connect() as other:
        client.send(UPGRADE)
        client.head()
        far = switch.wait()
        assert other.get("/ping").status == 200
        far.sock.settimeout(0.3)
        sent = 0
        piece = bytes(range(256)) * 64
        try:
            while sent < 64 << 20:
                sent += far.sock.send(piece[sent % len(piece) :])
        except TimeoutError:
            pass  # the client reads nothing: every buffer between both ends is full
        moving.use_workers(2)
        moving.rebalance()
        moving.use_workers(1)
        switch.over.set()
        received = client.rest()
    assert len(received) == sent
    assert received == (piece * (sent // len(piece) + 1))[:sent]
