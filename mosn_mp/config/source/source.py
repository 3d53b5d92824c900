"""A configuration file as plain values (dict, list, str, int, float, bool, None), able to say where each of them stands.

JSON as RFC 8259 has it; YAML by the extension `.yaml` or `.yml`, in its safe subset and reduced to what JSON can say. A key given
twice in one object is an error in both: the silent last-one-wins of most readers has cost too many evenings.
"""

import json
import re
from bisect import bisect_right
from pathlib import Path as File
from typing import Any

import yaml

from mosn_mp.config.problems import ConfigErrors, Finding, Path, Place, Problem, path_text
from mosn_mp.config.source.position import JsonPositions

_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TWICE = "this key is given twice in one object"
_JSON_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")}


class Source:
    """One file that has been read: `value` is what it says."""

    def __init__(self, file: str, value: object) -> None:
        self.file = file
        self.value = value

    def place(self, path: Path, at_key: bool) -> Place:
        """Where the value (or key) at *path* stands, or the nearest thing around it that the file has."""
        raise NotImplementedError

    def problem(self, finding: Finding) -> Problem:
        """*finding*, placed in this file."""
        line, column = self.place(finding.path, finding.at_key)
        return Problem(
            file=self.file,
            line=line,
            column=column,
            path=path_text(finding.path),
            value=finding.value,
            problem=finding.problem,
            suggestion=finding.suggestion,
        )


class _JsonSource(Source):
    def __init__(self, file: str, text: str) -> None:
        self._text = text
        self._positions: JsonPositions | None = None
        self._line_starts: list[int] = []
        self._is_refused = False
        try:
            value = json.loads(text, object_pairs_hook=self._make_object, parse_constant=self._refuse_constant)
        except json.JSONDecodeError as e:
            raise _syntax_error(file, Place(e.lineno, e.colno), f"not valid JSON: {_first_lower(e.msg)}") from e
        except RecursionError as e:
            raise _syntax_error(file, Place(0, 0), "nested too deeply") from e
        super().__init__(file, value)
        if self._is_refused:
            positions = self._scan()
            found = [(at, path, _TWICE) for path, at in positions.duplicates]
            found += [(at, path, "this is not a number in JSON") for path, at in positions.not_json]
            raise ConfigErrors(tuple(_problem(file, path, self._place_of(at), text_) for at, path, text_ in sorted(found)))

    def _make_object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        self._is_refused |= len(made) < len(pairs)
        return made

    def _refuse_constant(self, name: str) -> None:
        self._is_refused = True

    def _scan(self) -> JsonPositions:
        if self._positions is None:
            self._positions = JsonPositions(self._text)
            self._line_starts = [0, *(newline.end() for newline in re.finditer("\n", self._text))]
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


class _YamlSource(Source):
    def __init__(self, file: str, text: str) -> None:
        self._values: dict[Path, Place] = {}
        self._keys: dict[Path, Place] = {}
        self._problems: list[Problem] = []
        self._open: set[int] = set()  # nodes that are being read, to notice an anchor inside itself
        try:
            self._loader = _SafeLoader(text)
            root = self._loader.get_single_node()
        except yaml.MarkedYAMLError as e:
            mark = e.problem_mark or e.context_mark
            place = Place(mark.line + 1, mark.column + 1) if mark else Place(0, 0)
            raise _syntax_error(file, place, f"not valid YAML: {e.problem or e.context}") from e
        except yaml.YAMLError as e:
            raise _syntax_error(file, Place(0, 0), f"not valid YAML: {e}") from e
        except RecursionError as e:
            raise _syntax_error(file, Place(0, 0), "nested too deeply") from e
        super().__init__(file, None)
        self.value = self._read(root, ()) if root is not None else None
        if self._problems:
            raise ConfigErrors(tuple(sorted(self._problems, key=lambda problem: (problem.line, problem.column))))

    def _read(self, node: yaml.Node, path: Path) -> object:
        self._values[path] = _place_of_node(node)
        if id(node) in self._open:
            self._refuse(path, _place_of_node(node), "this alias stands inside its own anchor")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._read_mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self._read(item, (*path, index)) for index, item in enumerate(node.value)]
        finally:
            self._open.discard(id(node))
        if node.tag not in _JSON_TAGS:
            return str(node.value)
        try:
            return self._loader.construct_object(node)
        except (ValueError, yaml.YAMLError) as e:
            self._refuse(path, _place_of_node(node), f"not valid YAML: {e}")
            return None

    def _read_mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and str(key.value) in seen:
                self._refuse((*path, str(key.value)), _place_of_node(key), _TWICE)
            seen.add(str(key.value))
        self._loader.flatten_mapping(node)  # merge keys (<<), first in the list, so that the mapping's own keys win
        made: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(path, _place_of_node(key), "a key must be a text")
                continue
            name = str(key.value)
            self._keys[(*path, name)] = _place_of_node(key)
            made[name] = self._read(value, (*path, name))
        return made

    def _refuse(self, path: Path, place: Place, problem: str) -> None:
        self._problems.append(_problem(self.file, path, place, problem))

    def place(self, path: Path, at_key: bool) -> Place:
        if at_key and path in self._keys:
            return self._keys[path]
        while path and path not in self._values:
            path = path[:-1]
        return self._values.get(path, Place(1, 1))


def _first_lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _place_of_node(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _problem(file: str, path: Path, place: Place, problem: str) -> Problem:
    return Problem(file=file, line=place.line, column=place.column, path=path_text(path), value="", problem=problem)


def _syntax_error(file: str, place: Place, problem: str) -> ConfigErrors:
    return ConfigErrors((_problem(file, (), place, problem),))


def read_source(file: str) -> Source:
    """The values of *file*; ConfigErrors if it cannot be read, is not valid JSON or YAML, or has a key twice."""
    try:
        raw = File(file).read_bytes()
    except OSError as e:
        raise _syntax_error(file, Place(0, 0), f"cannot be read: {_first_lower(e.strerror or str(e))}") from e
    try:
        text = raw.decode("utf-8-sig")  # editors on Windows leave a byte order mark
    except UnicodeDecodeError as e:
        before = raw[: e.start].decode("utf-8", "replace")
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise _syntax_error(file, place, "not UTF-8 text") from e
    if is_yaml(file):
        return _YamlSource(file, text)
    return _JsonSource(file, text)


def read_json(name: str, text: str) -> Source:
    """The values of the JSON *text*, which errors call *name*; ConfigErrors as read_source()."""
    return _JsonSource(name, text)


def is_yaml(file: str) -> bool:
    """Whether *file* is read as YAML."""
    return File(file).suffix.lower() in (".yaml", ".yml")
