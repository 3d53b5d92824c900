"""What does not move at an upgrade: where it is it goes on, and how it ends (docs/upgrade.md)."""

import time
from pathlib import Path

import pytest

from tests.process.moving.conftest import MovingSetting
from tests.process.program import wait_until
from tests.process.proxy.test_tunnels import SWITCHED, Switch
from tests.process.proxy.upstream import Upstream
from tests.process.proxy.wire import request
from tests.process.rpc.setting import HERE as RPC
from tests.process.rpc.test_pool_modes import Host, Line

GRACEFUL_S = 4.0


def upgrade(moving: MovingSetting) -> float:
    """Replace the program; when it was done."""
    done = moving.run("upgrade")
    assert done.returncode == 0, done.stderr
    return time.monotonic()


def test_a_tunnel_whose_end_a_filter_wants_passes_on_bytes_until_graceful_timeout(
    moving: MovingSetting, http_origin: Upstream
) -> None:
    front = next(one for one in moving.server["listeners"] if one["name"] == "front")
    front["stream_filters"] = [{"type": "ender:Ender", "python_path": str(Path(__file__).parent)}]
    moving.server["graceful_timeout"] = f"{GRACEFUL_S}s"
    moving.write()
    assert moving.run("reload").returncode == 0
    http_origin.script = switch = Switch(SWITCHED)
    with moving.connect() as client:
        client.send(request("/web", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"))
        client.head()
        far = switch.wait()
        began = upgrade(moving)
        while time.monotonic() < began + 2:
            client.send(b"ping")
            assert far.exactly(4) == b"ping"
            far.send(b"pong")
            assert client.exactly(4) == b"pong"
        client.sock.settimeout(GRACEFUL_S + 4)
        assert client.ends() == b""
        switch.over.set()


@pytest.mark.parametrize("asked", [b"", b"late"], ids=["idle", "busy"])
def test_a_bound_client_ends_with_its_answer_or_half_a_second_of_silence(moving: MovingSetting, asked: bytes) -> None:
    host = Host()
    codec = {"enable": True, "type": "python", "path": str(RPC / "serial.py"), "loader_func_name": "Session"}
    moving.config["third_part_codec"] = {"codecs": [codec]}
    moving.add_cluster("bound", host.port)
    moving.add_route({"prefix": "/"}, first=True, route={"cluster_name": "bound"})
    moving.add_protocol("session", "session")
    moving.write()
    assert moving.run("reload").returncode == 0
    line = Line(moving, "session")
    assert line.ask(b"hello") == (b"a", b"1/1/hello")
    if asked:
        line.send(asked)
        wait_until(lambda: b"q" + asked in host.heard, "the request at the host")
    began = upgrade(moving)
    if asked:
        host.late.set()
        assert line.read() == (b"a", b"1/2/" + asked)
    line.sock.settimeout(5)
    assert line.read() == (b"", b"")
    assert time.monotonic() - began < 3
    line.close()
    host.listener.close()
