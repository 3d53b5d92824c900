"""The protocol of the hosts chosen by a route and by the transcoder filter, request by request."""

import http.client

import pytest

from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream


def configure(setting: RpcSetting, origin: Upstream) -> None:
    for service, protocol in (("one", "bolt"), ("two", "boltv2")):
        setting.add_service(service, "up", upstream_protocol=protocol)
    setting.add_protocol("by_route", "Http1")
    rules = [
        {"matcher_config": {"config": {"name": "x-to", "value": "v2"}}, "rule_info": {"upstream_protocol": "boltv2"}},
        {"rule_info": {"upstream_protocol": "bolt"}},
    ]
    setting.add_protocol("by_rules", "Http1", stream_filters=[{"type": "transcoder", "config": {"rules": rules}}])
    simple = [{"type": "transcoder", "config": {"type": "http2bolt_simple"}}]
    setting.add_protocol("simple", "Http1", stream_filters=simple)


def ask(setting: RpcSetting, listener: str, **fields: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", setting.ports[listener], timeout=5)
    try:
        connection.request("POST", "/a", b"a body", {name.replace("_", "-"): value for name, value in fields.items()})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("listener", "fields", "protocol"),
    [
        ("by_route", {"service": "one"}, 1),
        ("by_route", {"service": "two"}, 2),
        ("by_rules", {"service": "other"}, 1),
        ("by_rules", {"service": "other", "x_to": "v2"}, 2),
        ("simple", {"service": "other"}, 1),
        ("simple", {"service": "two"}, 1),
    ],
)
def test_hosts_get_the_protocol_that_was_chosen(
    setting: RpcSetting, upstream: Upstream, listener: str, fields: dict[str, str], protocol: int
) -> None:
    assert ask(setting, listener, **fields) == (200, b"a body")
    (seen,) = upstream.requests
    assert (seen.protocol, seen.content) == (protocol, b"a body")
