import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosn_mp.config.load import Report, check
from mosn_mp.config.problems import ConfigErrors
from mosn_mp.config.source.position import JsonPositions
from mosn_mp.config.source.read import read_source

Check = Callable[..., Report]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def lines(report: Report) -> list[str]:
    return [str(error).partition("/c.")[2] for error in report.errors]


def test_a_syntax_error_in_json_has_its_place(report_of: Check) -> None:
    assert lines(report_of('{\n  "servers": [],\n  "pid" "x"\n}')) == ["json:3:9: not valid JSON: expecting ':' delimiter"]


def test_an_unknown_key_has_the_place_of_the_key(report_of: Check) -> None:
    text = '{"servers": [{"listeners": [\n    {"adress": "127.0.0.1:80", "filter_chains": []}]}]}'
    assert "json:2:6: servers[0].listeners[0].adress: unknown key; did you mean 'address'?" in lines(report_of(text))


def test_a_wrong_value_has_the_place_of_the_value(report_of: Check) -> None:
    text = '{"servers": [{"é": 1,\n\t"graceful_timeout" :  30}]}'
    assert lines(report_of(text)) == [
        "json:1:15: servers[0].é: unknown key; there are arena_size, default_log_level, default_log_path, goaway_timeout, "
        "graceful_timeout, group, listeners, max_connections, mosn_server_name, processor, read_only_paths, "
        "read_write_paths, rebalance_interval, routers, unfinished_size, user, worker_memory_limit, worker_stall_timeout",
        "json:2:24: servers[0].graceful_timeout: 30 is not a duration; write its unit, as in '30s'",
    ]


def test_a_missing_key_has_the_place_of_its_object(report_of: Check) -> None:
    assert lines(report_of("\n {}")) == ["json:2:2: 'servers' is missing"]


def test_errors_are_sorted_by_place(report_of: Check) -> None:
    report = report_of('{"zz": 1,\n"servers": [{"aa": 1}],\n"bb": 1}')
    assert [(e.line, e.path) for e in report.errors] == [(1, "zz"), (2, "servers[0].aa"), (3, "bb")]


def test_every_key_given_twice_is_reported(report_of: Check) -> None:
    text = '{"servers": [{"processor": 1,\n "processor": 2}], "pid": "a",\n "pid": "a"}'
    assert lines(report_of(text)) == [
        "json:2:2: servers[0].processor: this key is given twice in one object",
        "json:3:2: pid: this key is given twice in one object",
    ]


def test_a_number_that_json_does_not_have_is_refused_where_it_stands(report_of: Check) -> None:
    text = '{"pid": "NaN",\n "servers": [-Infinity, NaN]}'
    assert lines(report_of(text)) == [
        "json:2:14: servers[0]: this is not a number in JSON",
        "json:2:25: servers[1]: this is not a number in JSON",
    ]


def test_a_file_of_another_kind_of_value_is_refused(report_of: Check) -> None:
    assert lines(report_of("[]")) == ["json:1:1: expected an object, got a list"]
    assert lines(report_of("", "c.yaml")) == ["yaml:1:1: expected an object, got null"]


def test_nesting_without_end_is_an_error_not_a_crash(report_of: Check) -> None:
    assert lines(report_of("[" * 100_000)) == ["json:1:65: nested more than 64 levels deep"]


def test_a_file_that_is_not_there_is_an_error_of_the_file(tmp_path: Path) -> None:
    report = check(tmp_path / "no.json")
    assert [str(e) for e in report.errors] == [f"{tmp_path}/no.json: cannot be read: no such file or directory"]


def test_a_file_that_is_not_utf8_says_where(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(b'{\n "pid": "\xff"}')
    assert lines(check(tmp_path / "c.json")) == ["json:2:10: not UTF-8 text"]


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(b'\xef\xbb\xbf{"pid": 1}')
    assert lines(check(tmp_path / "c.json")) == ["json:1:1: 'servers' is missing", "json:1:9: pid: expected a text, got 1"]


@given(VALUES, st.sampled_from([None, 1, "\t\r\n "]))
def test_every_value_is_found_where_it_stands(value: object, indent: int | str | None) -> None:
    text = json.dumps(value, indent=indent)
    decoder = json.JSONDecoder()
    for path, at in JsonPositions(text).values.items():
        expected = value
        for step in path:
            expected = expected[step]  # type: ignore[index]
        assert decoder.raw_decode(text, at)[0] == expected


def test_yaml_is_read_by_its_extension_with_the_same_places(report_of: Check) -> None:
    text = "servers:\n  - graceful_timeout: 30\n    listeners:\n      - adress: 127.0.0.1:80\n        filter_chains: []\n"
    assert lines(report_of(text, "c.yaml")) == [
        "yaml:2:23: servers[0].graceful_timeout: 30 is not a duration; write its unit, as in '30s'",
        "yaml:4:9: servers[0].listeners[0].adress: unknown key; did you mean 'address'?",
        "yaml:5:24: servers[0].listeners[0].filter_chains: must not be empty",
    ]


def test_a_key_given_twice_in_yaml_is_an_error(report_of: Check) -> None:
    assert lines(report_of("pid: a\nservers:\n - processor: 1\n   processor: 2\npid: b\n", "c.yml")) == [
        "yml:4:4: servers[0].processor: this key is given twice in one object",
        "yml:5:1: pid: this key is given twice in one object",
    ]


def test_a_syntax_error_in_yaml_has_its_place(report_of: Check) -> None:
    (line,) = lines(report_of("servers:\n  - a: [1\nb: 2\n", "c.yaml"))
    assert line.startswith("yaml:3:2: not valid YAML: did not find expected ',' or ']'")


def test_yaml_tags_beyond_json_are_text_and_no_code(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("a: 2024-01-01\nb: !!python/object/apply:os.system [ls]\nc: yes\nd: 0x10\ne: ~\n")
    assert read_source(str(tmp_path / "c.yaml")).value == {"a": "2024-01-01", "b": ["ls"], "c": True, "d": 16, "e": None}


def test_yaml_anchors_and_merge_keys_are_served(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\ne: *x\n")
    assert read_source(str(tmp_path / "c.yaml")).value == {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}, "e": {"b": 1, "c": 2}}


def test_a_yaml_anchor_inside_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("a: &x [1, *x]\n")
    with pytest.raises(ConfigErrors, match="inside its own anchor"):
        read_source(str(tmp_path / "c.yaml"))


@pytest.mark.parametrize("name", ["c.json", "c.yaml"])
def test_64_levels_may_be_nested_and_no_more(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    for opening, closing in (("[", "]"), ('{"a": ', "}")):
        file.write_text(opening * 64 + "1" + closing * 64)
        value = read_source(str(file)).value
        for _ in range(64):
            (value,) = value.values() if isinstance(value, dict) else value  # type: ignore[misc]
        assert value == 1
        file.write_text(opening * 65 + "1" + closing * 65)
        with pytest.raises(ConfigErrors, match=f":1:{64 * len(opening) + 1}: nested more than 64 levels deep"):
            read_source(str(file))


def test_brackets_in_texts_and_behind_escapes_are_no_levels(report_of: Check) -> None:
    text = '{"pid": "' + r"[\"{\\" * 100 + '", "servers": ' + "\n[" * 64 + "]" * 64 + "}"
    assert lines(report_of(text)) == ["json:65:1: nested more than 64 levels deep"]


def test_an_alias_makes_what_is_around_it_deeper(report_of: Check) -> None:
    text = "a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 40 + "*a" + "]" * 40 + "\n"
    (line,) = lines(report_of(text, "c.yaml"))
    assert line.endswith("nested more than 64 levels deep")


def test_aliases_may_repeat_50000_values(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    some = "a: &a [" + "x," * 999 + "]\n"  # 1000 values
    file.write_text(some + "b: [" + "*a," * 50 + "]\n")
    value = read_source(str(file)).value
    assert isinstance(value, dict) and sum(map(len, value["b"])) == 50 * 999
    file.write_text(some + "b: [" + "*a," * 51 + "]\n")
    with pytest.raises(ConfigErrors, match="its aliases repeat more than 50,000 values"):
        read_source(str(file))


@pytest.mark.parametrize("name", ["c.json", "c.yaml"])
@pytest.mark.parametrize("number", [-(1 << 63), (1 << 64) - 1, 0, -0.0, 1.5e300])
def test_every_number_that_a_snapshot_can_carry_is_read(tmp_path: Path, name: str, number: float) -> None:
    (tmp_path / name).write_text(json.dumps({"a": number}))
    assert read_source(str(tmp_path / name)).value == {"a": number}


def test_characters_beyond_the_basic_plane_are_read(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"\\ud83d\\ude00": "\\uD83D\\uDE00"}')
    assert read_source(str(tmp_path / "c.json")).value == {"\U0001f600": "\U0001f600"}


def test_a_file_without_end_is_read_only_so_far() -> None:
    with pytest.raises(ConfigErrors, match="/dev/zero: larger than 64 MB"):
        read_source("/dev/zero")
