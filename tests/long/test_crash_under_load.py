"""kill -9 under load, seen by a client that checks every answer."""

import os
import random
import re
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from mosn_mp.master.processes.watchdog import process_state
from tests.interop.conftest import Nginx
from tests.long.inflight import InFlight, Witness
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


class Kill(NamedTuple):
    """One kill -9: what the worker had in flight just before, and when all of its sockets were closed."""

    in_flight: InFlight
    dead_at: float


def kill(proxied: Proxied, witness: Witness, pid: int) -> Kill:
    """Stop worker *pid*, so that nothing moves any more, measure, kill it, wait until it is dead."""
    gone = os.pidfd_open(pid)
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: process_state(pid) == "T", "a worker at rest")
    in_flight = witness.of(pid, proxied.port)
    os.kill(pid, signal.SIGKILL)
    select.select([gone], [], [], 10)
    dead_at = time.monotonic()
    os.close(gone)
    return Kill(in_flight, dead_at)


def blame(kills: list[Kill], broken: list[tuple[int, float, float]]) -> list[tuple[int, int]]:
    """Of each kill: the requests that it broke, and how many of those were sent after the measure, while it died.

    A request is broken by the first death after it was sent, on a connection of the worker that died.
    """
    costs = [(0, 0)] * len(kills)
    for port, sent_at, failed_at in broken:
        which = next((i for i, one in enumerate(kills) if sent_at <= one.dead_at), None)
        assert which is not None, f"a request sent after the last death failed, from port {port}"
        told = f"from port {port}, sent at {sent_at}, failed at {failed_at}; deaths at {[one.dead_at for one in kills]}"
        assert port in kills[which].in_flight.ports, f"a request failed that was not in the worker which died: {told}"
        cost, late = costs[which]
        costs[which] = (cost + 1, late + (sent_at > kills[which].in_flight.looked_at))
    return costs


@pytest.mark.parametrize("times", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_of_random_workers_cost_no_more_than_what_was_in_flight_in_them(
    nginx: Nginx, proxy_to: Callable[..., Proxied], times: int, capsys: pytest.CaptureFixture[str]
) -> None:
    proxied = proxy_to(nginx.port, workers=3)
    assert proxied.master is not None
    witness, chance = Witness(proxied.master.pid), random.Random(times)
    kills: list[Kill] = []
    with Loaded(proxied.port, CONNECTIONS, "think") as load:
        for _ in range(times):
            time.sleep(0.5)
            kills.append(kill(proxied, witness, chance.choice(workers(proxied))["pid"]))
            wait_until(lambda: len(workers(proxied)) >= 2, "workers to go on with")
        time.sleep(1)
    costs = blame(kills, load.broken)
    with capsys.disabled():
        sys.stdout.write(f"\n{times} x kill -9: {load.counts}\n")
        for (flight, _), (cost, late) in zip(kills, costs, strict=True):
            sys.stdout.write(
                f"  {len(flight.ports):2} connections, {flight.requests:2} requests in flight ({flight.begun} begun, "
                f"{flight.unread} unread), {late} more while it died: {cost} failed\n"
            )
    assert load.counts["ok"] > 100 * times
    assert load.failed == load.counts["in_flight"] == sum(cost for cost, _ in costs), load.examples
    for (flight, _), (cost, late) in zip(kills, costs, strict=True):
        assert cost <= flight.requests + late


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
