"""bolt for clients, boltv2 for hosts, and back: one head, another fixed part; everything else is carried over."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream
from tests.rpc.wire import (
    BUSY,
    ERROR,
    NO_PROCESSOR,
    ONE_WAY,
    REQUEST_CLASS,
    RESPONSE,
    RESPONSE_CLASS,
    SUCCESS,
    TIMEOUT,
    Fields,
    Frame,
)

FIELDS: Fields = [(b"own", b"1"), (b"null", None), (b"", b"empty name"), (b"twice", b"1"), (b"twice", b"2")]
V1: dict[str, Any] = {"protocol": 1}
V2: dict[str, Any] = {"protocol": 2}
V2_CRC: dict[str, Any] = {"protocol": 2, "ver1": 2, "switch": 1}
CASES = {"v1 to v2": ("to_v2", V1, 2), "v2 to v1": ("to_v1", V2, 1), "v2 with crc to v1": ("to_v1", V2_CRC, 1)}


def configure(setting: RpcSetting, origin: Upstream) -> None:
    setting.add_protocol("to_v2", "bolt", "boltv2")
    setting.add_protocol("to_v1", "boltv2", "bolt")
    setting.add_service("by.route", "up", upstream_protocol="boltv2")
    setting.add_service("gone", "nothing", upstream_protocol="boltv2")
    setting.add_cluster("nothing", 1)
    setting.add_protocol("edited", "bolt", "boltv2")
    setting.add_filter("edited", "edits:Mark")


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, Any], int]]:
    yield request.param


def plain(frame: Frame) -> Frame:
    """*frame* without what differs between versions and hops."""
    return replace(frame, id=0, protocol=1, ver1=1, switch=0)


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 40, bytes(200_000)], ids=len)
def test_all_but_the_version_is_carried_over(
    setting: RpcSetting, upstream: Upstream, case: tuple[str, dict[str, Any], int], content: bytes
) -> None:
    listener, kind, version = case
    with setting.client(listener, **kind) as client:
        answer = client.call(content, FIELDS, codec=3, version=2, timeout_ms=7000)
        (seen,) = upstream.requests
        assert seen.protocol == version
        assert plain(seen) == plain(client.sent[0])
        (connection,) = upstream.connections
        assert plain(answer) == plain(connection.answered[0])
        assert answer.id == client.sent[0].id
        assert (answer.protocol, answer.has_checksum) == (kind["protocol"], "switch" in kind)


@pytest.mark.parametrize("status", [SUCCESS, BUSY, TIMEOUT, NO_PROCESSOR, ERROR, 16, 17])
def test_the_status_is_the_hosts_own(
    setting: RpcSetting, upstream: Upstream, case: tuple[str, dict[str, Any], int], status: int
) -> None:
    upstream.script = lambda visit: visit.reply(b"content", status=status)
    with setting.client(case[0], **case[1]) as client:
        assert client.call().status == status


def test_versions_mixed_on_one_connection_are_answered_each_in_its_own(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client("to_v2") as client:
        ids = [(client.ask(b"mixed", **kind), kind) for kind in (V1, V2, V2_CRC) * 3]
        for id_, kind in ids:
            answer = client.wait(id_)
            assert (answer.status, answer.content, answer.protocol) == (SUCCESS, b"mixed", kind["protocol"])
            assert answer.has_checksum == ("switch" in kind)
    assert {frame.protocol for frame in upstream.requests} == {2}
    by_connection = [{(frame.protocol, frame.ver1) for frame in connection.frames} for connection in upstream.connections]
    assert all(len(versions) == 1 for versions in by_connection)


def test_a_one_way_request_is_converted(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client("to_v2") as client:
        client.ask(b"one way", kind=ONE_WAY)
        (seen,) = upstream.wait_requests(1)
        assert (seen.protocol, seen.kind, seen.content) == (2, ONE_WAY, b"one way")


def test_a_route_may_ask_for_the_other_version(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        assert client.call(b"", [(b"service", b"by.route")]).protocol == 1
        assert client.call(b"").protocol == 1
    assert [frame.protocol for frame in upstream.requests] == [2, 1]


def test_an_error_of_the_proxy_has_the_clients_version(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client("to_v2") as client:
        answer = client.call(b"", [(b"service", b"gone")])
        assert (answer.kind, answer.protocol) == (RESPONSE, 1)
        assert answer.status != SUCCESS


def test_a_filter_that_changes_headers_and_the_version_at_once(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client("edited") as client:
        answer = client.call(b"content", [(b"edit", b"please"), (b"x-secret", b"s"), *FIELDS])
        assert (answer.status, answer.protocol, answer.content) == (SUCCESS, 1, b"content")
        assert answer.get(b"x-answered") == b"through the filter"
        assert answer.class_name == RESPONSE_CLASS
    (seen,) = upstream.requests
    assert (seen.protocol, seen.content, seen.class_name) == (2, b"content", REQUEST_CLASS)
    assert (seen.get(b"edit"), seen.get(b"x-added"), seen.get(b"x-secret")) == ("by the filter, äöü".encode(), b"1", None)
    assert all(pair in seen.fields for pair in FIELDS if pair[1] is not None)  # an edited block writes a null as empty
