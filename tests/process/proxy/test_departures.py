"""Clients that leave during a request, by FIN: nothing is held for them any more, in whatever state the request is."""

import os
import signal
import threading
import time

import pytest

from tests.process.program import wait_until
from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit, answer, ok
from tests.process.proxy.wire import ClosedError, Wire, request

AT_ONCE_S = 1.0  # a few milliseconds, and what a busy machine adds
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: 80000000\r\n\r\n"


def configure(setting: Setting, origin: Upstream) -> None:
    setting.change_listener("front", access_logs=[{"log_path": "logs/front.log", "log_format": "%path% %response_flags%"}])
    setting.add_listener("half", allow_half_close=True)
    setting.add_black_hole("hole")
    setting.add_route({"path": "/some"}, direct_response={"body": "some text " * 1200})
    setting.add_cluster("one", origin.port, circuit_breakers=[{"max_connections": 1}])


class Host:
    """A script that notes when the proxy ends the connection."""

    def __init__(self, first_words: bytes = b"", reads: bool = True) -> None:
        self.first_words = first_words
        self.reads = reads
        self.gone = threading.Event()

    def __call__(self, visit: Visit) -> None:
        visit.send(self.first_words)
        if not self.reads:
            time.sleep(0.3)
        try:
            while True:
                visit.more()
        except (ClosedError, OSError):
            self.gone.set()
            raise


def waits_for_an_answer(client: Wire, host: Host) -> None:
    client.send(request("/one"))


def reads_an_answer(client: Wire, host: Host) -> None:
    host.first_words = LARGE + bytes(100_000)
    client.send(request("/one"))
    client.head()
    client.exactly(100_000)


def does_not_read_an_answer(client: Wire, host: Host) -> None:
    host.first_words = LARGE + bytes(100_000)
    client.send(request("/one"))


def sends_a_body(client: Wire, host: Host) -> None:
    client.send(request("/one", "Content-Length: 1000", method="POST") + bytes(10))


def sends_more_than_the_host_reads(client: Wire, host: Host) -> None:
    host.reads = False
    client.send(request("/one", "Content-Length: 8000000", method="POST") + bytes(8_000_000))


def has_sent_more_requests(client: Wire, host: Host) -> None:
    client.send(request("/one") * 3)


@pytest.mark.parametrize(
    "act",
    [
        waits_for_an_answer,
        reads_an_answer,
        does_not_read_an_answer,
        sends_a_body,
        sends_more_than_the_host_reads,
        has_sent_more_requests,
    ],
)
def test_a_fin_during_a_request_frees_its_host_at_once(setting: Setting, upstream: Upstream, act: object) -> None:
    upstream.script = host = Host()
    lines = setting.log_lines("front.log").count("/one DC")
    tally = setting.tally()
    with setting.connect() as client:
        act(client, host)  # type: ignore[operator]
        upstream.wait_messages(1)
        client.finish()
        assert host.gone.wait(AT_ONCE_S)
        tally.wait("front.request_reset", 1, AT_ONCE_S)
        upstream.script = answer(ok())
        with setting.connect() as other:
            assert other.get("/one").status == 200  # the only connection that the cluster may have is free
    assert len(upstream.messages) == 2
    wait_until(lambda: setting.log_lines("front.log").count("/one DC") == lines + 1, "its line in the access log")


@pytest.mark.parametrize("path", ["/one", "/ping"])
def test_a_request_that_came_with_its_fin_reaches_no_host(setting: Setting, upstream: Upstream, path: str) -> None:
    """What needs no host is answered all the same."""
    (worker,) = setting.pids("worker")
    tally = setting.tally()
    with setting.connect() as client:
        assert client.get("/ping").status == 200
        os.kill(worker, signal.SIGSTOP)
        client.send(request(path))
        client.finish()
        os.kill(worker, signal.SIGCONT)
        if path == "/ping":
            assert client.response().body == b"pong"
            assert client.rest() == b""
        else:
            assert client.ends() == b""
            tally.wait("front.request_reset", 1)
    assert upstream.messages == []


def test_who_leaves_while_a_host_is_dialled_is_not_dialled_for(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect() as client:
        client.send(request("/hole"))
        wait_until(lambda: setting.counts()["hole.connection_active"] == 1, "the dial")
        client.finish()
        tally.wait("front.request_reset", 1, AT_ONCE_S)
    counts = setting.counts()
    gauges = ("connection_active", "connection_con_fail", "connection_connect_timeout")
    assert [counts[f"hole.{name}"] for name in gauges] == [0, 0, 0]


def test_half_a_connection_is_enough_where_the_listener_says_so(setting: Setting, upstream: Upstream) -> None:
    held: list[Visit] = []
    upstream.script = held.append
    with setting.connect("half") as client:
        client.send(request("/one") + request("/ping"))
        upstream.wait_messages(1)
        client.finish()
        assert client.is_quiet(0.2)
        held[0].send(ok(b"late"))
        assert client.response().body == b"late"
        assert client.response().body == b"pong"
        assert client.rest() == b""


def test_a_reset_ends_a_request_also_where_half_a_connection_is_enough(setting: Setting, upstream: Upstream) -> None:
    upstream.script = host = Host()
    tally = setting.tally()
    client = setting.connect("half")
    client.send(request("/one"))
    upstream.wait_messages(1)
    client.reset()
    assert host.gone.wait(AT_ONCE_S)
    tally.wait("half.request_reset", 1, AT_ONCE_S)


def test_an_answer_arrives_whole_while_the_next_request_waits_for_its_host(setting: Setting, upstream: Upstream) -> None:
    upstream.script = Host()
    with setting.connect(receive_buffer=4096) as client:
        unread = setting.send_until_stuck(client, "/some")
        client.send(request("/one"))
        upstream.wait_messages(1)
        client.exactly(unread)
        assert client.is_quiet()
