"""docs/filters.md is true: its filters are loaded as a configuration loads them, and its tests pass."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mosn_mp.config import model
from mosn_mp.errors import ConfigError
from mosn_mp.filter.compile import compile_filters
from mosn_mp.filter.stream_filter import StreamFilter
from mosn_mp.filter.testing import SampleStream
from mosn_mp.plugin import BUILT_IN, Catalogue

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/filters.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for language, text in BLOCKS:
        if language == "python":
            name = re.match(r"# (\w+\.py)\n", text)
            assert name, "a Python block of the page does not begin with its file name"
            (tmp_path / name[1]).write_text(text)
    return tmp_path


def entries(directory: Path) -> list[model.StreamFilter]:
    found = []
    for language, text in BLOCKS:
        if language == "json":
            given = json.loads(text if text.startswith("{") else "{" + text + "}")
            for one in given.get("stream_filters", [given]):
                one["python_path"] = (str(directory),)
                found.append(model.StreamFilter(**one))
    return found


def test_the_configured_filters_of_the_page_load_and_work(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    stamp, needs = entries(directory)
    catalogue = Catalogue(BUILT_IN)
    chain, stream = compile_filters([stamp, needs], catalogue), SampleStream()
    assert chain.run("on_request", stream) == 1
    assert stream.request.get("x-stamp") == b"user=nobody"
    assert (stream.response.status, stream.response_body) == (429, b"send x-api-key")
    with pytest.raises(ConfigError, match=r"stream_filters\[0\]\.config.*header"):
        compile_filters([model.StreamFilter(type=needs.type, python_path=needs.python_path)], catalogue)


@pytest.mark.unsanitized
def test_the_tests_of_the_page_pass(directory: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", str(directory)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=directory, env={"PYTHONPATH": str(ROOT)})
    assert ran.returncode == 0 and "2 passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_page_names_every_phase_and_built_in() -> None:
    for phase in [name for name in vars(StreamFilter) if name.startswith("on_")]:
        assert f"`{phase}(" in PAGE
    for name in BUILT_IN["stream_filter"]:
        assert f"`{name}`" in PAGE


def test_a_class_that_is_no_filter_is_refused() -> None:
    with pytest.raises(ConfigError, match="StreamFilter"):
        compile_filters([model.StreamFilter(type="collections:OrderedDict")], Catalogue(BUILT_IN))
