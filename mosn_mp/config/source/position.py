"""Where each key and value of a JSON text stands: a second, slower reading that happens only when there is an error to place.

The text has been accepted by the json module before, so this scanner knows the grammar (RFC 8259) and checks only what that
module takes although no snapshot could carry it: some numbers, half characters.
"""

import json
import re

from mosn_mp.config.problems import Path
from mosn_mp.config.source.limits import problem_of_number

_SPACE = re.compile(r"[ \t\r\n]*")
STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SCALAR = re.compile(r"[^ \t\r\n,\]}]+")
_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonPositions:
    """Offsets into a JSON text: of values, of keys, of the keys that an object has twice, of what is refused, and why."""

    def __init__(self, text: str) -> None:
        self.values: dict[Path, int] = {}
        self.keys: dict[Path, int] = {}
        self.duplicates: list[tuple[Path, int]] = []
        self.refused: list[tuple[Path, int, str]] = []
        self._text = text
        self._scan_value((), self._skip_space(0))

    def _skip_space(self, at: int) -> int:
        return self._end(_SPACE, at)

    def _end(self, token: re.Pattern[str], at: int) -> int:
        found = token.match(self._text, at)
        return found.end() if found else at

    def _scan_value(self, path: Path, at: int) -> int:
        self.values[path] = at
        first = self._text[at]
        if first == "{":
            return self._scan_object(path, at + 1)
        if first == "[":
            return self._scan_array(path, at + 1)
        if first == '"':
            return self._scan_string(path, at)[0]
        end = self._end(_SCALAR, at)
        problem = "" if first in "tfn" else problem_of_number(self._text[at:end])
        if problem:
            self.refused.append((path, at, problem))
        return end

    def _scan_string(self, path: Path, at: int) -> tuple[int, str]:
        """Where it ends, and what it says."""
        end = self._end(STRING, at)
        said: str = json.loads(self._text[at:end])
        if _SURROGATE.search(said):
            self.refused.append((path, at, "half of a character: \\ud800 to \\udfff come in pairs"))
        return end, said

    def _scan_object(self, path: Path, at: int) -> int:
        at = self._skip_space(at)
        seen = set()
        while self._text[at] != "}":
            end, name = self._scan_string(path, at)
            key = (*path, name)
            if name in seen:
                self.duplicates.append((key, at))
            seen.add(name)
            self.keys[key] = at
            at = self._scan_value(key, self._skip_space(self._skip_space(end) + 1))
            at = self._skip_space(at)
            if self._text[at] == ",":
                at = self._skip_space(at + 1)
        return at + 1

    def _scan_array(self, path: Path, at: int) -> int:
        at = self._skip_space(at)
        index = 0
        while self._text[at] != "]":
            at = self._skip_space(self._scan_value((*path, index), at))
            index += 1
            if self._text[at] == ",":
                at = self._skip_space(at + 1)
        return at + 1
