"""The admin API over real sockets; clients are gevent's or run in a thread of their own."""

import contextlib
import http.client
import json
from collections.abc import Iterator

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from mosn_mp.admin.access import tcp_caller
from mosn_mp.admin.api import AdminApi
from mosn_mp.admin.connection import AdminLimits
from mosn_mp.admin.server import AdminServer
from mosn_mp.config.decoding.address import Address
from mosn_mp.ipc.report import ReloadReport
from tests.unit.admin.fake_source import FakeSource

QUICK = AdminLimits(
    connections=2, local_connections=4, head_bytes=2048, body_bytes=1000, head_s=0.3, body_s=0.3, idle_s=0.3, reply_s=1.0
)
PATIENT = AdminLimits()


class SmallSource(FakeSource):
    """Its prometheus text is as long as a test wants, its changes wait until one says so, and asked for its state it fails."""

    metrics = b"x 1\n"
    changing = 0

    def __init__(self) -> None:
        super().__init__()
        self.levels = {"stderr": "INFO"}
        self.finish = Event()

    def state(self) -> int:
        raise RuntimeError("a slip of ours")

    def prometheus(self) -> Iterator[bytes]:
        yield self.metrics

    def change(self, edit: str, body: bytes) -> ReloadReport:
        self.changing += 1
        self.finish.wait()
        return ReloadReport(ok=True, version=2, took_s=0.0, workers_before=1, workers=1)


@pytest.fixture
def source() -> SmallSource:
    return SmallSource()


@pytest.fixture
def server(source: SmallSource) -> Iterator[AdminServer]:
    made = AdminServer(AdminApi(source), Address("127.0.0.1", 0), QUICK)
    made.start()
    yield made
    made.stop()


def connect(server: AdminServer) -> socket.socket:
    sock = socket.create_connection(server.address)
    sock.settimeout(5)
    return sock


def talk(server: AdminServer, request: bytes) -> bytes:
    """Everything the server says to *request* until it closes."""
    with connect(server) as sock:
        sock.sendall(request)
        return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    said = b""
    while data := sock.recv(65536):
        said += data
    return said


GET = b"GET /api/v1/version HTTP/1.1\r\nHost: localhost\r\n"
JSON = b"Host: localhost\r\nContent-Type: application/json\r\n"
MAY = JSON + b"Authorization: Bearer 0123456789abcdef\r\n"
SET_LEVEL = b"POST /api/v1/update_loglevel HTTP/1.1\r\n" + MAY


def test_a_request_gets_its_answer(server: AdminServer) -> None:
    said = talk(server, GET + b"Connection: close\r\n\r\n")
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b"mosn version: 1.2.3"
    assert b"content-length: 19" in head.lower() and b"date: " in head.lower() and b"connection: close" in head.lower()


def test_a_connection_carries_many_requests_also_pipelined(server: AdminServer) -> None:
    post = SET_LEVEL + b"Transfer-Encoding: chunked\r\n\r\n"
    post += b'1a\r\n{"log_path": "stderr", "lo\r\n14\r\ng_level": "WARN"}   \r\n0\r\n\r\n'
    said = talk(server, GET + b"\r\n" + post + GET + b"Connection: close\r\n\r\n")
    assert said.count(b"HTTP/1.1 200 ") == 3 and b"update logger success" in said


def test_a_client_of_the_standard_library_is_served(server: AdminServer) -> None:
    def client() -> list[tuple[int, bytes]]:
        connection = http.client.HTTPConnection(*server.address, timeout=5)
        headers = {"Content-Type": "application/json", "Authorization": "Bearer 0123456789abcdef"}
        answers = []
        for method, path, body in (
            ("GET", "/", None),
            ("GET", "/metrics", None),
            ("POST", "/api/v1/update_loglevel", json.dumps({"log_path": "stderr", "log_level": "INFO"})),
            ("HEAD", "/metrics", None),
            ("PUT", "/metrics", "x"),
        ):
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answers.append((response.status, response.read()))
        return answers

    answers = gevent.get_hub().threadpool.apply(client)
    assert [status for status, _ in answers] == [200, 200, 200, 405, 405]
    assert answers[0][1].startswith(b"supported APIs:\n") and answers[1][1] == b"x 1\n" and answers[3][1] == b""


def test_a_wrong_method_says_which_is_right(server: AdminServer) -> None:
    said = talk(server, b"DELETE /api/v1/stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 405 ") and b"allow: get" in said.lower()


def test_a_client_that_asks_whether_to_send_its_body_is_told_to(server: AdminServer) -> None:
    with connect(server) as sock:
        sock.sendall(
            SET_LEVEL + b"Expect: 100-continue\r\nContent-Length: 42\r\nConnection: close\r\n\r\n"
        )
        assert sock.recv(1000).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b'{"log_path": "stderr","log_level": "INFO"}')
        assert read_all(sock).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 5000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000, 413),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHo", 408),
        (b"POST / HTTP/1.1\r\n" + MAY + b"Content-Length: 5\r\n\r\nx", 408),
        (b"POST / HTTP/1.1\r\n" + JSON + b"Content-Length: 900\r\n\r\n" + b"x" * 9000, 401),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\nExpect: 100-continue\r\n\r\n", 415),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: none\r\n\r\n", 403),
        (b"GET /api/v1/states HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 500),
        (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n", 405),
    ],
)
def test_a_bad_request_is_refused_and_others_are_served(server: AdminServer, request_bytes: bytes, status: int) -> None:
    said = talk(server, request_bytes)
    assert said.startswith(b"HTTP/1.1 %d " % status)
    assert talk(server, GET + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_an_idle_connection_is_closed_silently(server: AdminServer) -> None:
    assert talk(server, b"") == b""
    said = talk(server, GET + b"\r\n")
    assert said.count(b"HTTP/1.1") == 1


def test_a_client_that_never_reads_loses_its_connection_only(server: AdminServer, source: SmallSource) -> None:
    source.metrics = b"x" * 30_000_000
    with connect(server) as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert talk(server, GET + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        with gevent.Timeout(5):
            while server.connections:
                gevent.sleep(0.01)


def wait_connections(server: AdminServer, count: int) -> None:
    with gevent.Timeout(5):
        while server.connections != count:
            gevent.sleep(0.001)


def test_when_all_places_are_taken_the_oldest_half_open_connection_makes_room(source: SmallSource) -> None:
    server = AdminServer(AdminApi(source), Address("127.0.0.1", 0), PATIENT)
    server.start()
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop, 0)
        scraper, *silent = (stack.enter_context(connect(server)) for _ in range(PATIENT.local_connections))
        scraper.sendall(GET + b"\r\n")
        assert scraper.recv(1000).startswith(b"HTTP/1.1 200 ")
        for client in silent[::2]:
            client.sendall(GET[:20])
        for client in silent[1::4]:
            client.sendall(SET_LEVEL + b"Content-Length: 50\r\n\r\n{")
        wait_connections(server, PATIENT.local_connections)
        for number in (1, 2, 3):
            newcomer = stack.enter_context(connect(server))
            newcomer.sendall(GET + b"\r\n")
            assert newcomer.recv(1000).startswith(b"HTTP/1.1 200 ")
            assert silent[number - 1].recv(10) == b"" and server.counts.dropped_connections == number
        scraper.sendall(GET + b"\r\n")
        assert scraper.recv(1000).startswith(b"HTTP/1.1 200 "), "it idles, but it has asked for something"
        silent[3].sendall(GET + b"\r\n")
        assert silent[3].recv(1000).startswith(b"HTTP/1.1 200 ")
        assert server.counts.refused_connections == 0


def test_a_client_that_does_not_read_makes_room_too(source: SmallSource) -> None:
    server = AdminServer(AdminApi(source), Address("127.0.0.1", 0), QUICK._replace(reply_s=30.0))
    source.metrics = b"x" * 30_000_000
    server.start()
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop, 0)
        for _ in range(QUICK.local_connections):
            stack.enter_context(connect(server)).sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_connections(server, QUICK.local_connections)
        assert talk(server, GET + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        assert server.counts.dropped_connections == 1


def test_a_change_under_way_keeps_its_place(source: SmallSource) -> None:
    server = AdminServer(AdminApi(source), Address("127.0.0.1", 0), QUICK)
    server.start()
    source.is_debug = True
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop, 0)
        changes = [stack.enter_context(connect(server)) for _ in range(QUICK.local_connections)]
        for client in changes:
            client.sendall(b"POST /debug/update_route HTTP/1.1\r\n" + MAY + b"Content-Length: 2\r\n\r\n{}")
        with gevent.Timeout(5):
            while source.changing < len(changes):
                gevent.sleep(0.001)
            while server.counts.refused_connections == 0:
                assert talk(server, b"") == b""
        source.finish.set()
        for client in changes:
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert server.counts.dropped_connections == 0


@pytest.mark.parametrize(
    ("ip", "local_ip", "is_local"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("::1", "::1", True),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", True),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.2", "10.0.0.1", False),
        ("fe80::2%eth0", "fe80::1%eth0", False),
    ],
)
def test_only_this_machine_has_the_places_that_are_kept_for_it(ip: str, local_ip: str, is_local: bool) -> None:
    assert tcp_caller(ip, 5000, local_ip).is_local is is_local


def test_many_hasty_clients_leave_nothing_behind(server: AdminServer) -> None:
    for _ in range(50):
        with connect(server) as sock:
            sock.sendall(GET[:20])
    with gevent.Timeout(5):
        while server.connections:
            gevent.sleep(0.01)


def test_an_address_in_use_is_an_os_error(server: AdminServer, source: SmallSource) -> None:
    with pytest.raises(OSError):
        AdminServer(AdminApi(source), Address(*server.address), QUICK).start()


def test_stop_lets_a_request_under_way_end(source: SmallSource) -> None:
    server = AdminServer(AdminApi(source), Address("127.0.0.1", 0), QUICK)
    server.start()
    with connect(server) as sock, connect(server) as idle:
        idle.sendall(GET + b"\r\n")
        assert idle.recv(1000).startswith(b"HTTP/1.1 200 ")
        sock.sendall(GET)
        with gevent.Timeout(5):
            while server.connections < 2:
                gevent.sleep(0.001)
        stopping = gevent.spawn(server.stop)
        gevent.sleep(0)
        sock.sendall(b"Connection: close\r\n\r\n")
        assert read_all(sock).startswith(b"HTTP/1.1 200 ")
        stopping.get(timeout=5)
    assert server.connections == 0
