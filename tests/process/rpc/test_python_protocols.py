"""Protocols in plain Python, named from the configuration: the example of the docs, and what a mistake in one costs others."""

import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.process.program import ROOT, wait_until
from tests.process.rpc.setting import HERE, RpcSetting
from tests.rpc.upstream import Upstream


class EchoServer:
    """Answers the frames of one protocol; *answer* makes an answer of the bytes that came."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    @staticmethod
    def _serve(sock: socket.socket) -> None:
        buf = b""
        try:
            while data := sock.recv(65536):
                buf += data
                if buf[:1] == b"W":
                    sock.sendall(bytes(buf))
                    buf = b""
                while len(buf) >= 5 and buf[:1] == b"B" and len(buf) >= 5 + buf[4]:
                    sock.sendall(b"B.s" + buf[3 : 5 + buf[4]])
                    buf = buf[5 + buf[4] :]
                while len(buf) >= 11 and buf[:1] == b"x" and len(buf) >= 11 + struct.unpack_from(">I", buf, 7)[0]:
                    (length,) = struct.unpack_from(">I", buf, 7)
                    answer = b"x" + buf[1:2] + b"\1" + buf[3:7] + b"\0\0"
                    sock.sendall(answer + struct.pack(">I", length) + buf[11 : 11 + length])
                    buf = buf[11 + length :]
        except OSError:
            pass


SERVER = EchoServer()


def configure(setting: RpcSetting, origin: Upstream) -> None:
    setting.add_cluster("python", SERVER.port)
    setting.add_route({"prefix": "/"}, first=True, route={"cluster_name": "python"})
    setting.add_route({"path": "/ping"}, first=True, direct_response={"status": 200, "body": "pong"})
    files = [
        (HERE / "buggy.py", "Sound"),
        (HERE / "buggy.py", "Buggy"),
        (HERE / "wild.py", "Wild"),
        (ROOT / "docs" / "examples" / "x_example.py", "XExample"),
    ]
    codecs = [{"enable": True, "type": "python", "path": str(path), "loader_func_name": name} for path, name in files]
    setting.config["third_part_codec"] = {"codecs": codecs}
    for name in ("sound", "buggy", "x_example", "wild"):
        setting.add_protocol(name, name)
    setting.add_protocol("mixed", "wild,sound")


class Line:
    """A client's connection."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=4)

    def exchange(self, raw: bytes, size: int) -> bytes:
        """*size* bytes that come back for *raw*, or fewer if the connection ends."""
        self.sock.sendall(raw)
        found = b""
        while len(found) < size and (data := self.sock.recv(size - len(found))):
            found += data
        return found


@pytest.fixture(params=["sound", "buggy"])
def bystander(request: pytest.FixtureRequest, setting: RpcSetting) -> Iterator[Line]:
    """A client of a sound protocol, or of the same buggy one, that is served before and after."""
    line = Line(setting.ports[request.param])
    assert line.exchange(b"B.q\x07\x05hello", 10) == b"B.s\x07\x05hello"
    yield line
    assert line.exchange(b"B.q\x08\x05hello", 10) == b"B.s\x08\x05hello"
    line.sock.close()


@pytest.mark.parametrize("trouble", list("elhwg"))
@pytest.mark.usefixtures("bystander")
def test_a_mistake_in_decode_ends_its_own_connection(setting: RpcSetting, trouble: str) -> None:
    line = Line(setting.ports["buggy"])
    assert line.exchange(b"B" + trouble.encode() + b"q\x01\x05hello", 1) == b""
    wait_until(lambda: "buggy" in setting.log_text(), "a log line that names the protocol")


@pytest.mark.usefixtures("bystander")
def test_endless_need_of_more_ends_at_the_limit_of_a_head(setting: RpcSetting) -> None:
    before = setting.pss_bytes()
    line = Line(setting.ports["buggy"])
    line.sock.settimeout(8)
    sent = 0
    with pytest.raises(OSError):
        while sent < 64 << 20:
            line.sock.sendall(b"Bm" + bytes(65534))
            sent += 65536
    assert sent < 16 << 20
    assert setting.pss_bytes() - before < 8 << 20


@pytest.mark.usefixtures("bystander")
def test_a_mistake_in_encode_hurts_its_own_connection_only(setting: RpcSetting) -> None:
    line = Line(setting.ports["buggy"])
    line.sock.settimeout(3)
    try:
        line.exchange(b"B.q\xee\x01x", 6)
    except TimeoutError:
        pass  # without an error frame in this protocol there is nothing that could be said


@pytest.mark.timeout(120)
def test_a_protocol_that_does_anything_wrong_ends_nobody_elses_connection(
    setting: RpcSetting, request: pytest.FixtureRequest
) -> None:
    dice = random.Random(int(request.config.option.hypothesis_seed or 0))
    workers = setting.pids("worker")
    tally = setting.tally()
    others = [Line(setting.ports["sound"]), Line(setting.ports["x_example"]), Line(setting.ports["mixed"])]
    asked = b"B.q\x07\x05hello", b"x\1\0\0\0\0\x07\0\0\0\5hello", b"B.q\x08\x05hello"
    for turn in range(4000):
        frames = [b"W" + dice.randbytes(3) + b"abc" for _ in range(dice.randrange(1, 6))]
        raw = bytearray(b"".join(frames))
        if turn % 3 == 0:
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        with socket.create_connection(("127.0.0.1", setting.ports[dice.choice(["wild", "mixed"])]), timeout=4) as sock:
            cut = dice.randrange(len(raw) + 1)
            sock.sendall(raw[:cut])
            sock.sendall(raw[cut:])
            if turn % 4 == 0:
                sock.settimeout(0.01)
                with suppress(OSError):
                    sock.recv(65536)
        if turn % 50 == 0:
            for line, raw_request in zip(others, asked, strict=True):
                size = len(raw_request) + (2 if raw_request.startswith(b"x") else 0)
                assert line.exchange(raw_request, size).endswith(b"hello")
    assert setting.pids("worker") == workers
    for line in others:
        line.sock.close()
    for name in ("wild", "mixed"):
        wait_until(lambda name=name: setting.counts()[f"{name}.connection_active"] == 0, f"the end of {name}")  # type: ignore[misc]
        wait_until(lambda name=name: setting.counts()[f"{name}.request_active"] == 0, f"the streams of {name}")  # type: ignore[misc]
    assert tally.of("worker.exceptions") == 0


def test_the_example_of_the_docs_carries_requests(setting: RpcSetting) -> None:
    line = Line(setting.ports["x_example"])
    for id_ in (0, 1, 0xFFFFFFFF):
        content = b"content %d" % id_
        raw = b"x\1\0" + struct.pack(">II", id_, len(content)) + content
        expected = b"x\1\1" + struct.pack(">IHI", id_, 0, len(content)) + content
        assert line.exchange(raw, len(expected)) == expected
    line.sock.close()


def test_the_example_answers_heartbeats_itself(setting: RpcSetting) -> None:
    line = Line(setting.ports["x_example"])
    assert line.exchange(b"x\0\0" + struct.pack(">II", 9, 0), 13) == b"x\0\1" + struct.pack(">IHI", 9, 0, 0)
    line.sock.close()


def test_many_clients_of_the_example_share_one_upstream_connection(setting: RpcSetting) -> None:
    lines = [Line(setting.ports["x_example"]) for _ in range(20)]
    for line in lines:
        line.sock.sendall(b"".join(b"x\1\0" + struct.pack(">II", i, 4) + b"body" for i in range(20)))
    time.sleep(0)
    for line in lines:
        answers = line.exchange(b"", 20 * 17)
        ids = sorted(struct.unpack_from(">I", answers, at + 3)[0] for at in range(0, len(answers), 17))
        assert ids == list(range(20))
        line.sock.close()
