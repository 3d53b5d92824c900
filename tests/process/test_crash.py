"""What the death of each process costs."""

import http.client
import os
import re
import signal
import socket
import time

from tests.process.program import Program, is_alive, wait_until


def wait_workers(program: Program, count: int, without: int = 0) -> list[int]:
    """The workers, once *count* of them serve and *without* is not one of them."""

    def found() -> list[int]:
        workers = [p for p in program.status()["processes"] if p["role"] == "worker" and p["state"] == "serving"]
        pids = [p["pid"] for p in workers]
        return pids if len(pids) == count and without not in pids else []

    pids: list[int] = wait_until(found, f"{count} serving workers")
    return pids


def test_a_killed_worker_is_replaced_at_once(running: Program) -> None:
    victim = running.pids("worker")[1]
    begun = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    wait_workers(running, 2, without=victim)
    assert time.monotonic() - begun < 5
    assert f"worker 1 (pid {victim}) ended: killed by SIGKILL" in running.log_text()


def test_what_a_dead_worker_held_in_the_arena_comes_back(running: Program) -> None:
    clients = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(20)]
    for client in clients:
        client.sendall(b"GET /slower HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: sum(p["active"] for p in running.status()["processes"]) == 20, "20 requests in flight")
    before = _blocks_in_use(running)
    assert before > 0
    for victim in running.pids("worker"):
        os.kill(victim, signal.SIGKILL)
    wait_until(lambda: running.log_text().count("arena blocks taken back") == 2, "both deaths")
    taken = [int(count) for count in re.findall(r"(\d+) arena blocks taken back", running.log_text())]
    assert sum(taken) == before
    for client in clients:
        client.close()


def test_requests_of_other_workers_go_on_when_one_dies(running: Program) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)
    connection.request("GET", "/slow")
    busy = wait_until(lambda: [p["pid"] for p in running.status()["processes"] if p["active"]], "a busy worker")[0]
    other = next(pid for pid in running.pids("worker") if pid != busy)
    os.kill(other, signal.SIGKILL)
    assert int(connection.getresponse().read()) == busy


def test_connections_queued_at_a_dead_worker_are_served_by_its_replacement(program: Program) -> None:
    bad = program.trouble("refuse_while")
    program.server["processor"] = 1
    program.write()
    program.start()
    bad.touch()  # replacements refuse while it exists
    victim = program.get()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not is_alive(victim), "the end of the worker")
    clients = [socket.create_connection(("127.0.0.1", program.port), timeout=10) for _ in range(50)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: "cannot serve" in program.log_text(), "a replacement that is refused")
    bad.unlink()
    for client in clients:
        with client:
            answer = client.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200 OK"), answer
            assert int(answer.rpartition(b"\r\n\r\n")[2]) != victim


def test_a_worker_that_keeps_dying_is_restarted_ever_more_slowly(program: Program) -> None:
    bad = program.trouble("refuse_while")
    program.start()
    bad.touch()
    os.kill(program.pids("worker")[0], signal.SIGKILL)
    wait_until(lambda: "a new worker in 0.4 s" in program.log_text(), "a longer wait")
    assert program.log_text().count("a new worker in 0.1 s") == 1
    workers = [p for p in program.status()["processes"] if p["role"] == "worker"]
    assert sorted(p["slot"] for p in workers) == [0, 1]
    assert max(p["deaths"] for p in workers) >= 3
    assert "killed by SIGKILL" in [p["last_end"] for p in workers]
    assert re.search(r"worker \d: \d+ ended before, the last one: killed by SIGKILL", program.run("status").stdout)
    bad.unlink()
    wait_workers(program, 2)


def test_the_death_of_the_controller_costs_nothing(running: Program) -> None:
    workers = running.pids("worker")
    victim = running.pids("controller")[0]
    os.kill(victim, signal.SIGKILL)
    running.server["nonsense"] = True  # being edited: a new controller takes the accepted snapshot, not the file
    running.write()
    for _ in range(20):
        assert running.get() in workers
    wait_until(lambda: running.pids("controller") not in ([], [victim]), "a new controller")
    assert running.pids("worker") == workers
    assert "Traceback" not in running.log_text()


def test_everybody_leaves_when_the_master_is_killed(running: Program) -> None:
    assert running.master is not None
    running.master.kill()
    running.master.communicate(timeout=5)
    wait_until(lambda: not running.family(), "the end of workers and controller")


def test_what_is_in_flight_is_finished_when_the_master_is_killed(running: Program) -> None:
    assert running.master is not None
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)
    connection.request("GET", "/slow")
    busy = wait_until(lambda: [p["pid"] for p in running.status()["processes"] if p["active"]], "a busy worker")[0]
    running.master.kill()
    assert int(connection.getresponse().read()) == busy
    running.master.communicate(timeout=5)
    wait_until(lambda: not running.family(), "the end of workers and controller")


def test_the_same_command_starts_again_at_once_after_the_master_was_killed(running: Program) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)
    connection.request("GET", "/slow")
    busy = wait_until(lambda: [p["pid"] for p in running.status()["processes"] if p["active"]], "a busy worker")[0]
    assert running.master is not None
    running.master.kill()
    running.master.communicate(timeout=5)
    running.start()  # while the old worker still has a request in flight
    assert running.get() != busy
    assert int(connection.getresponse().read()) == busy


def _blocks_in_use(program: Program) -> int:
    return sum(size["total"] - size["free"] for size in program.status()["arena"])
