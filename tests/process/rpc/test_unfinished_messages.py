"""RPC messages that have not come as a whole: they hold no buffer, and every protocol's head has a deadline."""

import socket
import time
from collections.abc import Callable

import pytest

from tests.process.program import DEADLINE_S, ROOT, wait_until
from tests.process.rpc.setting import HERE, RpcSetting
from tests.rpc.upstream import Upstream
from tests.rpc.wire import Reader, request

COUNT = 300  # the arena has 40 blocks
HEAD_S, BODY_S = 0.4, 1.2
X_EXAMPLE = b"x\1\0\0\0\0\7\0\0\0\5hello"
LISTENERS = pytest.mark.parametrize("listener", ["bolt", "boltv2", "x_example", "auto"])
HURRIED = {"request_header_timeout": f"{HEAD_S}s", "extend": {"Http1": {"request_body_timeout": f"{BODY_S}s"}}}


def frame_of(listener: str) -> bytes:
    """A whole request, ten bytes of which are its body's end."""
    if listener.endswith("x_example"):
        return X_EXAMPLE
    protocol = 2 if "2" in listener else 1
    return request(7, b"hello" * 20, [(b"service", b"a" * 40)], protocol=protocol, switch=protocol - 1, ver1=protocol).encode()


def configure(setting: RpcSetting, origin: Upstream) -> None:
    setting.server["arena_size"] = "1MB"
    example = {"type": "python", "path": str(ROOT / "docs" / "examples" / "x_example.py"), "loader_func_name": "XExample"}
    serial = {"type": "python", "path": str(HERE / "serial.py"), "loader_func_name": "Serial"}
    setting.config["third_part_codec"] = {"codecs": [{"enable": True, **example}, {"enable": True, **serial}]}
    setting.add_protocol("hurried_serial", "serial", **HURRIED)
    for name, protocols in {"boltv2": "boltv2", "x_example": "x_example", "auto": "Auto"}.items():
        setting.add_protocol(name, protocols, "bolt" if name != "auto" else "")
        setting.add_protocol(f"hurried_{name}", protocols, "bolt" if name != "auto" else "", **HURRIED)
    setting.add_protocol("hurried_bolt", "bolt", **HURRIED)


def connect(setting: RpcSetting, listener: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", setting.ports[listener]), timeout=DEADLINE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def begun(setting: RpcSetting, listener: str, first_bytes: bytes, count: int = COUNT) -> list[socket.socket]:
    """Clients that have sent the beginning of a message, all of it read."""
    tally = setting.tally()
    clients = [connect(setting, listener) for _ in range(count)]
    for client in clients:
        client.sendall(first_bytes)
    wait_until(lambda: tally.of(f"{listener}.bytes_read_total") >= count * len(first_bytes), "all beginnings")
    return clients


def content_of(client: socket.socket, listener: str) -> bytes:
    """The content of the answer that comes."""
    if listener.endswith("x_example"):
        return client.recv(18, socket.MSG_WAITALL)[13:]
    reader = Reader()
    while True:
        data = client.recv(65536)
        assert data, "closed without an answer"
        for frame in reader.feed(data):
            return frame.content


@LISTENERS
@pytest.mark.parametrize("part", ["one byte", "half", "all but one byte"])
def test_the_beginning_of_a_message_holds_no_buffer(
    setting: RpcSetting, upstream: Upstream, listener: str, part: str
) -> None:
    frame = frame_of(listener)
    cut = {"one byte": 1, "half": len(frame) // 2, "all but one byte": len(frame) - 1}[part]
    tally = setting.tally()
    clients = begun(setting, listener, frame[:cut])
    with setting.client() as honest:
        assert [honest.call(b"honest").content for _ in range(30)] == [b"honest"] * 30
    assert tally.of(f"{listener}.arena_exhausted") == tally.of("bolt.arena_exhausted") == 0
    assert tally.of(f"{listener}.connection_parked") == COUNT
    for client in clients:
        client.sendall(frame[cut:])
    assert {content_of(client, listener) for client in clients} == {b"hello" if listener == "x_example" else b"hello" * 20}
    assert tally.of(f"{listener}.limit_unfinished") == 0
    for client in clients:
        client.close()


@LISTENERS
def test_a_head_that_trickles_gains_no_time(setting: RpcSetting, upstream: Upstream, listener: str) -> None:
    frame, listener = frame_of(listener), f"hurried_{listener}"
    tally = setting.tally()
    client = connect(setting, listener)
    started = time.monotonic()
    client.settimeout(0.05)
    for at in range(11):
        client.sendall(frame[at : at + 1])
        if ended(client):
            break
    client.settimeout(DEADLINE_S)
    assert ended(client)
    assert HEAD_S - 0.05 < time.monotonic() - started < BODY_S
    tally.wait(f"{listener}.timeout_header", 1)
    client.close()


def ended(client: socket.socket) -> bool:
    """Whether the far side has closed, within the socket's timeout."""
    try:
        return client.recv(1, socket.MSG_PEEK) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True  # closed over a byte that was on its way


def test_a_protocol_of_one_request_at_a_time_has_the_deadline_too(setting: RpcSetting, upstream: Upstream) -> None:
    tally = setting.tally()
    (client,) = begun(setting, "hurried_serial", b"!q\0", 1)
    started = time.monotonic()
    assert client.recv(100) == b"!a\0\0", "what it has for 408"
    assert client.recv(1) == b""
    assert time.monotonic() - started < BODY_S
    tally.wait("hurried_serial.timeout_header", 1)
    client.close()


@LISTENERS
def test_a_body_has_a_deadline_of_its_own(setting: RpcSetting, upstream: Upstream, listener: str) -> None:
    frame, listener = frame_of(listener), f"hurried_{listener}"
    tally = setting.tally()
    started = time.monotonic()
    client = connect(setting, listener)
    client.sendall(frame[:-1])
    assert client.recv(1) == b""
    assert BODY_S - 0.05 < time.monotonic() - started < BODY_S + 5
    tally.wait(f"{listener}.timeout_body", 1)
    assert tally.of(f"{listener}.timeout_header") == 0
    client.close()


@LISTENERS
def test_a_client_that_is_always_in_the_middle_of_a_message_is_served(
    setting: RpcSetting, upstream: Upstream, listener: str
) -> None:
    frame, listener = frame_of(listener), f"hurried_{listener}"
    client = connect(setting, listener)
    client.sendall(frame[:6])
    until = time.monotonic() + HEAD_S * 3
    while time.monotonic() < until:
        time.sleep(HEAD_S / 4)
        client.sendall(frame[6:] + frame[:6])
        assert content_of(client, listener)
    client.close()


def test_a_message_longer_than_what_waits_comes_in_pieces(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        for size in (3900, 4096, 12_000, 14_300, 16_400, 40_000, 200_000):
            content = bytes(range(256)) * (size // 256 + 1)
            raw = request(size, content[:size]).encode()
            for at in range(0, len(raw), 1459):
                client.send(raw[at : at + 1459])
                time.sleep(0.002)
            assert client.wait(size).content == content[:size]


def test_messages_that_wait_in_blocks_leave_them_to_others(setting: RpcSetting, upstream: Upstream) -> None:
    frame = request(9, bytes(12_000)).encode()
    tally = setting.tally()
    clients = begun(setting, "bolt", frame[:8000], 100)
    with setting.client() as honest:
        assert [honest.call(b"honest").content for _ in range(30)] == [b"honest"] * 30
    assert tally.of("bolt.limit_unfinished") == 0
    for client in clients:
        client.sendall(frame[8000:])
    assert {content_of(client, "bolt") for client in clients} == {bytes(12_000)}
    for client in clients:
        client.close()


def trickle(setting: RpcSetting, send: Callable[[bytes], None], frame: bytes) -> None:
    for at in range(len(frame)):
        send(frame[at : at + 1])
        time.sleep(0.001)


def test_a_message_may_trickle_while_others_are_under_way(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = lambda visit: None if visit.frame.content == b"held" else visit.reply()
    with setting.client() as client:
        client.ask(b"held")
        trickle(setting, client.send, request(50, b"trickled", [(b"service", b"x")]).encode())
        assert client.wait(50).content == b"trickled"
