"""Signals of clients: heartbeats are answered here, GOAWAY means nothing."""

import pytest

from tests.process.program import wait_until
from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream, silent
from tests.rpc.wire import HEARTBEAT, ONE_WAY, RESPONSE, Frame, goaway, heartbeat, heartbeat_reply


@pytest.mark.parametrize("version", [(1, 1), (2, 1), (2, 2)], ids=["v1", "v2", "v2 ver1=2"])
def test_a_clients_heartbeat_is_answered_here_in_its_version(
    setting: RpcSetting, upstream: Upstream, version: tuple[int, int]
) -> None:
    sent = heartbeat(4711, *version)
    with setting.client() as client:
        client.send(sent.encode())
        answer = client.wait_frame(lambda frame: frame.command == HEARTBEAT, "the answer")
        assert answer.raw == heartbeat_reply(sent).encode()
        assert not upstream.heartbeats


def test_a_one_way_heartbeat_is_answered_too(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        client.send(Frame(ONE_WAY, HEARTBEAT, 5, timeout_ms=-1).encode())
        client.wait_frame(lambda frame: frame.command == HEARTBEAT and frame.kind == RESPONSE, "the answer")


def test_a_heartbeat_in_two_pieces_is_answered_and_costs_nothing(setting: RpcSetting, upstream: Upstream) -> None:
    workers = setting.pids("worker")
    raw = heartbeat(6).encode()
    for _ in range(3):
        tally = setting.tally()
        with setting.client() as client:
            client.send(raw[:10])
            tally.wait("bolt.bytes_read_total", 10)
            client.send(raw[10:])
            client.wait_frame(lambda frame: frame.command == HEARTBEAT, "the answer")
            wait_until(lambda: setting.counts()["bolt.connection_parked"] == 1, "the connection parked")
        wait_until(lambda: setting.counts()["bolt.connection_active"] == 0, "its end")
    assert setting.pids("worker") == workers


def test_heartbeats_pass_requests_that_wait(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = silent
    with setting.client() as client:
        client.ask(timeout_ms=2000)
        client.send(b"".join(heartbeat(i).encode() for i in range(100, 200)))
        wait_until(lambda: len(client.frames) == 100, "a hundred answers")
        assert [frame.id for frame in client.frames] == list(range(100, 200))


def test_goaway_of_a_client_is_ignored(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        client.send(goaway(3).encode())
        assert client.call(b"on").content == b"on"
    assert all(frame.command != 100 for connection in upstream.connections for frame in connection.frames)
