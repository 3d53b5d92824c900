"""How the program ends: who does not wait for `/never` comes to an end long before it does."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from tests.process.program import HERE, Program, say, wait_until

NOT_WAITING_S = 3.0  # less than graceful_timeout, more than a stop takes on a busy machine


def in_background(program: Program, path: str) -> tuple[threading.Thread, list[object]]:
    """A request under way and the list that its outcome will be in."""
    outcome: list[object] = []

    def ask() -> None:
        try:
            outcome.append(program.get(path))
        except (OSError, ValueError, http.client.HTTPException) as e:
            outcome.append(e)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: sum(p["active"] for p in program.status()["processes"]), "a request in flight")
    return thread, outcome


def test_sigterm_finishes_what_is_in_flight(running: Program) -> None:
    thread, outcome = in_background(running, "/slow")
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    thread.join()
    assert isinstance(outcome[0], int)
    assert not running.family()


def test_sigterm_takes_no_new_connections(running: Program) -> None:
    thread, _ = in_background(running, "/slow")
    running.signal(signal.SIGTERM)
    wait_until(lambda: "no new connections" in running.log_text(), "the drain")
    wait_until(lambda: not _connects(running.port), "a refused connection")
    assert running.wait_exit() == 0
    thread.join()


def test_sockets_begin_no_handshake_before_they_are_closed(running: Program) -> None:
    thread, outcome = in_background(running, "/slower")
    running.signal(signal.SIGTERM)
    wait_until(lambda: "no new connections" in running.log_text(), "the drain")
    with pytest.raises(TimeoutError):  # neither queued, and perhaps reset with the queue, nor refused
        socket.create_connection(("127.0.0.1", running.port), timeout=0.5)
    # A client that tries now and then: one that waits would repeat its SYN after seconds only.
    wait_until(lambda: _outcome_of_connect(running.port, 0.1) is not TimeoutError, "an answer to a SYN")
    assert _outcome_of_connect(running.port, 0.1) is ConnectionRefusedError
    assert thread.is_alive()
    assert running.wait_exit() == 0
    thread.join()
    assert isinstance(outcome[0], int)


def test_sigterm_waits_no_longer_than_graceful_timeout(program: Program) -> None:
    program.server["graceful_timeout"] = "300ms"
    program.write()
    program.start()
    thread, outcome = in_background(program, "/never")
    program.signal(signal.SIGTERM)
    assert program.wait_exit(NOT_WAITING_S) == 0
    thread.join()
    assert not isinstance(outcome[0], int)
    assert "drain deadline reached with 1 connections active" in program.log_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_sigint_and_sigquit_wait_for_nothing(running: Program, number: signal.Signals) -> None:
    thread, outcome = in_background(running, "/never")
    running.signal(number)
    assert running.wait_exit(NOT_WAITING_S) == 0
    thread.join()
    assert not isinstance(outcome[0], int)


def test_a_second_sigterm_leaves_a_short_while_and_nothing_to_the_idle(program: Program) -> None:
    program.server["graceful_timeout"] = "30s"
    program.server["listeners"][0]["connection_idle_timeout"] = "60s"
    program.write()
    program.start()
    short, outcome_of_short = in_background(program, "/slow")
    long, outcome_of_long = in_background(program, "/never")
    program.signal(signal.SIGTERM)
    wait_until(lambda: "no new connections" in program.log_text(), "the drain")
    begun = time.monotonic()
    program.signal(signal.SIGTERM)
    assert program.wait_exit() == 0
    assert 1.5 < time.monotonic() - begun < 2 + NOT_WAITING_S
    short.join()
    long.join()
    assert isinstance(outcome_of_short[0], int)
    assert not isinstance(outcome_of_long[0], int)
    assert "SIGTERM again: 2 s for what is in flight" in program.log_text()


@pytest.mark.parametrize("last", [signal.SIGTERM, signal.SIGINT])
def test_a_third_signal_ends_everything(running: Program, last: signal.Signals) -> None:
    thread, outcome = in_background(running, "/never")
    running.signal(signal.SIGTERM)
    wait_until(lambda: "no new connections" in running.log_text(), "the drain")
    running.signal(signal.SIGTERM)
    wait_until(lambda: "SIGTERM again" in running.log_text(), "the hurry")
    running.signal(last)
    assert running.wait_exit(NOT_WAITING_S) == 0
    thread.join()
    assert not isinstance(outcome[0], int)


def test_an_idle_program_stops_at_once(running: Program) -> None:
    running.signal(signal.SIGTERM)
    assert running.wait_exit(NOT_WAITING_S) == 0


def test_nobody_who_connects_during_sigterm_is_reset(program: Program) -> None:
    program.server["processor"] = 6  # each of them closes its socket at another moment
    program.write()
    program.start()
    command = [sys.executable, str(HERE / "callers.py"), str(program.port)]
    callers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    wait_until(lambda: program.status()["listeners"][0]["connections_total"] > 200, "calls")
    program.signal(signal.SIGTERM)
    assert program.wait_exit() == 0
    counts: Counter[str] = Counter()
    for caller in callers:
        counts.update(json.loads(caller.communicate(timeout=10)[0]))
    say(f"\nconnections while the program stopped: {counts}")
    assert counts["answered"] > 100
    assert counts["refused"] > 0
    assert set(counts) == {"answered", "refused"}, counts


def test_the_stop_command_waits_for_the_end(running: Program) -> None:
    done = running.run("stop")
    assert done.returncode == 0, done.stderr
    assert running.wait_exit() == 0
    assert "SIGINT: stopping now" in running.log_text()
    assert not running.family()
    assert not list((running.directory / "logs").glob("mosn.pid*"))


def test_the_stop_command_can_be_graceful(running: Program) -> None:
    done = running.run("stop", "--graceful")
    assert done.returncode == 0, done.stderr
    assert running.wait_exit() == 0
    assert "SIGTERM: no new connections" in running.log_text()


def test_stopping_what_does_not_run_says_so(program: Program) -> None:
    done = program.run("stop")
    assert done.returncode == 1
    assert "not running" in done.stderr


def test_the_stop_command_needs_no_sound_config(running: Program) -> None:
    running.server["nonsense"] = True
    running.write()
    assert running.run("stop").returncode == 0


def test_a_worker_that_gets_sigterm_itself_drains_and_is_replaced(running: Program) -> None:
    import os

    first = running.pids("worker")[0]
    os.kill(first, signal.SIGTERM)
    wait_until(lambda: first not in running.pids("worker") and len(running.pids("worker")) == 2, "the replacement")
    assert running.get() > 0


def _outcome_of_connect(port: int, timeout_s: float) -> type[OSError] | None:
    """The error that a client gets, None if it is connected."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=timeout_s).close()
    except OSError as e:
        return type(e)
    return None


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
