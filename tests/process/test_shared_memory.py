"""Shared memory under real processes: nothing is handed out twice, and a kill -9 at any instant loses nothing for good."""

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from mosn_mp.buffer.arena import Arena
from mosn_mp.buffer.segment import Segment
from mosn_mp.cluster.state import State
from mosn_mp.observe.cells import HISTOGRAM_CELLS
from mosn_mp.observe.metrics import Metrics, observe_into

SIZES = (100, 4096, 9000, 16384, 40000)
SEED = int(os.environ.get("MOSN_MP_SEED", "0")) or random.randrange(1 << 30)


def started(work: Callable[[], None]) -> int:
    """The pid of a forked child that does *work* and exits 0, or 1 after any exception."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def exit_status(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def churn(arena: Arena, slot: int, seed: int, seconds: float) -> None:
    """Take, write, check and drop blocks at random; AssertionError when a block holds what this process did not write."""
    chosen = random.Random(seed)
    held: list[tuple[int, bytes]] = []
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        for _ in range(64):
            count += 1
            if len(held) > 60 or (held and chosen.random() < 0.5):
                address, stamp = held.pop(chosen.randrange(len(held)))
                view = arena.block_view(address)
                assert bytes(view[: len(stamp)]) == stamp
                assert bytes(view[-len(stamp) :]) == stamp
                arena.drop_block(address)
            elif address := arena.take_block(chosen.choice(SIZES)):
                stamp = b"%d/%d;" % (slot, count)
                view = arena.block_view(address)
                view[: len(stamp)] = stamp
                view[-len(stamp) :] = stamp
                held.append((address, stamp))
        if chosen.random() < 0.05:
            arena.trim(8)
    for address, _ in held:
        arena.drop_block(address)
    assert arena.misused == 0


def all_free(arena: Arena) -> bool:
    return all(usage.free == usage.total for usage in arena.usage())


def test_four_processes_never_hold_the_same_block() -> None:
    print(f"seed {SEED}")
    # Small enough that all run into exhaustion all the time: claims collide and trims meet takes.
    segment = Segment.create("arena", 1 << 20)

    def work(slot: int) -> None:
        arena = Arena(segment, slot)
        churn(arena, slot, SEED + slot, 2.0)
        arena.flush_magazines()

    children = [started(lambda slot=slot: work(slot)) for slot in range(4)]  # type: ignore[misc]
    assert [exit_status(pid) for pid in children] == [0] * 4
    assert all_free(Arena(segment, 254))


def test_blocks_of_killed_processes_come_back_and_the_others_notice_nothing() -> None:
    print(f"seed {SEED}")
    chosen = random.Random(SEED)
    segment = Segment.create("arena", 2 << 20)
    master = Arena(segment, 254)
    steady = [started(lambda slot=slot: churn(Arena(segment, slot), slot, SEED + slot, 4.0)) for slot in (0, 1)]  # type: ignore[misc]
    reclaimed = 0
    for turn in range(60):
        victim = started(lambda turn=turn: churn(Arena(segment, 2), 2, SEED + 10 + turn, 30.0))  # type: ignore[misc]
        time.sleep(chosen.random() * 0.05)  # the instant of the kill is what is random
        os.kill(victim, signal.SIGKILL)
        assert exit_status(victim) == -signal.SIGKILL
        reclaimed += master.reclaim(2)
        assert all(usage.owned == 0 for usage in master.usage(2))
    assert [exit_status(pid) for pid in steady] == [0, 0]
    assert reclaimed > 0
    for slot in (0, 1):
        master.reclaim(slot)
    assert all_free(master)


def test_a_limit_is_never_passed_by_racing_processes_nor_lost_by_killed_ones() -> None:
    limit = 7
    state = State.create(8, 2)
    # Each process marks what it holds in its own row: at no instant may the sum of marks be above the limit. A mark is set after
    # acquiring and cleared before giving, so a sum above the limit would be a true one.
    marks = Metrics.create(8, 512)

    def work(slot: int, seconds: float) -> None:
        end = time.monotonic() + seconds
        held = 0
        chosen = random.Random(SEED + slot)
        while time.monotonic() < end:
            for _ in range(200):
                if chosen.random() < 0.6 and state.acquire(1, 0, slot, limit):
                    held += 1
                    marks.put(slot, 100, held)
                    assert state.held_of(1, 0) <= limit + 8  # those who announced and will step back
                elif held:
                    held -= 1
                    marks.put(slot, 100, held)
                    state.give_one(1, 0, slot)
        while held:
            held -= 1
            state.give_one(1, 0, slot)

    racing = [started(lambda slot=slot: work(slot, 2.5)) for slot in range(3)]  # type: ignore[misc]
    chosen = random.Random(SEED)
    for _ in range(30):
        victim = started(lambda: work(3, 30.0))
        until = time.monotonic() + chosen.random() * 0.06
        while time.monotonic() < until:
            rows = [marks.row(slot, 100, 1)[0] for slot in range(4)]
            assert max(rows) <= limit
        os.kill(victim, signal.SIGKILL)
        exit_status(victim)
        marks.put(3, 100, 0)
        state.release(3)
    assert [exit_status(pid) for pid in racing] == [0] * 3
    assert state.held_of(1, 0) == 0


def test_the_last_place_goes_to_one_of_many() -> None:
    # Four processes ask for one place in rounds; whoever wins counts. More winners than rounds would mean a passed limit.
    rounds = 400
    state = State.create(8, rounds + 1)

    def work(slot: int) -> None:
        for record in range(1, rounds + 1):
            state.acquire(record, 0, slot, 1)

    for pid in [started(lambda slot=slot: work(slot)) for slot in range(4)]:  # type: ignore[misc]
        assert exit_status(pid) == 0
    assert [state.held_of(record, 0) for record in range(1, rounds + 1)] == [1] * rounds


def test_a_cursor_is_advanced_exactly_once_by_each_call_of_any_process() -> None:
    state = State.create(4, 2)

    def work() -> None:
        for _ in range(20_000):
            state.next_of(1)

    for pid in [started(work) for _ in range(4)]:
        assert exit_status(pid) == 0
    assert state.next_of(1) == 80_000


def test_counts_of_a_killed_process_stay_and_its_gauges_go() -> None:
    metrics = Metrics.create(2, 512)
    read, write = os.pipe()

    def work() -> None:
        metrics.add(1, 40, 3)
        metrics.add(1, 41, 2)
        observe_into(metrics, 1, 64, 700)
        os.write(write, b"x")
        signal.pause()

    pid = started(work)
    assert os.read(read, 1) == b"x"
    os.kill(pid, signal.SIGKILL)
    exit_status(pid)
    metrics.clear(1, [41])
    assert metrics.sums(40, 2) == [3, 0]
    assert sum(metrics.sums(64, HISTOGRAM_CELLS)) == 701
    os.close(read)
    os.close(write)


def test_a_program_started_by_exec_finds_the_rows_by_their_descriptor() -> None:
    import subprocess
    import sys

    metrics = Metrics.create(2, 512)
    program = (
        "import sys; from mosn_mp.observe.metrics import Metrics; "
        "m = Metrics.attach(int(sys.argv[1]), int(sys.argv[2])); m.add(1, 50, 5); print(m.sums(49, 2))"
    )
    command = [sys.executable, "-c", program, str(metrics.fd), str(metrics.size)]
    answer = subprocess.run(command, pass_fds=[metrics.fd], capture_output=True, check=True, timeout=30)
    assert answer.stdout == b"[0, 5]\n"
    assert metrics.sums(50, 1) == [5]


def test_nothing_is_left_in_shared_memory_when_every_process_is_killed() -> None:
    before = set(os.listdir("/dev/shm"))

    def work() -> None:
        Segment.create("arena", 1 << 20)
        Metrics.create(2, 512)
        os.kill(os.getpid(), signal.SIGKILL)

    assert exit_status(started(work)) == -signal.SIGKILL
    assert not [name for name in set(os.listdir("/dev/shm")) - before if "mosn_mp" in name]


def test_a_full_tmpfs_exhausts_the_arena_instead_of_killing_its_processes() -> None:
    # A limit on file size makes fallocate fail as a full tmpfs would, without filling the machine's: the pages cannot be secured.
    pytest.skip("needs a tmpfs of its own: covered where mounting is allowed") if os.geteuid() else None
    segment = Segment.create("arena", 1 << 20)
    assert Arena(segment, 0).take_block(100) != 0
