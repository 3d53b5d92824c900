"""The heap gives back what a burst left free in it, and only that."""

import functools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mosn_mp.buffer.heap import Heap

MIB = 1 << 20
LOOKS = 10  # in a period
ROOT = Path(__file__).resolve().parents[3]


def in_a_fresh_process(test: Callable[[], None]) -> Callable[[], None]:
    """Run *test* where no other one has left anything on the heap."""

    @functools.wraps(test)
    def run() -> None:
        command = [sys.executable, __file__, test.__name__]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return run


def resident() -> int:
    """Bytes of this process in memory."""
    found = re.search(r"^RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    assert found
    return int(found[1]) * 1024


def burst() -> list[bytes]:
    """32 MiB in pieces, of which every hundredth stays: none of it can be given back by moving the end of the heap."""
    pieces = [bytes(8192) for _ in range(4096)]
    return pieces[::100]


@pytest.mark.unsanitized
@in_a_fresh_process
def test_what_a_burst_left_goes_back_after_a_period_in_which_nobody_wanted_it() -> None:
    heap = Heap()
    left = burst()
    before = resident()
    for _ in range(2 * LOOKS):  # the burst lies in the first period
        heap.look()
    assert before - resident() > 20 * MIB
    assert len(left) == 41


@pytest.mark.unsanitized
@in_a_fresh_process
def test_what_was_wanted_at_any_look_of_a_period_stays_for_that_long() -> None:
    heap = Heap()
    left = burst()
    wanted = [bytes(8192) for _ in range(4000)]  # lies where the burst was
    heap.look()
    del wanted
    before = resident()
    for _ in range(LOOKS - 1):
        heap.look()
    assert before - resident() < 4 * MIB
    for _ in range(LOOKS):
        heap.look()
    assert before - resident() > 20 * MIB
    assert len(left) == 41


if __name__ == "__main__":
    globals()[sys.argv[1]].__wrapped__()
