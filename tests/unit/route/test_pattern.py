"""Regular expressions of routes: the same answers as Python's re, in linear time, and refusals that say what to write instead."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosn_mp.route.pattern import Pattern

PATTERNS = [
    "",
    "^$",
    "^/api/v[0-9]+/users/[^/]+$",
    "a|b|",
    "(a+)+$",
    "(a|ab)(c|bcd)(d*)",
    "a.*b.*c",
    r"\.(png|jpe?g|gif)$",
    "(?i)HelLo",
    "(?i:x)Y",
    "x{2,3}y",
    "x{2,}?y",
    "^/a(/b)?$",
    r"\d\W\s?\D",
    "[^a-c/]+/c",
    "(^a|b$)",
    "a(?:b|c)*?d",
    "é",
]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=st.text(alphabet="abcdxyXY/.h1eElLo \ngpnj-é", max_size=16))
def test_a_pattern_is_found_where_python_finds_it(pattern: str, text: str) -> None:
    raw = text.encode()
    expected = re.compile(pattern.replace("$", r"\Z").encode()).search(raw) is not None
    assert Pattern(pattern).search(raw) == expected


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(a", "not a regular expression"),
        ("(?=a)", "look-ahead"),
        (r"(a)\1", "back references"),
        (r"\ba", "boundary"),
        ("a++", "possessive"),
        ("[[:alpha:]]", r"\[A-Za-z\]"),
        ("[é]", "ASCII"),
        ("(a|b)*a(a|b){12}", "states"),
        ("((((a{9}){9}){9}){9})", "smaller counts"),
        ("a" * 1025, "too long"),
        ("(" * 500 + ")" * 500, "nested|not a regular"),
    ],
)
def test_what_cannot_run_in_linear_time_is_refused_with_its_reason(pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Pattern(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "(.*a){8}$", "a.*a.*a.*a.*b"])
def test_a_pattern_that_explodes_when_backtracking_takes_one_pass(pattern: str) -> None:
    text = b"a" * 100_000 + b"!"
    compiled = Pattern(pattern)
    begun = time.process_time()
    assert compiled.search(text) is False
    assert time.process_time() - begun < 0.1  # backtracking would take longer than the universe exists


def test_a_dollar_is_the_end_of_the_text_and_not_a_place_before_a_newline() -> None:
    assert not Pattern("a$").search(b"a\n")
