"""Shared memory under real processes: nothing is handed out twice, and a kill -9 at any instant loses nothing for good."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from mosn_mp.buffer.arena import Arena, arena_shape
from mosn_mp.buffer.holdings import Holdings, holdings_shape
from mosn_mp.buffer.segment import Segment
from mosn_mp.cluster.state import State, state_shape
from mosn_mp.observe.metrics.cells import DOWNSTREAM, HISTOGRAM_CELLS
from mosn_mp.observe.metrics.metrics import Metrics, metrics_shape, observe_into

SIZES = (100, 4096, 9000, 16384, 40000)
# Repeated with the MOSN_MP_SEED that a failure names.
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


def made(arena_bytes: int, holdings: Holdings, row: int) -> Arena:
    """The arena of the worker of *row*, made in its process."""
    return Arena(Segment.create(arena_shape(arena_bytes)), holdings, row)


def test_four_processes_have_no_more_than_the_arena_at_any_time() -> None:
    # Small enough that all run into exhaustion all the time: refills meet trims.
    holdings = Holdings(Segment.create(holdings_shape(1 << 20, 4)))
    first_refills = 4 * (4 + 16 + 64 << 10)

    def work(slot: int) -> None:
        arena = made(1 << 20, holdings, slot)
        churn(arena, slot, SEED + slot, 2.0)
        for _ in range(4):
            arena.trim()

    children = [started(lambda slot=slot: work(slot)) for slot in range(4)]  # type: ignore[misc]
    end = time.monotonic() + 1.5
    most = 0
    cells = holdings.segment.view.cast("I")
    while time.monotonic() < end:
        most = max(most, sum(cells[row * 16 + c * 3] << shift for row in range(4) for c, shift in enumerate((12, 14, 16))))
    assert [exit_status(pid) for pid in children] == [0] * 4, f"seed {SEED}"
    assert (1 << 20) // 2 < most <= (1 << 20) + 2 * first_refills
    assert all(usage.free == usage.total and usage.touched == 0 for usage in holdings.usage())


def test_what_killed_processes_held_comes_back_and_the_others_notice_nothing() -> None:
    chosen = random.Random(SEED)
    holdings = Holdings(Segment.create(holdings_shape(2 << 20, 3)))
    steady = [started(lambda slot=slot: churn(made(2 << 20, holdings, slot), slot, SEED + slot, 4.0)) for slot in (0, 1)]  # type: ignore[misc]
    had = 0
    for turn in range(60):
        victim = started(lambda turn=turn: churn(made(2 << 20, holdings, 2), 2, SEED + 10 + turn, 30.0))  # type: ignore[misc]
        time.sleep(chosen.random() * 0.05)  # the instant of the kill is what is random
        os.kill(victim, signal.SIGKILL)
        assert exit_status(victim) == -signal.SIGKILL
        had += holdings.owned_by(2)
        holdings.clear(2)
    assert [exit_status(pid) for pid in steady] == [0, 0], f"seed {SEED}"
    assert had > 0
    holdings.clear_all_but(())
    assert all(usage.free == usage.total for usage in holdings.usage())


def test_what_killed_processes_held_of_a_limit_is_free_again() -> None:
    limit = 7
    state = State(Segment.create(state_shape(8, 2, 2)))

    def work(slot: int, seconds: float) -> None:
        end = time.monotonic() + seconds
        held = 0
        chosen = random.Random(SEED + slot)
        while time.monotonic() < end:
            for _ in range(200):
                if chosen.random() < 0.6 and state.acquire(1, 0, slot, limit):
                    held += 1
                elif held:
                    held -= 1
                    state.give_one(1, 0, slot)
            assert held <= limit
        for _ in range(held):
            state.give_one(1, 0, slot)

    racing = [started(lambda slot=slot: work(slot, 2.0)) for slot in range(2)]  # type: ignore[misc]
    chosen = random.Random(SEED)
    for _ in range(30):
        victim = started(lambda: work(3, 30.0))
        time.sleep(chosen.random() * 0.05)  # the instant of the kill is what is random
        os.kill(victim, signal.SIGKILL)
        exit_status(victim)
        assert 0 <= state.release(3, state.clusters) <= limit
    assert [exit_status(pid) for pid in racing] == [0] * 2, f"seed {SEED}"
    assert state.held_of(1, 0) == 0


def test_of_two_processes_that_ask_for_the_last_place_at_once_exactly_one_gets_it() -> None:
    rounds = 3000
    state = State(Segment.create(state_shape(2, rounds + 1, 2)))
    wins = Metrics(Segment.create(metrics_shape(2, rounds, 1)))

    def work(slot: int) -> None:
        for record in range(1, rounds + 1):
            # Both wait for each other at the record's cursor, then go within a microsecond.
            arrived = state.next_of(record) + 1
            while arrived < 2:
                arrived = 2 if state.held_of(record, 3) else arrived
                os.sched_yield()  # the other may wait for this core
            state.acquire(record, 3, slot, 0)
            if state.acquire(record, 0, slot, 1):
                wins.add(slot, record)

    children = [started(lambda slot=slot: work(slot)) for slot in (0, 1)]  # type: ignore[misc]
    assert [exit_status(pid) for pid in children] == [0, 0]
    assert wins.sums(1, rounds) == [1] * rounds
    assert all(min(wins.row(slot, 1, rounds)) == 0 and max(wins.row(slot, 1, rounds)) == 1 for slot in (0, 1))


def test_a_cursor_is_advanced_exactly_once_by_each_call_of_any_process() -> None:
    state = State(Segment.create(state_shape(4, 2, 2)))

    def work() -> None:
        for _ in range(20_000):
            state.next_of(1)

    for pid in [started(work) for _ in range(4)]:
        assert exit_status(pid) == 0
    assert state.next_of(1) == 80_000


def test_counts_of_a_killed_process_stay_and_its_gauges_go() -> None:
    metrics = Metrics(Segment.create(metrics_shape(2, 2, 2)))
    base = metrics.base_of("downstream", 1)
    total, active, time_ = (base + DOWNSTREAM.cell(key).at for key in ("request_total", "request_active", "request_time"))
    read, write = os.pipe()

    def work() -> None:
        metrics.add(1, total, 3)
        metrics.add(1, active, 2)
        observe_into(metrics, 1, time_, 700)
        os.write(write, b"x")
        signal.pause()

    pid = started(work)
    assert os.read(read, 1) == b"x"
    os.kill(pid, signal.SIGKILL)
    exit_status(pid)
    metrics.clear_gauges(1, {"worker": 1, "downstream": 2, "upstream": 2})
    assert (metrics.sums(total, 1), metrics.sums(active, 1)) == ([3], [0])
    assert sum(metrics.sums(time_, HISTOGRAM_CELLS)) == 701
    os.close(read)
    os.close(write)


def test_a_program_started_by_exec_finds_the_rows_by_their_descriptor() -> None:
    metrics = Metrics(Segment.create(metrics_shape(2, 2, 2)))
    program = (
        "import sys; from mosn_mp.buffer.segment import Segment\n"
        "from mosn_mp.observe.metrics.metrics import Metrics, metrics_shape\n"
        "m = Metrics(Segment.attach(int(sys.argv[1]), metrics_shape(2, 2, 2))); m.add(1, 50, 5); print(m.sums(49, 2))"
    )
    fd = metrics.segment.fd
    answer = subprocess.run([sys.executable, "-c", program, str(fd)], pass_fds=[fd], capture_output=True, check=True, timeout=30)
    assert answer.stdout == b"[0, 5]\n"
    assert metrics.sums(50, 1) == [5]


def test_nothing_is_left_in_shared_memory_when_every_process_is_killed() -> None:
    def work() -> None:
        Segment.create(arena_shape(1 << 20))
        Metrics(Segment.create(metrics_shape(2, 2, 2)))
        os.kill(os.getpid(), signal.SIGKILL)

    pid = started(work)
    assert exit_status(pid) == -signal.SIGKILL
    assert not [name for name in os.listdir("/dev/shm") if f"-{pid}-" in name]


NO_MEMORY = """
import os
from mosn_mp.buffer.arena import Arena, arena_shape
from mosn_mp.buffer.holdings import Holdings, holdings_shape
from mosn_mp.buffer.segment import Segment
file = os.open("/mnt/arena", os.O_CREAT | os.O_RDWR)
os.ftruncate(file, 1 << 20)
arena = Arena(Segment(file, arena_shape(1 << 20)), Holdings(Segment.create(holdings_shape(1 << 20, 1))), 0)
first = arena.take_block(16384)
arena.block_view(first)[:] = b"x" * 16384
ballast = os.open("/mnt/ballast", os.O_CREAT | os.O_WRONLY)
try:
    while True:
        os.write(ballast, b"y" * 4096)
except OSError:
    os.close(ballast)
assert arena.take_block(16384) == 0
assert arena.usage()[1].exhausted == 1
arena.drop_block(first)
assert arena.take_block(16384) == first
os.unlink("/mnt/ballast")
second = arena.take_block(16384)
arena.block_view(second)[:] = b"z" * 16384
print("served on")
"""


def test_an_arena_that_the_kernel_has_no_memory_for_is_exhausted_and_kills_nobody() -> None:
    # A memfd is refused memory when that of the machine is used up; a file of a small tmpfs is refused it in the same way.
    mount = "mount -t tmpfs -o size=4m none /mnt"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    script = f'{mount} && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", NO_MEMORY]
    answer = subprocess.run(command, capture_output=True, check=False, timeout=30)
    assert (answer.returncode, answer.stdout) == (0, b"served on\n"), answer.stderr.decode()
