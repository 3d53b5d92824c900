"""One port for several protocols: the first bytes decide, and who never says enough is closed."""

import http.client
import time

import pytest

from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream
from tests.rpc.wire import SUCCESS, request

PORTS = pytest.mark.parametrize("listener", ["listed", "auto"])


def configure(setting: RpcSetting, origin: Upstream) -> None:
    setting.add_protocol("listed", "Http1,bolt,boltv2")
    setting.add_protocol("auto", "Auto")
    setting.add_protocol("bolt_only", "bolt")


def get_ping(port: int) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ping")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@PORTS
def test_each_protocol_is_served_on_the_same_port(setting: RpcSetting, upstream: Upstream, listener: str) -> None:
    for _ in range(3):
        assert get_ping(setting.ports[listener]) == (200, b"pong")
        for kind in ({}, {"protocol": 2}, {"protocol": 2, "ver1": 2, "switch": 1}):
            with setting.client(listener, **kind) as client:
                answer = client.call(b"hello")
                assert (answer.status, answer.content, answer.protocol) == (SUCCESS, b"hello", kind.get("protocol", 1))


@PORTS
def test_the_first_byte_may_come_alone(setting: RpcSetting, upstream: Upstream, listener: str) -> None:
    for protocol in (1, 2):
        raw = request(1, b"hello", protocol=protocol).encode()
        with setting.client(listener) as client:
            for at in range(3):
                client.send(raw[at : at + 1])
                time.sleep(0.03)
            client.send(raw[3:])
            assert client.wait(1).content == b"hello"


@PORTS
@pytest.mark.parametrize("raw", [b"\x00" * 64, b"\xda\xbb" + bytes(64), b"SSH-2.0-OpenSSH_9.2\r\n", b"\xff" * 100])
def test_a_client_of_no_known_protocol_is_closed(setting: RpcSetting, upstream: Upstream, listener: str, raw: bytes) -> None:
    with setting.client(listener) as client:
        client.send(raw)
        client.wait_closed()
    assert not upstream.requests


def test_a_port_for_bolt_alone_serves_no_http(setting: RpcSetting, upstream: Upstream) -> None:
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        get_ping(setting.ports["bolt_only"])


def test_what_follows_the_first_frame_is_not_detected_again(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client("listed") as client:
        client.call()
        client.send(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n" + bytes(30))
        client.wait_closed()
        assert len(client.frames) == 1
