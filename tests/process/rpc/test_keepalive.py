"""Heartbeats that the proxy sends to idle upstream connections: a cluster's `keepalive`, with MOSN's counts."""

import time

from tests.process.program import wait_until
from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream
from tests.rpc.wire import HEARTBEAT, heartbeat


def configure(setting: RpcSetting, origin: Upstream) -> None:
    setting.add_cluster("kept", origin.port, keepalive={"interval": "150ms", "timeout": "100ms"})
    setting.add_service("kept", "kept")


def test_idle_upstream_connections_get_heartbeats_and_stay(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        client.call(b"", [(b"service", b"kept")])
        beats = upstream.wait_heartbeats(5)
        assert len({beat.id for beat in beats}) == len(beats)
        assert all(connection.is_open for connection in upstream.connections)
        client.call(b"", [(b"service", b"kept")])
        assert len(upstream.connections) == 1
        assert all(frame.command != HEARTBEAT for frame in client.frames)


def test_heartbeats_of_v2_connections_are_of_v2(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client(protocol=2, ver1=2, switch=1) as client:
        client.call(b"", [(b"service", b"kept")])
        beat = upstream.wait_heartbeats(1)[0]
        assert beat.raw == heartbeat(beat.id, 2, 2).encode()


def test_a_connection_whose_heartbeats_stay_without_answer_is_closed(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.answers_heartbeats = False
    with setting.client() as client:
        client.call(b"", [(b"service", b"kept")])
        wait_until(lambda: not upstream.connections[0].is_open, "the connection closed")
        assert 2 <= len(upstream.heartbeats) <= 8
        upstream.answers_heartbeats = True
        assert client.call(b"new", [(b"service", b"kept")]).content == b"new"


def test_the_interval_is_a_clusters_own(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        client.call()
        time.sleep(0.5)  # three intervals of the other cluster; the default is 15 s
        assert not upstream.heartbeats
