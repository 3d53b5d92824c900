"""What the master tells a service manager, and what it does when that is slow to read."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosn_mp.master.events.loop import Loop
from mosn_mp.master.listeners.socket_activation import Passed, PassedSocket
from mosn_mp.master.systemd.notify import Notifier
from mosn_mp.master.systemd.service_manager import ServiceManager


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop(logging.getLogger("test"))
    yield made
    made.close()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind(str(tmp_path / "notify"))
        yield sock


def heard(receiver: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            text, fds, _, _ = socket.recv_fds(receiver, 4096, 10)
        except BlockingIOError:
            return messages
        for fd in fds:
            os.close(fd)
        messages.append(text.decode() + "+fd" * len(fds))


def run(loop: Loop, seconds: float) -> None:
    loop.call_later(seconds, loop.stop)
    loop.run()


def test_messages_that_do_not_fit_now_are_sent_later_in_order(loop: Loop, receiver: socket.socket) -> None:
    notifier = Notifier(loop, receiver.getsockname())
    with open(os.devnull) as file:
        for number in range(400):  # net.unix.max_dgram_qlen is 10 to 512 as a rule
            notifier.send(f"NUMBER={number}", fds=(file.fileno(),))
    messages: list[str] = []
    until = time.monotonic() + 10
    while len(messages) < 400 and time.monotonic() < until:
        messages += heard(receiver)
        run(loop, 0.03)
    assert messages == [f"NUMBER={number}+fd" for number in range(400)]


def test_a_line_end_in_a_status_does_not_end_the_field(loop: Loop, receiver: socket.socket) -> None:
    Notifier(loop, receiver.getsockname()).send("STATUS=two\nREADY=1")
    assert heard(receiver) == ["STATUS=two READY=1"]


def test_nobody_is_told_when_there_is_no_manager(loop: Loop) -> None:
    manager = ServiceManager(loop, Passed(), lambda: True)
    manager.serving("x", {"name": -1})
    manager.stopping("y")
    manager.close()


def test_the_store_is_brought_up_to_date_before_ready(loop: Loop, receiver: socket.socket) -> None:
    kept, gone, fresh = socket.socket(), socket.socket(), socket.socket()
    passed = tuple(PassedSocket(name, "", 0, slot, sock) for name, slot, sock in (("kept", 0, kept), ("gone", 1, gone)))
    passed = (*passed, PassedSocket("unit", "", 0, None, fresh))
    manager = ServiceManager(loop, Passed(receiver.getsockname(), 0.0, passed, (("broken", "why"),)), lambda: True)
    manager.serving("now", {"kept": kept.fileno(), "fresh": fresh.fileno()})
    assert heard(receiver) == [
        "FDSTOREREMOVE=1\nFDNAME=gone", "FDSTOREREMOVE=1\nFDNAME=broken", "FDSTORE=1\nFDNAME=fresh\nFDPOLL=0+fd",
        f"READY=1\nMAINPID={os.getpid()}\nSTATUS=now",
    ]  # fmt: skip


def test_a_socket_that_was_made_anew_replaces_the_stored_one(loop: Loop, receiver: socket.socket) -> None:
    old, new = socket.socket(), socket.socket()
    manager = ServiceManager(loop, Passed(receiver.getsockname()), lambda: True)
    manager.serving("1", {"name": old.fileno()})
    heard(receiver)
    manager.serving("2", {"name": new.fileno()})
    assert heard(receiver)[:2] == ["FDSTOREREMOVE=1\nFDNAME=name", "FDSTORE=1\nFDNAME=name\nFDPOLL=0+fd"]


def test_the_watchdog_goes_hungry_while_nobody_works_and_is_fed_in_a_drain(loop: Loop, receiver: socket.socket) -> None:
    works = True
    manager = ServiceManager(loop, Passed(receiver.getsockname(), 0.04), lambda: works)
    manager.serving("x", {})
    run(loop, 0.1)
    assert heard(receiver).count("WATCHDOG=1") >= 2
    works = False
    run(loop, 0.1)
    assert "WATCHDOG=1" not in heard(receiver)
    manager.stopping("y")
    run(loop, 0.1)
    assert heard(receiver).count("WATCHDOG=1") >= 2
