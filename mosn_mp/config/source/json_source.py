"""JSON as RFC 8259 has it, within the limits of limits.py.

A key given twice in one object is an error: the silent last-one-wins of most readers has cost too many evenings.
"""

import json
import re
from bisect import bisect_right
from typing import Any

from mosn_mp.config.problems import ConfigErrors, Path, Place
from mosn_mp.config.source.limits import MAX_DEPTH, TOO_DEEP, problem_of_number
from mosn_mp.config.source.position import STRING, JsonPositions
from mosn_mp.config.source.source import TWICE, Source, first_lower, problem_at, syntax_error

MAX_SHOWN = 100  # keys given twice, numbers that are none
_BRACKET = re.compile(rf"{STRING.pattern}|[\[\]{{}}]")
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")  # a surrogate: half of a character beyond U+FFFF, or nothing


class JsonSource(Source):
    """The values of the JSON *text*; ConfigErrors if it is none."""

    def __init__(self, file: str, text: str) -> None:
        self._text = text
        self._positions: JsonPositions | None = None
        self._line_starts = [0, *(newline.end() for newline in re.finditer("\n", text))]
        self._is_refused = bool(_HALF_CHARACTER.search(text))
        try:
            value = json.loads(
                text,
                object_pairs_hook=self._make_object,
                parse_constant=self._make_number,
                parse_int=self._make_number,
                parse_float=self._make_number,
            )
        except json.JSONDecodeError as e:
            raise syntax_error(file, Place(e.lineno, e.colno), f"not valid JSON: {first_lower(e.msg)}") from e
        except RecursionError as e:
            raise syntax_error(file, self._place_of(_too_deep_at(text)), TOO_DEEP) from e
        if is_deeper(value, MAX_DEPTH):
            raise syntax_error(file, self._place_of(_too_deep_at(text)), TOO_DEEP)
        super().__init__(file, value)
        if self._is_refused:
            positions = self._scan()
            found = [(at, path, TWICE) for path, at in positions.duplicates]
            found += [(at, path, problem) for path, at, problem in positions.refused]
            if found:
                shown = sorted(found)[:MAX_SHOWN]
                raise ConfigErrors(tuple(problem_at(file, path, self._place_of(at), text_) for at, path, text_ in shown))

    def _make_object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        self._is_refused |= len(made) < len(pairs)
        return made

    def _make_number(self, text: str) -> int | float | None:
        if problem_of_number(text):
            self._is_refused = True
            return None
        return int(text) if text.lstrip("-").isdigit() else float(text)

    def _scan(self) -> JsonPositions:
        if self._positions is None:
            self._positions = JsonPositions(self._text)
        return self._positions

    def _place_of(self, offset: int) -> Place:
        line = bisect_right(self._line_starts, offset)
        return Place(line, offset - self._line_starts[line - 1] + 1)

    def place(self, path: Path, at_key: bool) -> Place:
        positions = self._scan()
        if at_key and path in positions.keys:
            return self._place_of(positions.keys[path])
        while path and path not in positions.values:
            path = path[:-1]
        return self._place_of(positions.values[path])


def is_deeper(value: object, levels: int) -> bool:
    """Whether *value* has more than *levels* lists and objects around one another."""
    if not isinstance(value, dict | list):
        return False
    return levels == 0 or any(is_deeper(inner, levels - 1) for inner in (value.values() if isinstance(value, dict) else value))


def _too_deep_at(text: str) -> int:
    """The offset of the first bracket that is too deep in *text*."""
    depth = 0
    for token in _BRACKET.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return token.start()
        elif token[0] in "]}":
            depth -= 1
    return 0
