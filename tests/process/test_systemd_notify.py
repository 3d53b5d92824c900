"""The conversation with a service manager, and what its fd store saves."""

import functools
import http.client
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosn_mp.master.listeners.socket_activation import VARIABLES
from tests.ports import free_port
from tests.process.program import Program, wait_equal, wait_until
from tests.process.service_manager import Managed

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
def managed(tmp_path: Path) -> Iterator[Managed]:
    made = Managed(tmp_path)
    try:
        yield made
    finally:
        made.end()


def clients_of(program: Program, count: int) -> list[socket.socket]:
    """Clients that have sent a request and wait."""
    clients = [socket.create_connection(("127.0.0.1", program.port), timeout=10) for _ in range(count)]
    for client in clients:
        client.sendall(REQUEST)
    return clients


def servers_of(clients: list[socket.socket]) -> set[int]:
    """The pids of the workers that answered; every client must get its answer."""
    pids = set()
    for client in clients:
        with client:
            answer = b"".join(iter(functools.partial(client.recv, 4096), b""))
            assert answer.startswith(b"HTTP/1.1 200 OK"), answer
            pids.add(int(answer.rpartition(b"\r\n\r\n")[2]))
    return pids


def stop_workers(program: Program) -> None:
    """Nobody accepts any more: what comes now stays in the kernel's queues."""
    for pid in program.pids("worker"):
        os.kill(pid, signal.SIGSTOP)


def test_ready_is_said_once_every_socket_is_stored_and_every_worker_serves(managed: Managed) -> None:
    managed.start()
    assert managed.master is not None
    ready = managed.messages[-1]
    assert ready["MAINPID"] == str(managed.master.pid)
    assert ready["STATUS"] == f"Serving version 1 of {managed.path} with 2 workers."
    assert sum("READY" in m for m in managed.messages) == 1
    assert sorted(managed.store) == [f"127.0.0.1_{managed.port}_slot{slot}" for slot in (0, 1)]
    for fd in managed.store.values():
        with socket.socket(fileno=os.dup(fd)) as sock:
            assert sock.getsockname() == ("127.0.0.1", managed.port)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    # all workers were told to serve by then; the master hears that they do
    wait_equal(lambda: [p["state"] for p in managed.status()["processes"] if p["role"] == "worker"], ["serving", "serving"])


def test_a_drain_is_announced_and_extends_the_managers_patience(managed: Managed) -> None:
    managed.start()
    connection = http.client.HTTPConnection("127.0.0.1", managed.port, timeout=5)
    connection.request("GET", "/slow")
    wait_until(lambda: any(p["active"] for p in managed.status()["processes"]), "a request in flight")
    managed.signal(signal.SIGTERM)
    stopping = managed.wait_message(lambda m: m.get("STOPPING") == "1", "STOPPING=1")
    assert stopping["STATUS"] == "No new connections; up to 5 s for what is in flight."
    extension = managed.wait_message(lambda m: "EXTEND_TIMEOUT_USEC" in m, "more time")
    assert int(extension["EXTEND_TIMEOUT_USEC"]) > 5_000_000
    assert connection.getresponse().status == 200
    assert managed.wait_exit() == 0
    assert len([m for m in managed.hear() if "STOPPING" in m]) == 1
    assert len(managed.store) == 2  # a start may follow


def test_a_refused_start_says_why(managed: Managed) -> None:
    managed.server["nonsense"] = True
    managed.write()
    managed.master = managed.spawn()
    managed.wait_message(lambda m: "nonsense" in m.get("STATUS", ""), "the reason")
    assert managed.wait_exit() == 1
    assert "nonsense" in [m["STATUS"] for m in managed.hear() if "STATUS" in m][-1]
    assert not [m for m in managed.hear() if "READY" in m]


def test_the_notification_socket_may_be_an_abstract_one(tmp_path: Path) -> None:
    managed = Managed(tmp_path, abstract=True)
    try:
        managed.start()
        assert len(managed.store) == 2
    finally:
        managed.end()


def test_the_watchdog_is_fed_at_half_of_its_time(managed: Managed) -> None:
    managed.environment = {"WATCHDOG_USEC": "600000"}
    managed.start()
    begun = time.monotonic()
    wait_until(lambda: sum("WATCHDOG" in m for m in managed.hear()) == 6, "six feedings")
    assert 1.2 < time.monotonic() - begun < 3


def test_a_watchdog_of_another_process_is_not_fed(managed: Managed) -> None:
    managed.environment = {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}
    managed.start()
    managed.get()
    managed.signal(signal.SIGTERM)
    managed.wait_exit()
    assert not [m for m in managed.hear() if "WATCHDOG" in m]


def test_no_child_inherits_what_is_meant_for_the_master(managed: Managed) -> None:
    managed.environment = {"WATCHDOG_USEC": "9000000"}
    managed.start()
    managed.kill_all()
    managed.start()  # with stored descriptors now
    for pid in managed.pids("controller") + managed.pids("worker"):
        if pid in managed.pids("controller"):
            said = Path(f"/proc/{pid}/environ").read_text().split("\0")
            assert not [entry for entry in said if entry.partition("=")[0] in VARIABLES]
        inodes = {f"socket:[{os.fstat(fd).st_ino}]" for fd in managed.store.values()}
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert len(inodes & set(links)) == (0 if pid in managed.pids("controller") else 1)


def test_no_queued_connection_is_lost_when_everything_is_killed_and_started_again(managed: Managed) -> None:
    managed.start()
    for _ in range(3):
        old = set(managed.pids("worker"))
        stop_workers(managed)
        clients = clients_of(managed, 100)
        managed.kill_all()
        clients += clients_of(managed, 100)  # while nothing runs
        managed.start()
        assert not servers_of(clients) & old
        assert not [m for m in managed.messages if "FDSTORE" in m or "FDSTOREREMOVE" in m]  # all were there


def test_a_new_master_takes_over_while_workers_of_the_killed_one_finish_their_work(managed: Managed) -> None:
    managed.start()
    connection = http.client.HTTPConnection("127.0.0.1", managed.port, timeout=10)
    connection.request("GET", "/slow")
    wait_until(lambda: any(p["active"] for p in managed.status()["processes"]), "a request in flight")
    old = set(managed.pids("worker"))
    assert managed.master is not None
    managed.master.kill()
    managed.master.communicate()
    clients = clients_of(managed, 50)
    managed.start()
    servers_of(clients)
    assert int(connection.getresponse().read()) in old


def test_with_fewer_workers_the_queues_of_all_slots_are_served(managed: Managed) -> None:
    managed.start()
    stop_workers(managed)
    clients = clients_of(managed, 100)
    managed.kill_all()
    managed.server["processor"] = 1
    managed.write()
    managed.start()
    assert servers_of(clients) == set(managed.pids("worker"))
    assert servers_of(clients_of(managed, 50)) == set(managed.pids("worker"))


def test_with_more_workers_the_new_slots_are_stored_too(managed: Managed) -> None:
    managed.start()
    stop_workers(managed)
    clients = clients_of(managed, 100)
    managed.kill_all()
    managed.server["processor"] = 3
    managed.write()
    managed.start()
    servers_of(clients)
    assert len(managed.store) == 3
    workers = set(managed.pids("worker"))
    assert {managed.get() for _ in range(60)} == workers


def test_sockets_of_a_listener_that_is_gone_leave_the_store(managed: Managed) -> None:
    second = free_port()
    managed.server["listeners"].append(Program.listener("second", second))
    managed.write()
    managed.start()
    assert len(managed.store) == 4
    managed.kill_all()
    managed.server["listeners"].pop()
    managed.write()
    managed.start()
    assert sorted(managed.store) == [f"127.0.0.1_{managed.port}_slot{slot}" for slot in (0, 1)]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", second))
    assert f"on 127.0.0.1 port {second}: no listener has that address" in managed.log_text()


def test_a_listener_that_is_renamed_keeps_its_queue(managed: Managed) -> None:
    managed.start()
    stop_workers(managed)
    clients = clients_of(managed, 50)
    managed.kill_all()
    managed.server["listeners"][0]["name"] = "other"
    managed.write()
    managed.start()
    assert servers_of(clients) <= set(managed.pids("worker"))


def test_a_manager_that_is_gone_harms_nobody(managed: Managed) -> None:
    managed.environment = {"NOTIFY_SOCKET": str(managed.directory / "nobody")}
    managed.master = managed.spawn()
    managed.wait_serving()
    managed.signal(signal.SIGTERM)
    assert managed.wait_exit() == 0


def test_a_reload_is_announced_and_ends_with_ready(managed: Managed) -> None:
    managed.start()
    second = free_port()
    managed.server["listeners"].append(Program.listener("second", second))
    managed.server["processor"] = 3
    managed.write()
    managed.messages.clear()
    begun_us = time.monotonic_ns() // 1000
    managed.signal(signal.SIGHUP)
    ready = managed.wait_message(lambda m: "READY" in m, "READY=1")
    reloading = managed.messages[0]
    assert reloading["RELOADING"] == "1"
    assert begun_us <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert ready["STATUS"] == f"Serving version 2 of {managed.path} with 3 workers."
    assert sorted(managed.store) == sorted(f"127.0.0.1_{port}_slot{n}" for port in (managed.port, second) for n in range(3))
    managed.kill_all()
    clients = clients_of(managed, 50)
    managed.start()
    assert servers_of(clients) <= set(managed.pids("worker"))


def test_what_a_reload_takes_away_leaves_the_store(managed: Managed) -> None:
    managed.server["listeners"].append(Program.listener("second", free_port()))
    managed.write()
    managed.start()
    assert len(managed.store) == 4
    managed.server["listeners"].pop()
    managed.server["processor"] = 1
    managed.write()
    managed.messages.clear()
    managed.signal(signal.SIGHUP)
    managed.wait_message(lambda m: "READY" in m, "READY=1")
    assert list(managed.store) == [f"127.0.0.1_{managed.port}_slot0"]


def test_a_refused_reload_ends_with_ready_and_the_reason(managed: Managed) -> None:
    managed.start()
    managed.server["nonsense"] = True
    managed.write()
    managed.messages.clear()
    managed.signal(signal.SIGHUP)
    ready = managed.wait_message(lambda m: "READY" in m, "READY=1")
    assert "RELOADING" in managed.messages[0]
    assert ready["STATUS"].startswith(f"Serving version 1 of {managed.path} with 2 workers. The last reload was refused: ")
    assert "nonsense" in ready["STATUS"]
