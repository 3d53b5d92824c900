"""Short runs of the fuzzers of the borders between processes; `python tests/fuzz/fuzz_master.py --inputs 1000000` is a long one.

Each runs in a process of its own: a reader that crashes takes nothing else with it, and no descriptor of another test counts.
"""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
BORDERS = pytest.mark.parametrize("border", ["master", "commands", "worker"])


def report_of(border: str, inputs: int, request: pytest.FixtureRequest) -> str:
    seed = int(request.config.option.hypothesis_seed) & 0x7FFFFFFF
    command = [
        sys.executable,
        "-X",
        "faulthandler",
        str(HERE / f"fuzz_{border}.py"),
        "--inputs",
        str(inputs),
        "--seed",
        str(seed),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-10_000:]
    return done.stdout


@BORDERS
def test_no_frame_or_memfd_crashes_its_reader_or_costs_a_descriptor(border: str, request: pytest.FixtureRequest) -> None:
    assert "2,000 inputs" in report_of(border, 2_000, request)


@BORDERS
@pytest.mark.slow
def test_a_million_frames_and_memfds_neither_crash_their_readers_nor_cost_a_descriptor(
    border: str, request: pytest.FixtureRequest
) -> None:
    assert "1,000,000 inputs" in report_of(border, 1_000_000, request)
