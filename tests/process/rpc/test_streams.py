"""Streams of many clients on few upstream connections: ids, order, versions, sizes, one-way requests."""

import time
from typing import Any

import pytest

from tests.process.program import wait_until
from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream, Visit
from tests.rpc.wire import ONE_WAY, SUCCESS, Fields, request, without_id

KINDS: dict[str, dict[str, Any]] = {"v1": {}, "v2": {"protocol": 2}, "v2 crc": {"protocol": 2, "ver1": 2, "switch": 1}}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def configure(setting: RpcSetting, origin: Upstream) -> None:
    setting.add_cluster("empty")
    setting.add_service("nobody", "empty")


@EVERY_KIND
def test_a_request_and_its_response_pass_byte_by_byte_but_for_the_id(
    setting: RpcSetting, upstream: Upstream, kind: dict[str, Any]
) -> None:
    odd: Fields = [(b"null", None), (b"", b"empty name"), (b"twice", b"1"), (b"twice", b"2"), (b"empty", b"")]
    with setting.client(**kind) as client:
        for content in (b"", b"x", bytes(range(256)) * 300):
            client.call(content)
            client.call(content, odd)
        (connection,) = upstream.connections
        assert [without_id(frame.raw) for frame in upstream.requests] == [without_id(frame.encode()) for frame in client.sent]
        assert [without_id(frame.raw) for frame in client.frames] == [without_id(frame.encode()) for frame in connection.answered]
        assert [frame.id for frame in client.frames] == [frame.id for frame in client.sent]


def test_many_clients_share_one_upstream_connection_under_ids_of_the_proxy(setting: RpcSetting, upstream: Upstream) -> None:
    clients = [setting.client() for _ in range(40)]
    held: list[Visit] = []
    upstream.script = held.append
    asked = [[client.ask(b"%d/%d" % (i, j)) for j in range(5)] for i, client in enumerate(clients)]
    upstream.wait_requests(200)
    wait_until(lambda: len(held) == 200, "all requests at the upstream")
    assert len(upstream.connections) == 1
    assert len({visit.frame.id for visit in held}) == 200
    for visit in held:
        visit.reply()
    for i, client in enumerate(clients):
        assert [client.wait(id_).content for id_ in asked[i]] == [b"%d/%d" % (i, j) for j in range(5)]
        client.close()


def test_responses_may_come_in_any_order(setting: RpcSetting, upstream: Upstream) -> None:
    held: list[Visit] = []
    upstream.script = held.append
    with setting.client() as client:
        ids = [client.ask(b"%d" % i) for i in range(50)]
        wait_until(lambda: len(held) == 50, "all requests at the upstream")
        for visit in reversed(held):
            visit.reply()
        assert [client.wait(id_).content for id_ in ids] == [b"%d" % i for i in range(50)]


def test_versions_mixed_on_one_connection_are_answered_each_in_its_own(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        ids = [(client.ask(b"mixed", **kind), kind) for kind in list(KINDS.values()) * 3]
        for id_, kind in ids:
            answer = client.wait(id_)
            assert (answer.status, answer.content) == (SUCCESS, b"mixed")
            assert answer.protocol == kind.get("protocol", 1)
            assert answer.has_checksum == bool(kind.get("switch"))
    by_connection = [{(frame.protocol, frame.ver1) for frame in connection.frames} for connection in upstream.connections]
    assert all(len(versions) == 1 for versions in by_connection), "a SOFABolt server answers in the version of the first frame"


def test_a_one_way_request_arrives_and_leaves_nothing_open(setting: RpcSetting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.client() as client:
        client.ask(b"one way", kind=ONE_WAY, timeout_ms=-1)
        assert upstream.wait_requests(1)[0].kind == ONE_WAY
        assert client.call(b"and back").content == b"and back"
        assert len(client.frames) == 1
        tally.wait("bolt.request_active", 0)


@pytest.mark.parametrize("size", [8_000, 16_500, 30_000, 32_400])
def test_header_blocks_of_every_size_arrive(setting: RpcSetting, upstream: Upstream, size: int) -> None:
    with setting.client() as client:
        assert client.call(b"x" * 20_000, [(b"big", b"v" * size)], timeout_ms=2000).get(b"echo-big") == b"v" * size


def test_requests_with_one_id_are_answered_each_with_its_own(setting: RpcSetting, upstream: Upstream) -> None:
    held: list[Visit] = []
    upstream.script = held.append
    with setting.client() as client:
        client.send(b"".join(request(7, content).encode() for content in (b"one", b"two", b"three")))
        client.send(request(7, b"one way", kind=ONE_WAY).encode())
        wait_until(lambda: len(held) == 3 and len(upstream.requests) == 4, "all requests at the upstream")
        for visit in held[1:]:
            visit.reply()
        wait_until(lambda: len(client.answers(7)) == 2, "two answers")
        assert sorted(frame.content for frame in client.answers(7)) == [b"three", b"two"]
    # the client has gone: the third stream is not forgotten
    wait_until(lambda: setting.counts()["bolt.request_active"] == 0, "the end of the third stream", 3)


@EVERY_KIND
@pytest.mark.parametrize("size", [1, 4000, 33_000, 65_536, 200_000, 4_000_000])
def test_contents_of_every_size_come_back(setting: RpcSetting, upstream: Upstream, size: int, kind: dict[str, Any]) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    with setting.client(**kind) as client:
        assert client.call(content[:size]).content == content[:size]
        assert client.call(b"after it").content == b"after it"


def test_five_hundred_requests_in_one_write_are_all_answered(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        client.send(b"".join(request(i, b"content %d" % i).encode() for i in range(1, 501)))
        for i in range(1, 501):
            assert client.wait(i).content == b"content %d" % i


@EVERY_KIND
def test_a_frame_that_comes_byte_by_byte_is_one_frame(setting: RpcSetting, upstream: Upstream, kind: dict[str, Any]) -> None:
    raw = request(7, b"slow", **kind).encode()
    with setting.client() as client:
        for at in range(len(raw)):
            client.send(raw[at : at + 1])
            if at % 8 == 0:
                time.sleep(0.001)
        assert client.wait(7).content == b"slow"


def test_ids_of_a_client_may_be_any_number(setting: RpcSetting, upstream: Upstream) -> None:
    ids = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
    with setting.client() as client:
        client.send(b"".join(request(id_, b"%d" % id_).encode() for id_ in ids))
        assert [client.wait(id_).content for id_ in ids] == [b"%d" % id_ for id_ in ids]


def test_status_and_content_of_an_upstreams_error_pass_unchanged(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        for status in (1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18):
            upstream.script = lambda visit, status=status: visit.reply(b"why", status=status)  # type: ignore[misc]
            answer = client.call()
            assert (answer.status, answer.content) == (status, b"why")


def test_counters_and_routes_see_rpc_requests(setting: RpcSetting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.client() as client:
        for _ in range(3):
            client.call()
    tally.wait("bolt.request_total", 3)
    assert tally.of("up.request_total") == 3


def test_a_service_without_a_route_gets_an_error_frame(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        answer = client.call(b"", [(b"service", b"nobody")])
        assert answer.status != SUCCESS
        assert client.call().status == SUCCESS
    assert len(upstream.requests) == 1


def test_a_client_that_leaves_early_disturbs_nobody(setting: RpcSetting, upstream: Upstream) -> None:
    held: list[Visit] = []
    upstream.script = held.append
    stays, leaves = setting.client(), setting.client()
    leaves.ask(b"never read")
    kept = stays.ask(b"read")
    wait_until(lambda: len(held) == 2, "both requests at the upstream")
    leaves.reset()
    wait_until(lambda: setting.counts()["bolt.request_active"] == 1, "the stream of the departed ended")
    for visit in held:
        visit.reply()
    assert stays.wait(kept).content == b"read"
    upstream.script = Visit.reply
    assert stays.call(b"again").content == b"again"
    assert len(upstream.connections) == 1
    stays.close()
