"""Regular expressions of routes as deterministic automata: built when the configuration is compiled, run in one pass.

MOSN uses Go's regexp, whose time is linear in the text (RE2). Python's `re` backtracks: `(a+)+$` in a route would let one client
stop a worker. So a pattern is parsed by Python's own parser and then turned into tables by the two classical steps, Thompson's
construction and the subset construction. Only "is it found anywhere" is asked, so greediness and groups do not matter.

    tables:  classes[byte] -> class        bytes that no part of the pattern tells apart share a class
             moves[state * class_count + class] -> state
             ends[state] = 1: the text may end here

State DEAD: no continuation can match. State FOUND: matched, whatever follows. What backtracking needs (back references,
look-around, possessive and atomic groups) is refused as Go refuses it, and so are word boundaries and patterns that need more
than MAX_STATES.
"""

import re
import warnings
from array import array
from collections.abc import Iterable, Sequence
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

DEAD, FOUND = 0, 1
MAX_STATES = 1000  # 2 bytes a state and class; building this many takes ~1 s, usual patterns need 5 to 50
MAX_NODES = 4000  # what a{1000} and nested counts unfold to
MAX_LENGTH = 1024  # of the pattern's text

_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_DIGIT = frozenset(b"0123456789")
_SPACE = frozenset(b" \t\n\r\f\v")
_ALL = frozenset(range(256))
_CATEGORIES = {
    op.CATEGORY_DIGIT: _DIGIT,
    op.CATEGORY_NOT_DIGIT: _ALL - _DIGIT,
    op.CATEGORY_SPACE: _SPACE,
    op.CATEGORY_NOT_SPACE: _ALL - _SPACE,
    op.CATEGORY_WORD: _WORD,
    op.CATEGORY_NOT_WORD: _ALL - _WORD,
}
_BEGINNINGS = (op.AT_BEGINNING, op.AT_BEGINNING_STRING)
_ENDS = (op.AT_END, op.AT_END_STRING)
_REFUSED = {
    op.GROUPREF: "back references",
    op.GROUPREF_EXISTS: "conditional groups",
    op.ASSERT: "look-ahead and look-behind",
    op.ASSERT_NOT: "look-ahead and look-behind",
}


class Tables(NamedTuple):
    """An automaton; see the module docstring."""

    classes: bytes
    class_count: int
    moves: bytes  # of native uint16
    ends: bytes
    start: int


class _Node:
    """A node of Thompson's automaton: takes one byte of *bytes_* to *next*, or goes on to all of *next* without taking one."""

    __slots__ = ("bytes_", "next", "needs")

    def __init__(self, bytes_: frozenset[int] | None, next_: "list[_Node]", needs: str = "") -> None:
        self.bytes_ = bytes_
        self.next = next_
        self.needs = needs  # "begin" or "end": passable only there


class _Thompson:
    """Builds nodes from the parse tree, back to front."""

    def __init__(self) -> None:
        self.count = 0
        self.match = self.node(None, [])

    def node(self, bytes_: frozenset[int] | None, next_: list[_Node], needs: str = "") -> _Node:
        self.count += 1
        if self.count > MAX_NODES:
            raise ValueError(f"repeats unfold to more than {MAX_NODES} steps; use smaller counts")
        return _Node(bytes_, next_, needs)

    def sequence(self, items: Iterable[tuple[Any, Any]], after: _Node, flags: int) -> _Node:
        """The node where *items*, followed by *after*, begin."""
        for kind, argument in reversed(list(items)):
            after = self.item(kind, argument, after, flags)
        return after

    def item(self, kind: Any, argument: Any, after: _Node, flags: int) -> _Node:
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            least, most, body = argument
            return self.repeat(least, most, body, after, flags)
        if kind is op.SUBPATTERN:
            _group, added, removed, body = argument
            return self.sequence(body, after, (flags | added) & ~removed)
        if kind is op.BRANCH:
            return self.node(None, [self.sequence(branch, after, flags) for branch in argument[1]])
        if kind is op.AT and argument in _BEGINNINGS:
            return self.node(None, [after], "begin")
        if kind is op.AT and argument in _ENDS:
            return self.node(None, [after], "end")
        if kind in (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN):
            return self.node(_byte_set(kind, argument, flags), [after])
        raise ValueError(f"{_REFUSED.get(kind, str(kind if kind is not op.AT else argument).lower())} cannot be used in a route")

    def repeat(self, least: int, most: Any, body: Sequence[tuple[Any, Any]], after: _Node, flags: int) -> _Node:
        if most is op.MAXREPEAT:
            loop = self.node(None, [after])
            loop.next.append(self.sequence(body, loop, flags))
            start = loop
        else:
            start = after
            for _ in range(most - least):
                start = self.node(None, [after, self.sequence(body, start, flags)])
        for _ in range(least):
            start = self.sequence(body, start, flags)
        return start


def _byte_set(kind: Any, argument: Any, flags: int) -> frozenset[int]:
    """The bytes that one item of a pattern takes."""
    if kind is op.ANY:
        return _ALL if flags & re.DOTALL else _ALL - {10}
    if kind is not op.IN:
        one = _folded({argument}, flags)
        return _ALL - one if kind is op.NOT_LITERAL else one
    chosen: set[int] = set()
    for member, value in argument:
        if member is op.LITERAL:
            chosen.add(value)
        elif member is op.RANGE:
            chosen.update(range(value[0], value[1] + 1))
        elif member is op.CATEGORY:
            chosen |= _CATEGORIES[value]
    if any(member is op.LITERAL and value >= 128 for member, value in argument):
        raise ValueError("a character outside of ASCII is several bytes and cannot stand in brackets")
    folded = _folded(chosen, flags)
    return _ALL - folded if argument[0][0] is op.NEGATE else folded


def _folded(chosen: set[int], flags: int) -> frozenset[int]:
    if not flags & re.IGNORECASE:
        return frozenset(chosen)
    text = bytes(sorted(chosen))
    return frozenset(text.lower() + text.upper())


def _closure(nodes: Iterable[_Node], passable: tuple[str, ...]) -> frozenset[_Node]:
    """All nodes reached from *nodes* without taking a byte."""
    waiting = list(nodes)
    reached: set[_Node] = set()
    while waiting:
        node = waiting.pop()
        if node in reached:
            continue
        reached.add(node)
        if node.bytes_ is None and (not node.needs or node.needs in passable):
            waiting.extend(node.next)
    return frozenset(reached)


def _classes(nodes: Iterable[_Node]) -> tuple[bytes, list[int]]:
    """The class of each byte, and one byte of each class."""
    sets = list({node.bytes_ for node in nodes if node.bytes_ is not None})
    numbers: dict[tuple[bool, ...], int] = {}
    examples: list[int] = []
    classes = bytearray(256)
    for byte in range(256):
        key = tuple(byte in one for one in sets)
        if key not in numbers:
            numbers[key] = len(examples)
            examples.append(byte)
        classes[byte] = numbers[key]
    return bytes(classes), examples


def _all_nodes(start: _Node) -> set[_Node]:
    waiting, seen = [start], {start}
    while waiting:
        for node in waiting.pop().next:
            if node not in seen:
                seen.add(node)
                waiting.append(node)
    return seen


def _parse(pattern: str) -> tuple[Any, int]:
    if len(pattern) > MAX_LENGTH:
        raise ValueError(f"a pattern of {len(pattern)} characters is too long; the limit is {MAX_LENGTH}")
    if "[[:" in pattern:
        raise ValueError("classes like [[:alpha:]] cannot be used in a route; write [A-Za-z]")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = parser.parse(pattern.encode())
    except (re.error, OverflowError, RecursionError, Warning) as e:
        raise ValueError(f"not a regular expression: {e}") from e
    return tree, tree.state.flags


def build(pattern: str) -> Tables:
    """The automaton that finds *pattern* anywhere in a text; ValueError says why a pattern is refused."""
    tree, flags = _parse(pattern)
    thompson = _Thompson()
    try:
        start = thompson.sequence(tree, thompson.match, flags)
    except RecursionError as e:
        raise ValueError("nested too deeply") from e
    classes, examples = _classes(_all_nodes(start))
    again = _closure([start], ())
    first = _closure([start], ("begin",))
    numbers: dict[frozenset[_Node], int] = {}
    rows: list[frozenset[_Node]] = []

    def number(state: frozenset[_Node]) -> int:
        if thompson.match in state:
            return FOUND
        if not any(node.bytes_ is not None or node.needs == "end" for node in state):
            return DEAD
        if state not in numbers:
            if len(rows) + 2 >= MAX_STATES:
                raise ValueError(f"needs more than {MAX_STATES} states; anchor it with ^ or use fewer counted repeats")
            numbers[state] = len(rows) + 2
            rows.append(state)
        return numbers[state]

    first_number = number(first)
    moves = array("H", [DEAD] * len(examples) + [FOUND] * len(examples))
    ends = bytearray([0, 1])
    done = 0
    while done < len(rows):
        state = rows[done]
        done += 1
        passable = ("begin", "end") if state is first else ("end",)
        ends.append(thompson.match in _closure(state, passable))
        for byte in examples:
            after = [target for node in state if node.bytes_ is not None and byte in node.bytes_ for target in node.next]
            moves.append(number(_closure(after, ()) | again))
    return Tables(classes, len(examples), moves.tobytes(), bytes(ends), first_number)
