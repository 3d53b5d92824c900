"""Clients that go away with streams under way: a FIN ends them as a reset does, but for what wants no answer."""

from tests.process.program import wait_until
from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream, silent
from tests.rpc.wire import ONE_WAY


def test_a_close_without_a_reset_ends_the_streams_too(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = silent
    tally = setting.tally()
    with setting.client() as client:
        for _ in range(5):
            client.ask()
        upstream.wait_requests(5)
    wait_until(lambda: setting.counts()["bolt.request_active"] == 0, "the streams of the departed ended", 3)
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
    wait_until(lambda: setting.counts()["bolt.connection_active"] == 0, "the end of its connection", 3)
    wait_until(lambda: setting.counts()["bolt.request_active"] == 0, "the end of its streams", 3)


def test_one_way_requests_right_before_a_fin_arrive(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        for _ in range(50):
            client.ask(b"one way", kind=ONE_WAY, timeout_ms=-1)
    upstream.wait_requests(50)
