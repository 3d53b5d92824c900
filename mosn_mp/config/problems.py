"""What is wrong with a configuration: one Problem each, collected while a file is read, placed in the file at the end."""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from msgspec import Struct

from mosn_mp.errors import ConfigError, printable

Path = tuple[str | int, ...]  # ("servers", 0, "listeners", 1, "address")

_STEP = re.compile(r"([^.`\[\]]+)|\[([0-9]+)\]")
_LONGEST_VALUE = 80  # an error text shows the value, not the file
MAX_ERRORS = 100  # of one configuration; finding the nearest name of a key takes a while, and a body may have a million keys
_MOST_NAMES = 30  # and some of what there is, not all


class Place(NamedTuple):
    """Where something stands in a file: line and column count from 1, in characters; 0 = the file as a whole."""

    line: int
    column: int


class Problem(Struct, frozen=True, kw_only=True):
    """One thing that is wrong (or, among the warnings, strange) with one value of a file."""

    file: str
    line: int
    column: int
    path: str
    value: str  # as JSON, shortened; "" where the value is not the point
    problem: str
    suggestion: str = ""  # the nearest valid name

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        line = ": ".join(part for part in (where, self.path, self.text) if part)
        return printable(line)

    @property
    def text(self) -> str:
        """The problem with its suggestion, without the place."""
        return f"{self.problem}; did you mean '{self.suggestion}'?" if self.suggestion else self.problem

    def as_dict(self) -> dict[str, str | int]:
        """The fields by name, for JSON."""
        return {name: getattr(self, name) for name in self.__struct_fields__}


class ConfigErrors(ConfigError):  # noqa: N818 - the plural of ConfigError
    """A configuration that cannot be served, with everything that is wrong with it."""

    def __init__(self, errors: tuple[Problem, ...], warnings: tuple[Problem, ...] = ()) -> None:
        super().__init__("", "\n".join(map(str, errors)))
        self.errors = errors
        self.warnings = warnings


class Finding(NamedTuple):
    """A Problem before it is placed."""

    path: Path
    at_key: bool
    value: str
    problem: str
    suggestion: str


class TooManyError(ConfigError):
    """So much is wrong with a configuration that nobody reads on."""


def _nobody(_: Path) -> None:
    pass


class Findings:
    """The collector that every check of a configuration adds to; TooManyError after MAX_ERRORS, that no check need go on."""

    def __init__(self) -> None:
        self.errors: list[Finding] = []
        self.warnings: list[Finding] = []
        self._around: set[Path] = set()  # the paths of all errors and of everything around them
        self.does_harm = False
        self.on_look: Callable[[Path], None] = _nobody

    def look_at(self, path: Path) -> None:
        """What comes next is about the value at *path*, and may not come back: on_look is told."""
        self.on_look(path)

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Go on behind the checks inside, which end where they found too much."""
        try:
            yield
        except TooManyError as e:
            self.errors.append(Finding((), False, "", e.problem, ""))

    def error(self, path: Path, problem: str, *, value: object = None, suggestion: str = "", at_key: bool = False) -> None:
        """Add an error about the value at *path*, or, with *at_key*, about the key that is its last step."""
        self._around.update(path[:end] for end in range(len(path) + 1))
        self.errors.append(Finding(path, at_key, show(value) if value is not None else "", problem, suggestion))
        if len(self.errors) >= MAX_ERRORS:
            raise TooManyError("", f"there may be more: these are the first {MAX_ERRORS} errors")

    def has_error_within(self, path: Path) -> bool:
        """True if the value at *path*, or something in it, is wrong."""
        return path in self._around

    def take(self, errors: Iterable[Finding], warnings: Iterable[Finding]) -> None:
        """Add what was found elsewhere."""
        for error in errors:
            self._around.update(error.path[:end] for end in range(len(error.path) + 1))
            self.errors.append(error)
        self.warnings.extend(warnings)

    def warning(self, path: Path, problem: str) -> None:
        """Add a warning: served as written, but hardly what was meant."""
        self.warnings.append(Finding(path, False, "", problem, ""))


def path_text(path: Path) -> str:
    """*path* as it is written in error texts: `servers[0].listeners[1].address`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def parse_path(text: str) -> Path:
    """The Path that path_text() wrote as *text*; what follows the path proper (`...match: more`) is left out."""
    return tuple(int(step[1]) if step[1] else step[0] for step in _STEP.findall(text.partition(":")[0]))


def show(value: object) -> str:
    """*value* as JSON, shortened to what an error text can carry."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def listing(names: Sequence[str]) -> str:
    """*names* in one text, the first ones if there are many; `none` if there are none."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "") or "none"


def nearest(word: str, valid: Iterable[str]) -> str:
    """The name of *valid* that *word* was probably meant to be, or ""."""
    names = {name.lower(): name for name in valid}
    found = difflib.get_close_matches(word.strip().lower(), names, n=1)
    return names[found[0]] if found else ""
