"""YAML in its safe subset, reduced to what JSON can say, within the limits of limits.py.

The nodes are measured before they are read: an alias is a node once more, so what they say together may be without end.
"""

from typing import Any

import yaml

from mosn_mp.config.problems import ConfigErrors, Path, Place, Problem
from mosn_mp.config.source.limits import (
    LONGEST_NUMBER,
    MAX_DEPTH,
    MAX_REPEATED,
    NOT_JSON,
    TOO_DEEP,
    TOO_LARGE,
    problem_of_value,
)
from mosn_mp.config.source.source import TWICE, Source, problem_at, syntax_error

MAX_SHOWN = 100  # keys given twice, numbers that are none
_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"
_JSON_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")}


class YamlSource(Source):
    """The values of the YAML *text*; ConfigErrors if it is none."""

    def __init__(self, file: str, text: str) -> None:
        self._values: dict[Path, Place] = {}
        self._keys: dict[Path, Place] = {}
        self._problems: list[Problem] = []
        try:
            self._loader = _SafeLoader(text)
            root = self._loader.get_single_node()
        except yaml.MarkedYAMLError as e:
            mark = e.problem_mark or e.context_mark
            place = Place(mark.line + 1, mark.column + 1) if mark else Place(0, 0)
            raise syntax_error(file, place, f"not valid YAML: {e.problem or e.context}") from e
        except yaml.YAMLError as e:
            raise syntax_error(file, Place(0, 0), f"not valid YAML: {e}") from e
        except RecursionError as e:
            raise syntax_error(file, Place(0, 0), TOO_DEEP) from e
        super().__init__(file, None)
        if root is not None:
            _Measure(file).check(root)
            self.value = self._read(root, ())
        if self._problems:
            shown = sorted(self._problems, key=lambda problem: (problem.line, problem.column))[:MAX_SHOWN]
            raise ConfigErrors(tuple(shown))

    def _read(self, node: yaml.Node, path: Path) -> object:
        self._values[path] = _place_of(node)
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._read_scalar(node, path) if node.tag in _JSON_TAGS else str(node.value)

    def _read_scalar(self, node: yaml.Node, path: Path) -> object:
        """The number, boolean or null that *node* says."""
        if len(node.value) > LONGEST_NUMBER:
            self._refuse(path, node, TOO_LARGE)
            return None
        try:
            value = self._loader.construct_object(node)
        except (ValueError, yaml.YAMLError) as e:
            self._refuse(path, node, f"not valid YAML: {e}")
            return None
        problem = NOT_JSON if node.value.lower().lstrip("+-") in (".inf", ".nan") else problem_of_value(value)
        if problem:
            self._refuse(path, node, problem)
            return None
        return value

    def _read_mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(path, key, "a key must be a text")
                return {}
            if key.tag != _MERGE and str(key.value) in seen:
                self._refuse((*path, str(key.value)), key, TWICE)
            seen.add(str(key.value))
        try:
            self._loader.flatten_mapping(node)  # merge keys (<<), first in the list, so that the mapping's own keys win
        except yaml.MarkedYAMLError as e:
            self._refuse(path, node, f"not valid YAML: {e.problem}")
        made: dict[str, object] = {}
        for key, value in node.value:
            name = str(key.value)
            self._keys[(*path, name)] = _place_of(key)
            made[name] = self._read(value, (*path, name))
        return made

    def _refuse(self, path: Path, node: yaml.Node, problem: str) -> None:
        self._problems.append(problem_at(self.file, path, _place_of(node), problem))

    def place(self, path: Path, at_key: bool) -> Place:
        if at_key and path in self._keys:
            return self._keys[path]
        while path and path not in self._values:
            path = path[:-1]
        return self._values.get(path, Place(1, 1))


class _Measure:
    """How many values the nodes of *file* mean, and how deep they are nested: each node is looked at once."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._known: dict[int, tuple[int, int] | None] = {}  # node -> values and levels in it; None: it is being measured

    def check(self, root: yaml.Node) -> None:
        """Raise ConfigErrors if they are too many, too deep, or without end."""
        count, _ = self._measure(root, 0)
        if count - len(self._known) > MAX_REPEATED:
            raise syntax_error(self._file, Place(0, 0), f"its aliases repeat more than {MAX_REPEATED:,} values")

    def _measure(self, node: yaml.Node, depth: int) -> tuple[int, int]:
        if id(node) in self._known:
            found = self._known[id(node)]
            if found is None:
                raise self._error(node, "this alias stands inside its own anchor")
        else:
            self._known[id(node)] = None
            found = self._known[id(node)] = self._measure_fresh(node, depth)
        if depth + found[1] > MAX_DEPTH:
            raise self._error(node, TOO_DEEP)
        return found

    def _measure_fresh(self, node: yaml.Node, depth: int) -> tuple[int, int]:
        if isinstance(node, yaml.ScalarNode):
            return 1, 0
        if depth >= MAX_DEPTH:
            raise self._error(node, TOO_DEEP)
        children: list[Any] = node.value
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in node.value for child in pair]
        inner = [self._measure(child, depth + 1) for child in children]
        return 1 + sum(count for count, _ in inner), 1 + max((levels for _, levels in inner), default=0)

    def _error(self, node: yaml.Node, problem: str) -> ConfigErrors:
        return syntax_error(self._file, _place_of(node), problem)


def _place_of(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)
