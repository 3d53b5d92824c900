"""Which passed descriptor serves which listener and slot."""

import socket

import pytest

from mosn_mp.master.listeners.socket_activation import VARIABLES, Claims, Passed, PassedSocket, inode_of, stored_name, take_passed


def passed(slot: int | None, host: str = "127.0.0.1", port: int = 80) -> PassedSocket:
    return PassedSocket("any", host, port, slot, socket.socket())


@pytest.mark.parametrize(
    ("host", "name"),
    [("127.0.0.1", "127.0.0.1_80_slot3"), ("::", "--_80_slot3"), ("2001:db8::1", "2001-db8--1_80_slot3")],
)
def test_names_in_the_store_carry_address_and_slot_without_colons(host: str, name: str) -> None:
    assert stored_name(host, 80, 3) == name


@pytest.mark.parametrize(
    ("bound", "written", "is_same"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("2001:db8::1", "2001:0db8:0:0:0:0:0:1", True),
        ("::", "0::0", True),
        ("::", "0.0.0.0", False),
        ("127.0.0.1", "127.0.0.2", False),
    ],
)
def test_addresses_are_compared_by_what_they_mean(bound: str, written: str, is_same: bool) -> None:
    assert passed(None, bound).is_bound_to(written, 80) is is_same
    assert not passed(None, bound).is_bound_to(written, 81)


def test_stored_sockets_go_back_into_their_slots() -> None:
    second, first = passed(1), passed(0)
    assert Claims([second, first]).claim("127.0.0.1", 80, 3) == {0: first.sock, 1: second.sock}  # slot 2 is to be bound


def test_sockets_of_a_unit_are_shared_by_the_slots_that_have_none() -> None:
    one, two = passed(None), passed(None)
    claimed = Claims([one, two]).claim("127.0.0.1", 80, 5)
    inodes = [inode_of(claimed[slot].fileno()) for slot in range(5)]
    a, b = inode_of(one.sock.fileno()), inode_of(two.sock.fileno())
    assert inodes == [a, b, a, b, a]
    assert len({sock.fileno() for sock in claimed.values()}) == 5


def test_a_socket_is_claimed_once_and_what_is_left_is_told() -> None:
    here, there = passed(0), passed(0, port=81)
    claims = Claims([here, there])
    claims.claim("127.0.0.1", 80, 1)
    assert claims.claim("127.0.0.1", 80, 1) == {}
    assert claims.take_unclaimed() == [there]
    assert claims.take_unclaimed() == []


def test_sockets_of_units_and_duplicates_are_not_stored() -> None:
    of_unit = PassedSocket("front", "127.0.0.1", 80, None, socket.create_server(("127.0.0.1", 0)))
    claims = Claims([of_unit])
    ours = socket.create_server(("127.0.0.1", 0))
    same = ours.dup()
    port = ours.getsockname()[1]
    fds = {of_unit.sock.fileno(): 0, ours.fileno(): 1, same.fileno(): 2}
    assert claims.to_store(fds) == {f"127.0.0.1_{port}_slot1": ours.fileno()}


def test_what_is_meant_for_another_process_is_left_alone_but_not_passed_on() -> None:
    said = {"LISTEN_PID": "7", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "WATCHDOG_PID": "7", "WATCHDOG_USEC": "5", "OTHER": "1"}
    found = take_passed(said, 8)
    assert (found.sockets, found.unusable, found.watchdog_s) == ((), (), 0.0)
    assert said == {"OTHER": "1"}


def test_without_a_service_manager_there_is_nothing() -> None:
    assert take_passed({}, 8) == Passed()
    assert take_passed(dict.fromkeys(VARIABLES, "nonsense"), 8) == Passed("nonsense")


def test_a_watchdog_is_told_in_microseconds() -> None:
    said = {"NOTIFY_SOCKET": "/run/systemd/notify", "WATCHDOG_USEC": "20000000"}
    assert take_passed(said, 8) == Passed("/run/systemd/notify", 20.0)
