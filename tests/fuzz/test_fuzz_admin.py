"""A short run of the admin API's fuzzer; `python tests/fuzz/fuzz_admin.py --inputs 1000000` is the long one."""

import pytest

from tests.fuzz.fuzz_admin import fuzz


def report_of(inputs: int, request: pytest.FixtureRequest) -> str:
    return "\n".join(fuzz(inputs, int(request.config.option.hypothesis_seed) & 0x7FFFFFFF))


def test_mutated_requests_neither_crash_the_reader_nor_change_anything(request: pytest.FixtureRequest) -> None:
    report = report_of(20_000, request)
    assert all(f" {status} " in report for status in (200, 400, 401, 403, 405, 415, 421)), report


@pytest.mark.slow
def test_a_million_mutated_requests_neither_crash_the_reader_nor_change_anything(request: pytest.FixtureRequest) -> None:
    assert "1,000,000 inputs" in report_of(1_000_000, request)
