"""Clients that go away with streams under way: a FIN ends them as a reset does, but for what wants no answer."""

import socket
from pathlib import Path

import pytest

from tests.process.program import wait_until
from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream, silent
from tests.rpc.wire import ONE_WAY, request

SOON_S = 8.0  # before the requests' timeout of ten seconds


def test_a_close_without_a_reset_ends_the_streams_too(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = silent
    tally = setting.tally()
    with setting.client() as client:
        for _ in range(5):
            client.ask()
        upstream.wait_requests(5)
    wait_until(lambda: setting.counts()["bolt.request_active"] == 0, "the streams of the departed ended", SOON_S)
    assert tally.of("bolt.request_reset") == 5
    assert setting.counts()["up.request_active"] == 0
    assert setting.counts()["bolt.connection_active"] == 0
    with setting.client() as client:
        upstream.script = lambda visit: visit.reply()
        assert client.call(b"on the same upstream connection").content
    assert len(upstream.connections) == 1


def test_the_fin_of_a_client_that_is_not_read_is_seen(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = silent
    client = setting.client()
    for _ in range(1030):
        client.ask()
    upstream.wait_requests(1024)
    client.close()
    wait_until(lambda: setting.counts()["bolt.connection_active"] == 0, "the end of its connection", SOON_S)
    wait_until(lambda: setting.counts()["bolt.request_active"] == 0, "the end of its streams", SOON_S)


def test_one_way_requests_right_before_a_fin_arrive(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        for _ in range(50):
            client.ask(b"one way", kind=ONE_WAY, timeout_ms=-1)
    upstream.wait_requests(50)


def private_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")) * 1024


def test_nothing_is_left_of_connections_that_were_closed(setting: RpcSetting, upstream: Upstream) -> None:
    (pid,) = setting.pids("worker")
    raw = request(1, b"x").encode()
    sizes = []
    for _ in range(3):
        for turn in range(1000):
            with socket.create_connection(("127.0.0.1", setting.ports["bolt"]), timeout=4) as sock:
                sock.sendall(raw)
                if turn % 2:
                    sock.recv(1000)
        wait_until(lambda: setting.counts()["bolt.connection_active"] == 0, "the end of all connections")
        sizes.append(private_bytes(pid))
    assert sizes[2] - sizes[0] < 1 << 20, f"{sizes}: 2 MB would be 1 KB a connection"


@pytest.mark.slow
def test_nothing_is_left_of_connections_to_hosts(setting: RpcSetting, upstream: Upstream) -> None:
    (pid,) = setting.pids("worker")
    sizes = []
    with setting.client() as client:
        for _ in range(3):
            for _ in range(300):
                client.call()
                upstream.hang_up()
                wait_until(lambda: setting.counts()["up.connection_active"] == 0, "its end")
            sizes.append(private_bytes(pid))
    assert sizes[2] - sizes[0] < 400_000, f"{sizes}: 600 KB would be 1 KB a connection"
