"""kill -9 under load, seen by a client that checks every answer."""

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.interop.conftest import Nginx
from tests.long.loaded import Loaded
from tests.long.proxied import Proxied
from tests.process.program import wait_until

pytestmark = pytest.mark.interop("nginx", "python:gevent")

CONNECTIONS = 64


@pytest.fixture
def proxied(nginx: Nginx, proxy_to: Callable[..., Proxied]) -> Proxied:
    return proxy_to(nginx.port)


def workers(proxied: Proxied) -> list[dict[str, Any]]:
    """The workers that serve."""
    return [p for p in proxied.status()["processes"] if p["role"] == "worker" and p["state"] == "serving"]


def wait_replaced(proxied: Proxied, victim: int) -> None:
    """Until two workers answer, and *victim* is not one of them."""
    wait_until(lambda: len(found := workers(proxied)) == 2 and victim not in {p["pid"] for p in found}, "the replacement")
    assert victim not in {found["pid"] for found in proxied.probe_all()}


@pytest.mark.parametrize("words", [(), ("fresh",)], ids=["kept connections", "a connection per request"])
def test_a_killed_worker_costs_only_what_was_in_flight_in_it(
    proxied: Proxied, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with Loaded(proxied.port, CONNECTIONS, *words) as load:
        time.sleep(1)
        victim = workers(proxied)[0]
        os.kill(victim["pid"], signal.SIGKILL)
        wait_replaced(proxied, victim["pid"])
        time.sleep(1)
    with capsys.disabled():
        sys.stdout.write(f"\nkill -9 of a worker: {load.counts}\n")
    assert load.counts["ok"] > 1000
    assert load.failed == load.counts["in_flight"], load.examples
    # each connection has one request at a time, so none fails twice; those of the other worker fail not at all
    assert load.failed <= (victim["connections"] if not words else CONNECTIONS), load.examples
    taken = re.search(r"(\d+) arena blocks taken back", proxied.log_text())
    assert taken
    assert int(taken[1]) > 0
    settled = proxied.settled_reading()
    assert settled.arena_blocks <= 64  # the magazines of two idle workers


def test_what_is_queued_at_a_worker_that_is_killed_is_served_by_the_next(proxied: Proxied) -> None:
    victim = workers(proxied)[0]["pid"]
    os.kill(victim, signal.SIGSTOP)  # accepts nothing: about half of what comes now waits in its queue
    clients = [socket.create_connection(("127.0.0.1", proxied.port), timeout=10) for _ in range(200)]
    for number, client in enumerate(clients):
        client.sendall(f"GET /echo/{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    done = "downstream_request_200_total"
    wait_until(lambda: proxied.counter(done, 'listener="front"') >= 50, "answers of the other worker")
    assert proxied.counter(done, 'listener="front"') < 200
    os.kill(victim, signal.SIGKILL)
    for number, client in enumerate(clients):
        with client:
            answer = client.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200 OK"), answer
            assert answer.endswith(f"/echo/{number}".encode())
    wait_replaced(proxied, victim)


@pytest.mark.parametrize("words", [(), ("fresh",)], ids=["kept connections", "a connection per request"])
def test_a_killed_controller_costs_nothing(proxied: Proxied, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    victim = proxied.pids("controller")[0]
    with Loaded(proxied.port, CONNECTIONS, *words) as load:
        time.sleep(1)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: proxied.pids("controller") not in ([], [victim]), "a new controller")
        time.sleep(1)
    with capsys.disabled():
        sys.stdout.write(f"\nkill -9 of the controller: {load.counts}\n")
    assert load.counts["ok"] > 1000
    assert load.failed == 0, load.examples
