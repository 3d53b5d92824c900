"""Whatever a file says, check() answers with a configuration or with errors that have a place; it never raises."""

import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mosn_mp.config.load import Report, check
from mosn_mp.config.snapshot import decode, encode
from mosn_mp.config.summary import summary
from mosn_mp.plugin import NO_SOURCES

EXAMPLES = [
    json.loads(file.read_text())
    for file in (Path(__file__).with_name("mosn_annotated.json"), Path(__file__).resolve().parents[3] / "conf" / "demo.json")
]
STRAY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["*", "1s", "127.0.0.1:80", "Http1", "/", "("]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "type", "config", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def nodes(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*path, step)
        yield from nodes(inner, (*path, step))


PATHS = [(number, path) for number, example in enumerate(EXAMPLES) for path in nodes(example)]


def report_of(text: str, name: str) -> Report:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / name
        file.write_text(text, encoding="utf-8", errors="replace")
        return check(file)


def hold(report: Report) -> None:
    assert (report.config is None) == bool(report.errors)
    for problem in (*report.errors, *report.warnings):
        assert problem.line >= 1 and problem.column >= 1 and problem.problem
        assert "\n" not in str(problem)
    if report.config is not None:
        assert decode(encode(report.config, NO_SOURCES)).config() == report.config
        assert str(summary(report.config))


@settings(max_examples=300)
@given(st.sampled_from(PATHS), STRAY, st.booleans())
def test_any_value_in_any_place_gives_an_answer(where: tuple[int, tuple[str | int, ...]], value: object, is_yaml: bool) -> None:
    number, path = where
    config = copy.deepcopy(EXAMPLES[number])
    at = config
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    hold(report_of(yaml.safe_dump(config), "c.yaml") if is_yaml else report_of(json.dumps(config, indent=1), "c.json"))


@settings(max_examples=200)
@given(
    st.integers(0, 2**31),
    st.text(alphabet='{}[]",:\\ \n\t#&*!|>-ab1.', max_size=3),
    st.integers(0, 3),
    st.sampled_from(["c.json", "c.yaml"]),
)
def test_any_damage_to_a_file_gives_an_answer(at: int, inserted: str, dropped: int, name: str) -> None:
    text = json.dumps(EXAMPLES[1], indent=1)
    at %= len(text)
    hold(report_of(text[:at] + inserted + text[at + dropped :], name))
