"""Workers that live and do not work, or work and are too fat; and many deaths under load."""

import os
import random
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.loaded import Loaded
from tests.process.program import Program, is_alive, say, wait_until
from tests.process.steady import KEEPERS, NEWCOMERS, UPLOADERS
from tests.process.test_crash import wait_workers

REPLACED_WITHIN_S = 3.0


def ask_all(program: Program, count: int) -> list[socket.socket]:
    """Connections over all workers, each with a request on it."""
    clients = [socket.create_connection(("127.0.0.1", program.port), timeout=10) for _ in range(count)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return clients


def answers(clients: list[socket.socket]) -> list[int]:
    """The pids in the answers."""
    found = []
    for client in clients:
        with client:
            answer = client.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200 OK"), answer
            found.append(int(answer.rpartition(b"\r\n\r\n")[2]))
    return found


def test_a_stopped_worker_is_replaced_and_what_is_queued_at_it_is_served(running: Program) -> None:
    victim, other = running.pids("worker")
    os.kill(victim, signal.SIGSTOP)
    begun = time.monotonic()
    clients = ask_all(running, 40)
    served_by = answers(clients)
    took_s = time.monotonic() - begun
    assert other in served_by
    assert victim not in served_by
    wait_until(lambda: not is_alive(victim), "its end")
    say(f"stopped worker: all 40 answered after {took_s:.2f} s")
    assert took_s < REPLACED_WITHIN_S
    wait_workers(running, 2, without=victim)
    assert f"(pid {victim}) has not turned its loop for" in running.log_text()
    assert "is stopped" in running.log_text()


def test_a_worker_in_an_endless_loop_is_replaced_and_its_stack_is_in_the_log(running: Program) -> None:
    workers = running.pids("worker")
    begun = time.monotonic()
    looping = socket.create_connection(("127.0.0.1", running.port), timeout=10)
    looping.sendall(b"GET /loop HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(0.2)
    served_by = answers(ask_all(running, 40))
    took_s = time.monotonic() - begun
    victim = wait_until(lambda: next((pid for pid in workers if not is_alive(pid)), 0), "the end of one")
    say(f"endless loop: all 40 others answered after {took_s:.2f} s")
    assert took_s < REPLACED_WITHIN_S + 0.2
    assert victim not in served_by
    looping.close()
    wait_workers(running, 2, without=victim)
    log = running.log_text()
    assert re.search(r'File ".*witness.py", line \d+ in on_request', log), log
    assert "killed by SIGABRT" in log or "killed by SIGKILL" in log


def test_nobody_is_taken_for_stuck_when_that_is_switched_off(program: Program) -> None:
    program.server["worker_stall_timeout"] = "0s"
    program.write()
    program.start()
    victim = program.pids("worker")[0]
    os.kill(victim, signal.SIGSTOP)
    time.sleep(3)
    assert is_alive(victim)
    os.kill(victim, signal.SIGCONT)
    wait_workers(program, 2)


def test_a_fat_worker_is_replaced_first_and_drained_then(program: Program) -> None:
    program.server["worker_memory_limit"] = "60MB"
    program.server["processor"] = 1
    program.write()
    program.start()
    victim = program.get("/fat")
    slow = socket.create_connection(("127.0.0.1", program.port), timeout=15)
    wait_until(lambda: "MiB of its own, 60 are allowed: replacing it" in program.log_text(), "the notice")
    slow.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    pids = {program.get() for _ in range(20)}
    assert b"200 OK" in slow.recv(4096)
    wait_until(lambda: "left: exit status 0" in program.log_text(), "its end")
    assert not is_alive(victim)
    assert len(pids) in (1, 2)
    wait_workers(program, 1, without=victim)


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Loaded]:
    made = Loaded(tmp_path)
    try:
        yield made
    finally:
        made.end()


def kill_workers(loaded: Loaded, times: int) -> None:
    loaded.start()
    loaded.begin_load()
    chance = random.Random(7)
    for turn in range(times):
        wait_until(lambda turn=turn: sum(map(loaded.hits, loaded.upstreams)) > 60 * (turn + 1), "load")  # type: ignore[misc]
        victim = chance.choice(wait_workers(loaded, 2))
        os.kill(victim, signal.SIGKILL)
        wait_workers(loaded, 2, without=victim)
    result = loaded.end_load()
    say(f"{times} workers killed: {result}")
    assert result.failed <= times * (KEEPERS + NEWCOMERS + UPLOADERS)
    # What was in flight in the dead one is lost, nothing else: nobody is refused or kept waiting.
    assert not [text for text in result.failures if "refused" in text.lower() or "timed out" in text.lower()]
    assert result.requests > 50 * times


def test_killed_workers_lose_only_what_was_in_flight_in_them(loaded: Loaded) -> None:
    kill_workers(loaded, 2)


@pytest.mark.slow
def test_50_killed_workers_lose_only_what_was_in_flight_in_them(loaded: Loaded) -> None:
    kill_workers(loaded, 50)
