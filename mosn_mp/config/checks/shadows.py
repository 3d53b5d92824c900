"""Routes that can never be reached, because an earlier one of the same virtual host takes whatever they match.

Only what is certain is found: no attempt is made at regular expressions beyond equal ones and those that match everything.
"""

from collections.abc import Iterator

from mosn_mp.config.model import Match

_EVERYTHING = (".*", "^.*", "/", "^/", "/.*", "^/.*")  # found in every path

_Key = tuple[str, str]
_ANY: _Key = ("any", "")
_HEADERS: _Key = ("headers", "")


class Shadows:
    """The matches seen so far, found by what they could hide, so that thousands of routes are checked in linear time."""

    def __init__(self) -> None:
        self._seen: dict[_Key, list[tuple[int, Match]]] = {}

    def add(self, index: int, match: Match) -> None:
        """Remember the *match* of the route number *index*."""
        self._seen.setdefault(_key_of(match), []).append((index, match))

    def first_hiding(self, match: Match) -> int | None:
        """The number of the first route added so far that takes every request *match* takes, if there is one."""
        hiding = (
            index
            for key in _keys_hiding(match)
            for index, earlier in self._seen.get(key, ())
            if all(header in match.headers for header in earlier.headers)
        )
        return min(hiding, default=None)


def _key_of(match: Match) -> _Key:
    if match.prefix == "/" or match.regex in _EVERYTHING:
        return _ANY
    if match.prefix:
        return "prefix", match.prefix
    if match.path:
        return "path", match.path.lower()
    if match.regex:
        return "regex", match.regex
    return _HEADERS


def _keys_hiding(match: Match) -> Iterator[_Key]:
    """The keys of all matches that take what *match* takes, as far as the path goes."""
    yield _ANY
    yield _HEADERS
    if match.prefix:
        for end in range(1, len(match.prefix) + 1):
            yield "prefix", match.prefix[:end]
    elif match.path:
        yield "path", match.path.lower()
        for end in range(1, len(match.path) + 1):
            if match.path[:end].lower() == match.path[:end].upper():  # a path matches in any case, a prefix does not
                yield "prefix", match.path[:end]
    elif match.regex:
        yield "regex", match.regex
