"""Shared state of one process: cursors, health flags, limits, and the release of a dead slot's shares."""

import os
from itertools import pairwise

import pytest

from mosn_mp.cluster.state import State, record_bytes, state_directory

CONNECTIONS, REQUESTS, PENDING, RETRIES = range(4)


def test_a_cursor_gives_every_caller_another_number() -> None:
    state = State.create(2, 4)
    attached = State.attach(os.dup(state.fd), state.size)
    assert [state.next_of(1), attached.next_of(1), state.next_of(1), state.next_of(2)] == [0, 1, 2, 0]


def test_a_limit_holds_over_all_slots_together() -> None:
    state = State.create(3, 4)
    assert [state.acquire(1, CONNECTIONS, slot, 4) for slot in (0, 1, 2, 0, 1, 2)] == [True] * 4 + [False] * 2
    assert state.held_of(1, CONNECTIONS) == 4
    state.give_one(1, CONNECTIONS, 2)
    assert state.acquire(1, CONNECTIONS, 1, 4)
    assert not state.acquire(1, CONNECTIONS, 1, 4)


def test_a_lower_limit_after_a_reload_refuses_until_enough_was_given() -> None:
    state = State.create(1, 2)
    for _ in range(5):
        assert state.acquire(1, CONNECTIONS, 0, 5)
    assert not state.acquire(1, CONNECTIONS, 0, 3)
    for _ in range(3):
        state.give_one(1, CONNECTIONS, 0)
    assert state.acquire(1, CONNECTIONS, 0, 3)


@pytest.mark.parametrize("limit", [0, -1])
def test_without_a_limit_everything_is_counted_and_nothing_refused(limit: int) -> None:
    state = State.create(1, 2)
    assert all(state.acquire(1, CONNECTIONS, 0, limit) for _ in range(1000))
    assert state.held_of(1, CONNECTIONS) == 1000


def test_groups_and_records_are_counted_apart() -> None:
    state = State.create(17, 3)
    state.acquire(1, CONNECTIONS, 16, 0)
    state.acquire(1, RETRIES, 0, 0)
    state.acquire(2, REQUESTS, 3, 0)
    held = [[state.held_of(record, group) for group in range(4)] for record in (1, 2)]
    assert held == [[1, 0, 0, 1], [0, 1, 0, 0]]
    assert state.next_of(1) == state.next_of(2) == 0


def test_record_zero_means_no_record_and_no_limit() -> None:
    state = State.create(1, 2)
    assert state.acquire(0, CONNECTIONS, 0, 1)
    assert state.acquire(0, CONNECTIONS, 0, 1)
    state.give_one(0, CONNECTIONS, 0)
    state.set_health(0, 1)
    assert (state.held_of(0, CONNECTIONS), state.next_of(0), state.health_of(0)) == (0, 0, 0)


def test_giving_more_than_was_taken_does_not_wrap_around() -> None:
    state = State.create(1, 2)
    state.give_one(1, CONNECTIONS, 0)
    assert state.held_of(1, CONNECTIONS) == 0
    assert state.acquire(1, CONNECTIONS, 0, 1)


def test_a_dead_slots_shares_are_released_and_no_others() -> None:
    state = State.create(2, 4)
    for record in (1, 2, 3):
        state.acquire(record, CONNECTIONS, 0, 0)
        state.acquire(record, REQUESTS, 0, 0)
        state.acquire(record, CONNECTIONS, 1, 0)
    assert state.release(0, 3) == 4
    assert [state.held_of(record, CONNECTIONS) for record in (1, 2, 3)] == [1, 1, 2]
    assert state.release(0) == 2
    assert state.release(0) == 0
    assert state.held_of(3, CONNECTIONS) == 1


def test_health_flags_are_seen_by_every_process() -> None:
    state = State.create(1, 3)
    attached = State.attach(os.dup(state.fd), state.size)
    state.set_health(2, 1)
    assert (attached.health_of(1), attached.health_of(2)) == (0, 1)


def test_a_cleared_record_is_as_new_and_its_neighbours_are_not_touched() -> None:
    state = State.create(1, 4)
    for record in (1, 2, 3):
        state.next_of(record)
        state.set_health(record, 1)
        state.acquire(record, RETRIES, 0, 0)
    state.clear(2)
    assert [state.health_of(record) for record in (1, 2, 3)] == [1, 0, 1]
    assert [state.held_of(record, RETRIES) for record in (1, 2, 3)] == [1, 0, 1]
    assert [state.next_of(record) for record in (1, 2, 3)] == [1, 0, 1]


@pytest.mark.parametrize(("slot", "record", "group"), [(2, 1, 0), (-1, 1, 0), (0, 4, 0), (0, 1, 4), (0, 1, -1)])
def test_what_does_not_exist_is_refused(slot: int, record: int, group: int) -> None:
    with pytest.raises(IndexError):
        State.create(2, 4).acquire(record, group, slot, 1)


def test_state_without_slots_or_records_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        State.create(0, 4)
    with pytest.raises(ValueError, match="at least"):
        State.create(1, 1)


def test_records_lie_on_cache_lines_of_their_own() -> None:
    sizes = [record_bytes(slots) for slots in (1, 16, 17, 64, 254)]
    assert sizes == [320, 320, 576, 1088, 4160]
    assert all(a <= b for a, b in pairwise(sizes))
    assert all(size % 64 == 0 for size in sizes)


def test_a_directory_of_records_gives_the_same_host_the_same_number() -> None:
    directory = state_directory(8)
    host = [("cluster", "a"), ("host", "10.0.0.1:80")]
    assert directory.reserve("cluster", [("cluster", "a")]) == 1
    assert directory.reserve("host", host) == 2
    assert directory.reserve("host", host) == 2
