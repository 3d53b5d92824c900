"""Sockets that a socket unit made: taken by address, shared if they are too few, left listening after a stop."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.program import ROOT, Program, wait_until
from tests.process.service_manager import Managed
from tests.process.test_systemd_notify import clients_of, servers_of


@pytest.fixture
def managed(tmp_path: Path) -> Iterator[Managed]:
    made = Managed(tmp_path)
    try:
        yield made
    finally:
        made.end()


def listening_socket(port: int, reuse_port: bool = False) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), reuse_port=reuse_port, backlog=512)


def test_one_socket_is_shared_by_all_workers(managed: Managed) -> None:
    managed.unit_sockets = [("front", listening_socket(managed.port))]
    managed.start()
    assert managed.store == {}  # the socket unit keeps it
    workers = set(managed.pids("worker"))
    wait_until(lambda: {managed.get() for _ in range(40)} == workers, "answers of both workers")


def test_as_many_sockets_as_workers_are_one_for_each(managed: Managed) -> None:
    managed.unit_sockets = [("front", listening_socket(managed.port, reuse_port=True)) for _ in range(2)]
    managed.start()
    inodes = {f"socket:[{os.fstat(sock.fileno()).st_ino}]" for _, sock in managed.unit_sockets}
    held = []
    for pid in managed.pids("worker"):
        links = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        held.append(links & inodes)
    assert [len(links) for links in held] == [1, 1]
    assert held[0] != held[1]


def test_more_sockets_than_workers_are_all_served(managed: Managed) -> None:
    managed.unit_sockets = [("front", listening_socket(managed.port, reuse_port=True)) for _ in range(5)]
    clients = clients_of(managed, 100)
    managed.start()
    assert servers_of(clients) <= set(managed.pids("worker"))
    servers_of(clients_of(managed, 100))


def test_who_connects_between_a_stop_and_a_start_is_served(managed: Managed) -> None:
    managed.unit_sockets = [("front", listening_socket(managed.port))]
    managed.start()
    managed.signal(signal.SIGTERM)
    assert managed.wait_exit() == 0
    clients = clients_of(managed, 50)
    managed.start()
    assert servers_of(clients) <= set(managed.pids("worker"))


def test_a_socket_that_is_bound_to_no_listeners_address_is_named_and_closed(managed: Managed) -> None:
    stranger = listening_socket(0)
    managed.unit_sockets = [("stranger", stranger)]
    managed.start()
    port = stranger.getsockname()[1]
    assert f"passed 'stranger' on 127.0.0.1 port {port}: no listener has that address" in managed.log_text()
    assert managed.get() > 0


def test_what_is_no_listening_tcp_socket_is_named_and_closed(managed: Managed) -> None:
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    idle = socket.socket()
    managed.unit_sockets = [("datagram", datagram), ("idle", idle)]
    managed.start()
    assert "'datagram', which cannot be served: not a TCP socket: AF_INET, SOCK_DGRAM" in managed.log_text()
    assert "'idle', which cannot be served: not a listening socket" in managed.log_text()
    assert managed.get() > 0


@pytest.mark.interop("systemd-socket-activate")
def test_systemd_socket_activate_starts_it_with_the_first_client(program: Program) -> None:
    command = [
        "systemd-socket-activate", f"--listen=127.0.0.1:{program.port}", "--fdname=front", f"--setenv=PYTHONPATH={ROOT}",
        sys.executable, "-m", "mosn_mp", "start", "-c", str(program.path),
    ]  # fmt: skip
    program.master = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    workers = {wait_until(program.is_serving, "the first answer") and program.get() for _ in range(20)}
    assert workers <= set(program.pids("worker"))
    assert program.pids("master") == [program.master.pid]
    program.signal(signal.SIGTERM)
    assert program.wait_exit() == 0
