"""The tests' own bolt client and server, without a proxy between them."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.process.program import ROOT, wait_until
from tests.rpc.client import Client
from tests.rpc.upstream import Upstream, Visit, after, silent
from tests.rpc.wire import ONE_WAY, RESPONSE, heartbeat

KINDS = [{}, {"protocol": 2}, {"protocol": 2, "ver1": 2, "switch": 1}]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.stop()
    assert not made.errors, made.errors


@pytest.mark.parametrize("kind", KINDS, ids=["v1", "v2", "v2 with crc"])
def test_requests_are_echoed_in_their_protocol(upstream: Upstream, kind: dict[str, int]) -> None:
    with Client(upstream.port, **kind) as client:
        answer = client.call(b"hello", [(b"room", b"1")])
    assert (answer.content, answer.get(b"echo-room"), answer.protocol) == (b"hello", b"1", kind.get("protocol", 1))


def test_a_late_answer_does_not_hold_up_the_next(upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        after(0.3 if visit.frame.content == b"late" else 0)(visit)

    upstream.script = script
    with Client(upstream.port) as client:
        late, soon = client.ask(b"late"), client.ask(b"soon")
        client.wait(late)
        assert [frame.id for frame in client.frames] == [soon, late]


def test_one_way_requests_and_heartbeats_are_kept_apart(upstream: Upstream) -> None:
    with Client(upstream.port) as client:
        client.ask(b"gone", kind=ONE_WAY, timeout_ms=-1)
        client.send(heartbeat(9).encode())
        client.wait_frame(lambda frame: frame.kind == RESPONSE and frame.id == 9, "the heartbeat's answer")
        assert [frame.content for frame in upstream.requests] == [b"gone"]


def test_a_stopped_server_refuses_and_a_started_one_has_the_same_port(upstream: Upstream) -> None:
    upstream.script = silent
    with Client(upstream.port) as client:
        client.ask()
        upstream.wait_requests(1)
        upstream.stop()
        client.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        Client(upstream.port)
    upstream.start()
    upstream.script = Visit.reply
    with Client(upstream.port) as client:
        assert client.call(b"again").content == b"again"


def test_goaway_and_silence_are_seen_by_the_client(upstream: Upstream) -> None:
    with Client(upstream.port) as client:
        client.call()
        upstream.connections[0].goaway()
        client.wait_goaway()
        upstream.pause()
        unheard = client.ask(b"unheard")
        assert not client.answers(unheard)
        upstream.resume()
        client.wait(unheard)
    wait_until(lambda: not upstream.open_connections(), "the end of the connection")


@pytest.fixture
def echo_process() -> Iterator[tuple[int, subprocess.Popen[str]]]:
    process = subprocess.Popen([sys.executable, "-m", "tests.rpc.echo", "0"], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    yield int(process.stdout.readline()), process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("protocol", [1, 2])
def test_the_load_client_counts_every_request_once(echo_process: tuple[int, subprocess.Popen[str]], protocol: int) -> None:
    port, process = echo_process
    command = [sys.executable, "-m", "tests.rpc.load", str(port), "7", "2000", "0.6", str(protocol)]
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    with Client(port, protocol=protocol) as client:
        client.call()
        process.send_signal(signal.SIGUSR1)
        client.wait_goaway()
    result = json.loads(load.communicate(timeout=20)[0])
    assert result["sent"] == result["right"] > 500
    assert not any(result[name] for name in ("failed", "lost", "silent", "unasked", "wrong", "refused"))
