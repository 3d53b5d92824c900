"""Short runs of the codecs' fuzzers; `python tests/fuzz/fuzz_bolt.py --inputs 10000000` (or fuzz_http1.py) is the long one."""

from collections.abc import Callable

import pytest

from tests.fuzz import fuzz_bolt, fuzz_http1

CODECS = pytest.mark.parametrize("fuzz", [fuzz_bolt.fuzz, fuzz_http1.fuzz], ids=["bolt", "http1"])


def report_of(fuzz: Callable[[int, int], list[str]], inputs: int, request: pytest.FixtureRequest) -> str:
    return "\n".join(fuzz(inputs, int(request.config.option.hypothesis_seed) & 0x7FFFFFFF))


@CODECS
def test_mutated_messages_are_read_the_same_however_they_arrive(
    fuzz: Callable[[int, int], list[str]], request: pytest.FixtureRequest
) -> None:
    report = report_of(fuzz, 100_000, request)
    assert "66,666 inputs" in report and "33,333 inputs" in report
    assert "BAD_REQUEST" in report and "UPSTREAM_PROTOCOL" in report and "NONE" in report


@CODECS
@pytest.mark.slow
def test_ten_million_mutated_messages_are_read_the_same(
    fuzz: Callable[[int, int], list[str]], request: pytest.FixtureRequest
) -> None:
    assert "6,666,666 inputs" in report_of(fuzz, 10_000_000, request)
