"""Shared state of one process: cursors, health flags, limits, and the release of a dead slot's shares."""

import os

import pytest

from mosn_mp.buffer.segment import PAGE, Segment
from mosn_mp.cluster.state import State, record_bytes, state_shape

CONNECTIONS, REQUESTS, PENDING, RETRIES = range(4)


def made(slots: int, clusters: int, hosts: int = 10) -> State:
    return State(Segment.create(state_shape(slots, clusters, hosts)))


def memory(state: State) -> int:
    return os.fstat(state.segment.fd).st_blocks * 512


def test_a_cursor_gives_every_caller_another_number() -> None:
    state = made(2, 4)
    attached = State(Segment.attach(os.dup(state.segment.fd), state.segment.shape))
    assert [state.next_of(1), attached.next_of(1), state.next_of(1), state.next_of(2)] == [0, 1, 2, 0]


def test_a_limit_holds_over_all_slots_together() -> None:
    state = made(3, 4)
    assert [state.acquire(1, CONNECTIONS, slot, 4) for slot in (0, 1, 2, 0, 1, 2)] == [True] * 4 + [False] * 2
    assert state.held_of(1, CONNECTIONS) == 4
    state.give_one(1, CONNECTIONS, 2)
    assert state.acquire(1, CONNECTIONS, 1, 4)
    assert not state.acquire(1, CONNECTIONS, 1, 4)


def test_a_lower_limit_after_a_reload_refuses_until_enough_was_given() -> None:
    state = made(1, 2)
    for _ in range(5):
        assert state.acquire(1, CONNECTIONS, 0, 5)
    assert not state.acquire(1, CONNECTIONS, 0, 3)
    for _ in range(3):
        state.give_one(1, CONNECTIONS, 0)
    assert state.acquire(1, CONNECTIONS, 0, 3)


@pytest.mark.parametrize("limit", [0, -1])
def test_without_a_limit_everything_is_counted_and_nothing_refused(limit: int) -> None:
    state = made(1, 2)
    assert all(state.acquire(1, CONNECTIONS, 0, limit) for _ in range(1000))
    assert state.held_of(1, CONNECTIONS) == 1000


def test_groups_and_records_are_counted_apart() -> None:
    state = made(17, 3)
    state.acquire(1, CONNECTIONS, 16, 0)
    state.acquire(1, RETRIES, 0, 0)
    state.acquire(2, REQUESTS, 3, 0)
    held = [[state.held_of(record, group) for group in range(4)] for record in (1, 2)]
    assert held == [[1, 0, 0, 1], [0, 1, 0, 0]]
    assert state.next_of(1) == state.next_of(2) == 0


def test_record_zero_means_no_record_and_no_limit() -> None:
    state = made(1, 2)
    assert state.acquire(0, CONNECTIONS, 0, 1)
    assert state.acquire(0, CONNECTIONS, 0, 1)
    state.give_one(0, CONNECTIONS, 0)
    state.set_health(0, 1)
    assert (state.held_of(0, CONNECTIONS), state.next_of(0), state.health_of(0)) == (0, 0, 0)


def test_giving_more_than_was_taken_does_not_wrap_around() -> None:
    state = made(1, 2)
    state.give_one(1, CONNECTIONS, 0)
    assert state.held_of(1, CONNECTIONS) == 0
    assert state.acquire(1, CONNECTIONS, 0, 1)


def test_a_dead_slots_shares_are_released_and_no_others() -> None:
    state = made(2, 4)
    for record in (1, 2, 3):
        state.acquire(record, CONNECTIONS, 0, 0)
        state.acquire(record, REQUESTS, 0, 0)
        state.acquire(record, CONNECTIONS, 1, 0)
    assert state.release(0, state.clusters) == 6
    assert [state.held_of(cluster, CONNECTIONS) for cluster in (1, 2, 3)] == [1, 1, 1]
    assert state.release(0, state.clusters) == 0


def test_health_flags_are_seen_by_every_process() -> None:
    state = made(1, 3)
    attached = State(Segment.attach(os.dup(state.segment.fd), state.segment.shape))
    state.set_health(2, 1)
    assert (attached.health_of(1), attached.health_of(2)) == (0, 1)


def test_a_cleared_cluster_is_as_new_and_its_neighbours_are_not_touched() -> None:
    state = made(1, 4)
    for cluster in (1, 2, 3):
        state.next_of(cluster)
        state.acquire(cluster, RETRIES, 0, 0)
    state.clear([2], [])
    assert [state.held_of(cluster, RETRIES) for cluster in (1, 2, 3)] == [1, 0, 1]
    assert [state.next_of(cluster) for cluster in (1, 2, 3)] == [1, 0, 1]
    assert state.held_clusters(state.clusters) == {1, 3}


def test_flags_are_found_and_cleared_by_host() -> None:
    state = made(1, 2, 100_000)
    for host, flags in ((1, 1), (70_000, 0x80), (99_999, 2)):
        state.set_health(host, flags)
    assert state.flagged_hosts(state.hosts) == {1: 1, 70_000: 0x80, 99_999: 2}
    state.clear([], [70_000, 5, 1])
    assert state.flagged_hosts(state.hosts) == {99_999: 2}


@pytest.mark.parametrize("slots", [16, 500])
def test_room_for_many_takes_no_memory_and_neither_does_looking(slots: int) -> None:
    state = made(slots, 100_000, 1_000_000)
    state.acquire(50_000, REQUESTS, slots - 1, 0)
    before = memory(state)
    assert before <= 2 * PAGE
    assert state.release(0, state.clusters) == 0
    state.clear(range(100_000), range(1_000_000))
    assert state.flagged_hosts(state.hosts) == {}
    assert memory(state) == before
    assert state.held_of(50_000, REQUESTS) == 0


@pytest.mark.parametrize(("slot", "cluster", "group"), [(2, 1, 0), (-1, 1, 0), (0, 4, 0), (0, 1, 4), (0, 1, -1)])
def test_what_does_not_exist_is_refused(slot: int, cluster: int, group: int) -> None:
    with pytest.raises(IndexError):
        made(2, 4).acquire(cluster, group, slot, 1)


def test_state_without_slots_or_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        made(0, 4)
    with pytest.raises(ValueError, match="at least"):
        made(1, 1)
    with pytest.raises(ValueError, match="at least"):
        made(1, 2, 1)


def test_records_are_powers_of_two_so_that_none_lies_on_two_pages_without_need() -> None:
    sizes = [record_bytes(slots) for slots in (1, 16, 17, 64, 254)]
    assert sizes == [512, 512, 1024, 2048, 8192]
