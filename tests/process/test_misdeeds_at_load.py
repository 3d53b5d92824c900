"""Whatever users' code does while it is loaded becomes one problem with its line, and the process that asked goes on."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mosn_mp.config.load import check
from mosn_mp.config.problems import Problem
from mosn_mp.plugin.trial import Limits
from tests.process.misdeeds import MISDEEDS, PLACES, Misdeed, configured, text_of

LIMITS = Limits(cpu_s=5, wall_s=0.5, memory_bytes=64 << 20)

PATHS = {"filter": "stream_filters", "codec": "third_part_codec", "access-log": "access_logs"}


def found(directory: Path, place: str, code: str) -> tuple[Path, tuple[Problem, ...]]:
    """The user's file with *code* at *place*, and what check() says of a configuration that names it."""
    module = f"mine_{abs(hash((place, code)))}"
    file = directory / f"{module}.py"
    file.write_text(text_of(place, code))
    proxy = {"type": "proxy", "config": {"router_config_name": "r"}}
    config: dict[str, Any] = {"servers": [{
        "listeners": [{"name": "front", "address": "127.0.0.1:2045", "filter_chains": [{"filters": [proxy]}]}],
        "routers": [{"router_config_name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routers": []}]}],
    }]}  # fmt: skip
    configured(config, place, module, directory)
    path = directory / "config.json"
    path.write_text(json.dumps(config))
    errors = check(path, limits=LIMITS).errors
    assert module not in sys.modules
    return file, errors


def is_contained(directory: Path, place: str, misdeed: Misdeed) -> None:
    """Check what is said of *misdeed*, and that it was said in time."""
    begun = time.monotonic()
    file, errors = found(directory, place, misdeed.code)
    assert time.monotonic() - begun < 8
    assert len(errors) == 1, [*map(str, errors)]
    (error,) = errors
    problem = misdeed.problem
    if place == "filter Config" and problem not in error.text:  # which judges what it is given by ValueError and TypeError
        problem = problem.partition(": ")[2]
    assert problem in error.text, error.text
    assert PATHS[place.partition(" ")[0]] in error.path, error.path
    assert "\n" not in str(error)
    if misdeed.has_line:
        number = next(n for n, line in enumerate(file.read_text().splitlines(), 1) if line.endswith("# here"))
        assert f"{file}:{number}" in error.text, error.text


PAIRS = [(place, name) for place in PLACES for name in MISDEEDS]
FEW = {(place, name) for i, name in enumerate(MISDEEDS) for place in [[*PLACES][i % len(PLACES)]]}


def children() -> set[str]:
    """The processes that this one is the parent of."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    """Nothing that was forked goes on."""
    before = children()
    yield
    assert children() <= before


@pytest.mark.parametrize(
    ("place", "name"),
    [pytest.param(*pair, marks=() if pair in FEW else pytest.mark.slow, id=f"{pair[1]} in {pair[0]}") for pair in PAIRS],
)
def test_a_misdeed_at_load_is_one_problem_with_its_line(tmp_path: Path, place: str, name: str) -> None:
    is_contained(tmp_path, place, MISDEEDS[name])


@pytest.mark.parametrize("place", PLACES)
def test_what_does_no_harm_passes(tmp_path: Path, place: str) -> None:
    harmless = "import subprocess, tempfile\nsubprocess.run(['true'], check=True)\ntempfile.TemporaryFile().close()"
    module = f"mine_{abs(hash((place, harmless)))}"
    try:
        with pytest.raises(AssertionError):  # it is imported
            found(tmp_path, place, harmless)
    finally:
        assert sys.modules.pop(module, None) is not None
