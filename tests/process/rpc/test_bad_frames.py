"""Clients that break the wire rules lose their own connection, and nobody else loses anything."""

import struct
from collections.abc import Iterator

import pytest

from tests.process.rpc.setting import RpcSetting
from tests.rpc.client import Client
from tests.rpc.upstream import Upstream
from tests.rpc.wire import Frame, request

CRC = {"protocol": 2, "ver1": 2, "switch": 1}


def with_lengths(class_len: int, block_len: int, content_len: int, **kind: int) -> bytes:
    raw = Frame(id=1, **kind).encode()[: 24 if kind else 22]
    return raw[:-8] + struct.pack(">HHI", class_len, block_len, content_len)


def damaged(raw: bytes, at: int, value: int) -> bytes:
    return raw[:at] + bytes([value]) + raw[at + 1 :]


WRONG_CRC = damaged(request(1, b"content", **CRC).encode(), -1, 0x55)
V1, V2 = request(1, b"content").encode(), request(1, b"content", protocol=2).encode()
BAD = {
    "unknown protocol code": damaged(V1, 0, 3),
    "HTTP": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + bytes(40),
    "unknown type of v1": damaged(V1, 1, 3),
    "unknown type of v2": damaged(V2, 2, 9),
    "unknown command": damaged(V1, 3, 77),
    "switch with its high bit": damaged(V2, 11, 0x80),
    "wrong crc": WRONG_CRC,
    "content of 2 GiB": with_lengths(0, 0, 1 << 31),
    "content of 4 GiB": with_lengths(0, 0, 0xFFFFFFFF),
    "content of 1 GiB": with_lengths(0, 0, 1 << 30),
    "content of 1 GiB in v2": with_lengths(0, 0, 1 << 30, protocol=2),
    "class longer than Java's short": with_lengths(0x8000, 0, 0),
    "header block longer than Java's short": with_lengths(0, 0x8000, 0),
    "field that ends after its block": with_lengths(0, 8, 0) + struct.pack(">II", 100, 0),
    "name without a value": with_lengths(0, 5, 0) + struct.pack(">I", 1) + b"a",
    "block that ends in a length": with_lengths(0, 3, 0) + b"\0\0\0",
}


@pytest.fixture
def bystander(setting: RpcSetting, upstream: Upstream) -> Iterator[Client]:
    """A client that is connected all the time and served before and after."""
    with setting.client() as client:
        assert client.call(b"before").content == b"before"
        yield client
        assert client.call(b"after").content == b"after"


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD)
@pytest.mark.usefixtures("bystander")
def test_a_bad_frame_closes_its_connection_only(setting: RpcSetting, upstream: Upstream, raw: bytes) -> None:
    count = len(upstream.requests)
    with setting.client() as client:
        client.send(raw)
        client.wait_closed()
    assert len(upstream.requests) == count, "a bad frame reached the upstream"


@pytest.mark.usefixtures("bystander")
def test_a_length_that_is_too_large_takes_no_memory(setting: RpcSetting, upstream: Upstream) -> None:
    before = setting.pss_bytes()
    clients = [setting.client() for _ in range(50)]
    for client in clients:
        client.send(BAD["content of 1 GiB"])
        try:
            client.send(bytes(1 << 20))
        except OSError:
            pass  # closed already, as it should be
    for client in clients:
        client.wait_closed()
        client.close()
    assert setting.pss_bytes() - before < 8 << 20


@pytest.mark.usefixtures("bystander")
def test_a_client_that_ends_in_the_middle_of_a_frame_leaves_nothing(setting: RpcSetting, upstream: Upstream) -> None:
    raw = request(1, b"content" * 1000).encode()
    for length in (1, 5, 21, 22, 60, 500, len(raw) - 1):
        with setting.client() as client:
            client.send(raw[:length])
    assert not [frame for frame in upstream.requests if frame.content != b"before"]
