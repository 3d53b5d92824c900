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
RELOAD_S = 0.3  # and not much more, until all is done
SLOW = """
import sys, time
from mosn_mp.filter.stream_filter import StreamFilter

class Slow(StreamFilter):
    def __init__(self, config):
        super().__init__(config)
        role = "controller" if "controller" in sys.argv[0] else "worker"
        if role == {role!r}:
            open({marker!r}, "w").close()
            time.sleep({pause_s})
"""


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


def begin_calls(program: Program) -> "subprocess.Popen[str]":
    """Clients that connect until they are refused."""
    command = [sys.executable, str(HERE / "callers.py"), str(program.port)]
    callers = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: program.status()["listeners"][0]["connections_total"] > 200, "calls")
    return callers


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
    callers = [begin_calls(program) for _ in range(2)]
    program.signal(signal.SIGTERM)
    assert program.wait_exit() == 0
    counts: Counter[str] = Counter()
    for caller in callers:
        counts.update(json.loads(caller.communicate(timeout=10)[0]))
    say(f"\nconnections while the program stopped: {counts}")
    assert counts["answered"] > 100
    assert counts["refused"] > 0
    assert set(counts) == {"answered", "refused"}, counts


def reload_slowly(program: Program, role: str, pause_s: float) -> "subprocess.Popen[str]":
    """A reload whose new filter takes *pause_s* in processes of *role*, which are at it."""
    marker = program.directory / "slow"
    (program.directory / "slow_filter.py").write_text(SLOW.format(role=role, marker=str(marker), pause_s=pause_s))
    filters = program.server["listeners"][0]["stream_filters"]
    filters.insert(0, {"type": "slow_filter:Slow", "python_path": "."})
    program.write()
    command = [program.python, "-m", "mosn_mp", "reload", "-c", str(program.path)]
    reload = subprocess.Popen(command, env=program.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(marker.exists, f"a {role} with the new filter")
    return reload


def stop_under(program: Program, callers: "subprocess.Popen[str]") -> None:
    """SIGTERM: it ends soon and with exit status 0, and none of *callers* was left without an answer."""
    begun = time.monotonic()
    program.signal(signal.SIGTERM)
    assert program.wait_exit() == 0
    assert time.monotonic() - begun < NOT_WAITING_S
    counts = json.loads(callers.communicate(timeout=10)[0])
    say(f"\nconnections while the program stopped: {counts}")
    assert set(counts) == {"answered", "refused"}, counts
    assert "Traceback" not in program.log_text()
    assert not program.family()


@pytest.mark.parametrize("role", ["controller", "worker"])
def test_a_stop_in_mid_rollout_wins_and_loses_nothing(running: Program, role: str) -> None:
    callers = begin_calls(running)
    reload = reload_slowly(running, role, 0.5)
    stop_under(running, callers)
    assert "the program is stopping" in "".join(reload.communicate(timeout=10))
    assert reload.returncode == 1


@pytest.mark.parametrize("moments", [2, pytest.param(60, marks=pytest.mark.slow)])
def test_a_stop_at_any_moment_of_a_reload_that_adds_workers_loses_nothing(program: Program, moments: int) -> None:
    for number in range(moments):
        program.server["processor"] = 2
        program.write()
        program.start()
        callers = begin_calls(program)
        program.server["processor"] = 4
        program.write()
        program.signal(signal.SIGHUP)
        time.sleep(RELOAD_S * (number + 0.5) / moments)
        stop_under(program, callers)


def test_a_stop_does_not_wait_for_a_worker_that_hangs_in_a_rollout(program: Program) -> None:
    program.server["graceful_timeout"] = "300ms"
    program.write()
    program.start()
    reload = reload_slowly(program, "worker", 600)
    program.signal(signal.SIGTERM)
    assert program.wait_exit(NOT_WAITING_S) == 0
    assert "did not end in time: killing it" in program.log_text()
    assert "the program is stopping" in "".join(reload.communicate(timeout=10))
    assert not program.family()


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
