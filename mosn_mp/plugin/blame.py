"""What users' code raised, in one line: the error, and the innermost line of theirs that it came from."""

import contextlib
import os
import traceback
from collections.abc import Iterable, Iterator

from mosn_mp.errors import ConfigError

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_PYTHONS = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_LONGEST_TEXT = 300  # an error may quote all that it was given

Line = tuple[str, int]


@contextlib.contextmanager
def as_problem(what: str) -> Iterator[None]:
    """Whatever users' code raises in here (SystemExit and its like too) is a ConfigError whose problem begins with *what*."""
    try:
        yield
    except BaseException as e:
        if isinstance(e, ConfigError) and type(e.path) is str and type(e.problem) is str:
            raise
        raise ConfigError("", f"{what}: {describe(e)}") from e


def describe(error: BaseException) -> str:
    """`KeyError: 'x' (/etc/python/my_filters.py:12)`."""
    text = _text_of(error)
    name = type(error).__name__
    shown = f"{name}: {text[:_LONGEST_TEXT]}" if text else name
    if isinstance(error, SyntaxError) and error.filename:
        return f"{shown} ({error.filename}:{error.lineno})"
    return shown + where_raised(error)


def where_raised(error: BaseException) -> str:
    """` (/etc/python/my_filters.py:12)`, "" if no line of a user's raised *error*."""
    return where((frame.f_code.co_filename, number) for frame, number in traceback.walk_tb(error.__traceback__))


def where(lines: Iterable[Line]) -> str:
    """The innermost (last) of *lines* that is a user's, as where_raised(); one of an installed library only if no other is."""
    theirs = [(file, number) for file, number in lines if _is_theirs(file)]
    own = [line for line in theirs if "-packages" + os.sep not in line[0]]
    return f" ({(own or theirs)[-1][0]}:{(own or theirs)[-1][1]})" if theirs else ""


def _is_theirs(file: str) -> bool:
    if not os.path.isabs(file) or file.startswith(_OURS):
        return False
    return not file.startswith(_PYTHONS) or "-packages" + os.sep in file


def _text_of(error: BaseException) -> str:
    try:
        return error.msg if isinstance(error, SyntaxError) and error.filename else str(error)
    except BaseException:  # noqa: BLE001 - the user's own __str__
        return "an error without a text"
