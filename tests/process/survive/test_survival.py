"""What is connected stays connected, whatever an operator does meanwhile; each test prints what was counted."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.process.loaded import Result
from tests.process.program import say
from tests.process.rpc.load import Echo
from tests.process.survive.clients import BoltConnections, IdleConnections, WebSockets, WebSocketServer
from tests.process.survive.surviving import Surviving, check_same

Operation = Callable[[], str]
COMMANDS = ("reload", "rebalance", "upgrade")
DELAY_S = 0.2  # of the bolt server: that long each request is under way

few = pytest.mark.parametrize("times", [2])
many = pytest.mark.parametrize("times", [10])
each_command = pytest.mark.parametrize("command", COMMANDS)


@pytest.fixture
def surviving(tmp_path: Path) -> Iterator[Surviving]:
    """The program with its servers."""
    web_sockets = WebSocketServer()
    with Echo(DELAY_S) as bolt:
        made = Surviving(tmp_path, web_sockets.port, bolt.port)
        try:
            made.start()
            yield made
        finally:
            made.end()
            web_sockets.end()


def operate(surviving: Surviving, command: str, times: int) -> None:
    """Run *command* again and again, with a while of traffic around each."""
    operation: Operation = getattr(surviving, command)
    for turn in range(1, times + 1):
        time.sleep(0.5)
        begun = time.monotonic()
        text = operation().strip()
        say(f"{command} {turn} took {time.monotonic() - begun:.2f} s: {' | '.join(text.splitlines())}")
    time.sleep(0.5)


def check_even(surviving: Surviving, command: str, count: int) -> None:
    """After a rebalance the workers have about as many connections each."""
    if command == "rebalance":
        loads = surviving.loads()
        say(f"connections after: {loads}")
        assert min(loads) > 0.5 * count / len(loads), loads


Clients = WebSockets | BoltConnections | IdleConnections


def survive(surviving: Surviving, command: str, times: int, count: int, clients: Clients) -> None:
    """All *count* of *clients* live through the operations."""
    try:
        time.sleep(0.5)
        operate(surviving, command, times)
        check_even(surviving, command, count)
        clients.check()
    finally:
        clients.end()


@few
@each_command
def test_web_sockets_survive(surviving: Surviving, command: str, times: int) -> None:
    survive(surviving, command, times, 100, WebSockets(surviving.port, 100))


@many
@each_command
@pytest.mark.slow
def test_a_thousand_web_sockets_survive(surviving: Surviving, command: str, times: int) -> None:
    survive(surviving, command, times, 1000, WebSockets(surviving.port, 1000))


@few
@each_command
def test_bolt_connections_survive(surviving: Surviving, command: str, times: int) -> None:
    survive(surviving, command, times, 20, BoltConnections(surviving.bolt_port, 20))


@many
@each_command
@pytest.mark.slow
def test_200_bolt_connections_with_8_requests_under_way_survive(surviving: Surviving, command: str, times: int) -> None:
    survive(surviving, command, times, 200, BoltConnections(surviving.bolt_port, 200))


@few
@each_command
def test_500_idle_connections_notice_nothing(surviving: Surviving, command: str, times: int) -> None:
    survive(surviving, command, times, 500, IdleConnections(surviving.port, 500))


def check(surviving: Surviving, result: Result, what: str) -> None:
    say(f"{what}: {result}")
    assert result.failed == 0, (result.failures, surviving.log_text()[-3000:])
    assert result.wrk_errors == 0, result.wrk_text
    assert result.requests > 100
    assert "Traceback" not in surviving.log_text()


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", ["rebalance", "upgrade"])
def test_load_goes_on_unnoticed(surviving: Surviving, command: str, times: int) -> None:
    surviving.begin_load(wrk_s=600)
    operate(surviving, command, times)
    check(surviving, surviving.end_load(), f"{times} x {command}")


def everything_at_once(surviving: Surviving, commands: list[str], times: int, size: int) -> None:
    """All kinds of clients, their number *size* percent of what is promised, and all operations in turn."""
    surviving.begin_load()
    clients = [
        WebSockets(surviving.port, 10 * size),
        BoltConnections(surviving.bolt_port, 2 * size),
        IdleConnections(surviving.port, 5 * size),
    ]
    try:
        time.sleep(2)
        for _ in range(times):
            for command in commands:
                operate(surviving, command, 1)
        check(surviving, surviving.end_load(), "verifying clients")
        for one in reversed(clients):
            one.check()
    finally:
        for one in clients:
            one.end()


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("times", "size"), [(2, 10), pytest.param(10, 100, marks=pytest.mark.slow)])
def test_afterwards_the_program_takes_no_more_of_the_machine_than_before(surviving: Surviving, times: int, size: int) -> None:
    commands = list(COMMANDS)
    everything_at_once(surviving, [], 1, size)  # what so many clients leave behind is not the operations' fault
    before = surviving.settled()
    everything_at_once(surviving, commands, times, size)
    check_same(before, surviving.settled())
