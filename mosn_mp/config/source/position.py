"""Where each key and value of a JSON text stands: a second, slower reading that happens only when there is an error to place.

The text has been accepted by the json module before, so this scanner knows the grammar (RFC 8259) and checks nothing.
"""

import json
import re

from mosn_mp.config.problems import Path

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SCALAR = re.compile(r"[^ \t\r\n,\]}]+")
_NOT_JSON = ("NaN", "Infinity", "-Infinity")  # Python's json takes them, RFC 8259 does not


class JsonPositions:
    """Offsets into a JSON text: of values, of keys, of the keys that an object has twice, of numbers that JSON does not have."""

    def __init__(self, text: str) -> None:
        self.values: dict[Path, int] = {}
        self.keys: dict[Path, int] = {}
        self.duplicates: list[tuple[Path, int]] = []
        self.not_json: list[tuple[Path, int]] = []
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
            return self._end(_STRING, at)
        end = self._end(_SCALAR, at)
        if self._text[at:end] in _NOT_JSON:
            self.not_json.append((path, at))
        return end

    def _scan_object(self, path: Path, at: int) -> int:
        at = self._skip_space(at)
        seen = set()
        while self._text[at] != "}":
            end = self._end(_STRING, at)
            name = json.loads(self._text[at:end])
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
