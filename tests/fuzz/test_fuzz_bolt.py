"""A short run of the bolt fuzzer; `python tests/fuzz/fuzz_bolt.py --inputs 10000000` is the long one."""

import pytest

from tests.fuzz.fuzz_bolt import fuzz


def report_of(inputs: int, request: pytest.FixtureRequest) -> str:
    lines = fuzz(inputs, int(request.config.option.hypothesis_seed) & 0x7FFFFFFF)
    return "\n".join(lines)


def test_mutated_frames_are_read_the_same_however_they_arrive(request: pytest.FixtureRequest) -> None:
    report = report_of(100_000, request)
    assert "66,666 inputs" in report and "33,333 inputs" in report
    assert "BAD_REQUEST" in report and "UPSTREAM_PROTOCOL" in report and "NONE" in report


@pytest.mark.slow
def test_ten_million_mutated_frames_are_read_the_same(request: pytest.FixtureRequest) -> None:
    assert "6,666,666 inputs" in report_of(10_000_000, request)
