"""Protocols that are not multiplexed: one request at a time on a pooled connection, or a connection to the host per client."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.process.program import wait_until
from tests.process.rpc.setting import HERE, RpcSetting
from tests.rpc.upstream import Upstream
from tests.rpc.wire import SUCCESS


def frame(magic: bytes, kind: bytes, content: bytes = b"") -> bytes:
    return magic + kind + len(content).to_bytes(2, "big") + content


class Host:
    """Answers `connection number/number of the request on it/content`; notes one-way requests; obeys a few contents."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open: list[socket.socket] = []
        self.heard: list[bytes] = []
        self.count = 0
        self.late = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            sock, _ = self.listener.accept()
            self.open.append(sock)
            self.count += 1
            threading.Thread(target=self._serve, args=(sock, self.count), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        buf, asked = b"", 0
        try:
            while data := sock.recv(65536):
                buf += data
                while len(buf) >= 4 and len(buf) >= (end := 4 + int.from_bytes(buf[2:4], "big")):
                    content, kind, magic = buf[4:end], buf[1:2], buf[:1]
                    buf = buf[end:]
                    asked += 1
                    self.heard.append(kind + content)
                    if content == b"silence":
                        continue
                    if content == b"leave":
                        return
                    if content == b"late":
                        self.late.wait(10)
                    if kind == b"q":
                        beat = frame(magic, b"h") if content == b"beat" else b""
                        sock.sendall(beat + frame(magic, b"a", b"%d/%d/" % (number, asked) + content))
                    if content == b"last":
                        return
        except OSError:
            pass
        finally:
            self.open.remove(sock)
            sock.close()


HOST, OTHER = Host(), Host()
MAGIC = {"serial": b"!", "session": b"$"}


def configure(setting: RpcSetting, origin: Upstream) -> None:
    setting.add_cluster("hosts", HOST.port, OTHER.port)
    setting.add_route({"prefix": "/"}, first=True, route={"cluster_name": "hosts", "timeout": "1s"})
    setting.add_service("com.example.Echo:1.0", "hosts", upstream_protocol="serial")
    names = {"serial": "Serial", "session": "Session"}
    codecs = [
        {"enable": True, "type": "python", "path": str(HERE / "serial.py"), "loader_func_name": name} for name in names.values()
    ]
    setting.config["third_part_codec"] = {"codecs": codecs}
    for name in names:
        setting.add_protocol(name, name)
    setting.add_protocol("either", "serial,session,bolt")


class Line:
    """A client's connection."""

    def __init__(self, setting: RpcSetting, protocol: str, listener: str = "") -> None:
        self.magic = MAGIC[protocol]
        self.sock = socket.create_connection(("127.0.0.1", setting.ports[listener or protocol]), timeout=5)
        self.unread = b""

    def send(self, content: bytes, kind: bytes = b"q") -> None:
        self.sock.sendall(frame(self.magic, kind, content))

    def read(self) -> tuple[bytes, bytes]:
        """Kind and content of the next frame; two empty ones at the end of the connection."""
        while len(self.unread) < 4 or len(self.unread) < 4 + int.from_bytes(self.unread[2:4], "big"):
            data = self.sock.recv(65536)
            if not data:
                return b"", b""
            self.unread += data
        end = 4 + int.from_bytes(self.unread[2:4], "big")
        found, self.unread = self.unread[:end], self.unread[end:]
        assert found[:1] == self.magic
        return found[1:2], found[4:]

    def ask(self, content: bytes, kind: bytes = b"q") -> tuple[bytes, bytes]:
        self.send(content, kind)
        return self.read()

    def close(self) -> None:
        self.sock.close()


@pytest.fixture(params=["serial", "session"])
def line(request: pytest.FixtureRequest, setting: RpcSetting) -> Iterator[Line]:
    made = Line(setting, request.param)
    yield made
    made.close()
    wait_until(lambda: setting.counts()[f"{request.param}.connection_active"] == 0, "the end of the client's connection")


def test_requests_are_answered_one_after_the_other(line: Line) -> None:
    contents = [b"", b"x", bytes(60_000), *(b"%d" % i for i in range(50))]
    for content in contents:
        line.send(content)
    answers = [line.read() for _ in contents]
    assert [(kind, answer.split(b"/", 2)[2]) for kind, answer in answers] == [(b"a", content) for content in contents]


def test_a_one_way_request_arrives_and_the_next_is_answered(line: Line) -> None:
    HOST.heard.clear()
    OTHER.heard.clear()
    line.send(b"no answer", b"o")
    assert line.ask(b"an answer")[1].endswith(b"/an answer")
    wait_until(lambda: b"ono answer" in HOST.heard + OTHER.heard, "the one-way request at a host")


def test_heartbeats_of_either_side_are_answered(line: Line) -> None:
    HOST.heard.clear()
    OTHER.heard.clear()
    assert line.ask(b"", b"h") == (b"r", b"")
    assert line.ask(b"beat")[1].endswith(b"/beat")
    wait_until(lambda: b"r" in HOST.heard + OTHER.heard, "the answer to the host's heartbeat")


def test_a_host_that_is_silent_gives_an_error_frame(line: Line) -> None:
    assert line.ask(b"silence") == (b"e", b"")


def test_two_protocols_are_told_apart_on_one_port(setting: RpcSetting) -> None:
    for name in ("serial", "session"):
        line = Line(setting, name, "either")
        assert line.ask(b"hello")[1].endswith(b"/hello")
        line.close()


def test_pooled_connections_are_shared_by_clients_in_turn(setting: RpcSetting) -> None:
    before = HOST.count + OTHER.count
    for _ in range(20):
        line = Line(setting, "serial")
        line.ask(b"x")
        line.close()
    assert HOST.count + OTHER.count - before <= 2


def test_a_bound_client_has_a_connection_of_its_own_and_keeps_it(setting: RpcSetting) -> None:
    lines = [Line(setting, "session") for _ in range(6)]
    places = [line.ask(b"begin")[1].rsplit(b"/", 2)[0] for line in lines]
    hosts = HOST.count + OTHER.count
    for turn in range(2, 12):
        for line, place in zip(lines, places, strict=True):
            assert line.ask(b"on") == (b"a", place + b"/%d/on" % turn)
    assert HOST.count + OTHER.count == hosts
    assert setting.counts()["hosts.connection_active"] >= 6
    for line in lines:
        line.close()
    wait_until(lambda: setting.counts()["session.connection_active"] == 0, "the end of the clients")


def test_a_bound_connection_ends_with_its_client(setting: RpcSetting) -> None:
    wait_until(lambda: setting.counts()["session.connection_active"] == 0, "no client")
    before = len(HOST.open) + len(OTHER.open)
    line = Line(setting, "session")
    line.ask(b"begin")
    assert len(HOST.open) + len(OTHER.open) == before + 1
    line.close()
    wait_until(lambda: len(HOST.open) + len(OTHER.open) == before, "the end of the connection to the host")


@pytest.mark.parametrize("content", [b"last", b"leave"])
def test_a_bound_client_ends_with_its_connection(setting: RpcSetting, content: bytes) -> None:
    line = Line(setting, "session")
    line.ask(b"begin")
    kind, _ = line.ask(content)
    assert kind == (b"a" if content == b"last" else b"e")
    assert line.read() == (b"", b"")
    line.close()


def test_a_bound_session_is_not_resumed_on_another_connection_after_a_timeout(setting: RpcSetting) -> None:
    line = Line(setting, "session")
    line.ask(b"begin")
    assert line.ask(b"silence") == (b"e", b"")
    assert line.read() == (b"", b"")
    line.close()


def test_requests_of_a_multiplexed_client_go_up_one_at_a_time(setting: RpcSetting) -> None:
    with setting.client("either") as client:
        ids = [client.ask(b"%d" % i) for i in range(20)]
        answers = [client.wait(id_) for id_ in ids]
    assert [frame.status for frame in answers] == [SUCCESS] * 20
    assert [frame.content.split(b"/")[2] for frame in answers] == [b"%d" % i for i in range(20)]


def test_a_multiplexed_client_cannot_have_a_bound_connection(setting: RpcSetting) -> None:
    proxy = setting.server["listeners"][-1]["filter_chains"][0]["filters"][0]["config"]
    assert proxy["downstream_protocol"] == "serial,session,bolt"
    proxy["upstream_protocol"] = "session"
    setting.write()
    done = setting.run("check")
    del proxy["upstream_protocol"]
    setting.write()
    assert done.returncode == 1
    assert "'session' has pool_mode BIND" in done.stdout + done.stderr
    assert "clients of 'bolt' ask many things at a time" in done.stdout + done.stderr
