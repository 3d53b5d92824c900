"""A short run of the fuzzer of shared memory; `python tests/fuzz/fuzz_shared_memory.py --inputs 1000000` is the long one."""

import os
import random
import time
import tracemalloc

import msgspec
import pytest

from mosn_mp.buffer.segment import PAGE, Segment
from mosn_mp.master.state.shared_memory import Inheritance, SharedMemory
from tests.fuzz.fuzz_shared_memory import LONGEST_S, MOST_KIB, Readers, check, fuzz, made_small, plan_of


def seed_of(request: pytest.FixtureRequest) -> int:
    return int(request.config.option.hypothesis_seed or 0) & 0x7FFFFFFF


def test_no_write_of_a_worker_breaks_a_reader(request: pytest.FixtureRequest) -> None:
    report = "\n".join(fuzz(4000, seed_of(request)))
    assert "4,000 inputs" in report and ": 0 times" not in report, report


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_write_of_a_million_breaks_a_reader(request: pytest.FixtureRequest) -> None:
    assert "1,000,000 inputs" in "\n".join(fuzz(1_000_000, seed_of(request)))


def read_all_of(memory: SharedMemory) -> None:
    """Every reader answers, in bounded time and memory."""
    readers = Readers(memory)
    tracemalloc.start()
    try:
        for name, read in {**readers.master, **readers.controller, **readers.worker}.items():
            began = time.process_time()
            check(read())
            assert time.process_time() - began < 2 * LONGEST_S, name  # it is traced
        assert tracemalloc.get_traced_memory()[1] < MOST_KIB << 10
    finally:
        tracemalloc.stop()


def counted(memory: SharedMemory) -> list[object]:
    """What totals() says of things in which anything was counted."""
    return [row for row in msgspec.msgpack.decode(memory.totals()) if row[2]]


@pytest.mark.parametrize("kind", ["ones", "random", "high bits", "counting"])
def test_memory_full_of_anything_is_read(kind: str, request: pytest.FixtureRequest) -> None:
    memory = made_small()
    dice = random.Random(seed_of(request))
    words = {"ones": b"\xff", "high bits": bytes(7) + b"\x80", "counting": bytes(range(256))}
    page = words[kind] * (PAGE // len(words[kind])) if kind in words else b""
    segments: list[Segment] = [memory.holdings.segment, memory.metrics.segment, memory.state.segment]
    for segment in segments:
        for at in range(0, segment.size, PAGE):
            segment.view[at : at + PAGE] = page or dice.randbytes(PAGE)
    read_all_of(memory)
    before = Inheritance(os.dup(memory.fds()[1]), os.dup(memory.fds()[1]), plan_of(4, 6), b"", memory.totals(), [])
    after = SharedMemory(plan_of(4, 6), before)
    assert after.rebuilt and counted(after) == counted(memory), "an upgrade counts on"


def test_pages_all_over_the_address_space_cost_the_readers_nothing() -> None:
    memory = SharedMemory(plan_of(4, 6))
    for segment, step in ((memory.metrics.segment, 701), (memory.state.segment, 3)):
        for at in range(0, segment.size, step * PAGE):
            segment.view[at] = 255
    read_all_of(memory)
    for segment in (memory.metrics.segment, memory.state.segment):
        left = sum(end - start for start, end in segment.used(0, segment.size))
        assert left < 4 << 20, "what is written where nothing is counted goes back"
