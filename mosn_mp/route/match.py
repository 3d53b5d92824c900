"""What a route asks of a request: one condition on the path and any number on header fields, all of which must hold.

After MOSN pkg/router/{http_rule,configutility}.go: a prefix is compared byte by byte, a path without regard to case, a regular
expression is searched for, not anchored; header values are compared exactly or searched; the name `method` means the request
method. Of a field that is sent more than once, one line that matches is enough.

Expressions are found in time linear in the text (pattern.py): no client can buy a second of a worker with a crafted path.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.string import memcmp
from cython.cimports.mosn_mp.buffer.head import Head, same_name
from cython.cimports.mosn_mp.route.pattern import Pattern


class PathMatcher:
    """A condition on the path. Made by any_path(), prefix_path(), exact_path() and regex_path()."""

    def __init__(self, kind: cython.int, pattern: bytes, regex: Pattern = None) -> None:
        self.kind = kind
        self.pattern = pattern
        self.text = PyBytes_AS_STRING(pattern)
        self.length = PyBytes_GET_SIZE(pattern)
        self.regex = regex

    def matches(self, path: cython.p_const_char, length: cython.Py_ssize_t) -> cython.bint:
        """True if the *length* bytes at *path*, a path without query, satisfy the condition."""
        if self.kind == P_PREFIX:
            return length >= self.length and memcmp(path, self.text, self.length) == 0
        if self.kind == P_ANY:
            return True
        if self.kind == P_EXACT:
            return length == self.length and same_name(path, self.text, length)
        return self.regex.found_in(path, length)

    def accepts(self, path: bytes) -> bool:
        """Python's side of matches()."""
        return self.matches(PyBytes_AS_STRING(path), PyBytes_GET_SIZE(path))

    def __repr__(self) -> str:
        kind = ("any", "prefix", "path", "regex")[self.kind]
        return f"{kind} {self.pattern.decode('latin-1')}" if self.pattern else kind


def any_path() -> PathMatcher:
    """Every request, `*` and CONNECT included."""
    return PathMatcher(P_ANY, b"")


def prefix_path(text: bytes) -> PathMatcher:
    """Paths that begin with *text*; "/" is every request, so that the asterisk form of OPTIONS has a route."""
    return PathMatcher(P_ANY if text == b"/" else P_PREFIX, text)


def exact_path(text: bytes) -> PathMatcher:
    """The path *text* without regard to ASCII case."""
    return PathMatcher(P_EXACT, text)


def regex_path(text: str) -> PathMatcher:
    """Paths in which *text* is found; ValueError says why an expression is refused."""
    return PathMatcher(P_REGEX, text.encode(), Pattern(text))


class HeaderMatcher:
    """A condition on a header field, or on the method if *name* is `method`; *value* is a regular expression if *is_regex*."""

    def __init__(self, name: str, value: str, is_regex: bool = False) -> None:
        self.name = name.encode("latin-1")
        self.value = value.encode()
        self.is_method = name == "method"
        self.regex = Pattern(value) if is_regex else None

    def matches(self, head: Head) -> cython.bint:
        """True if *head* satisfies the condition."""
        index: cython.int = -1
        if self.is_method:
            return self._holds(head.at(head.method.at), head.method.len)
        while True:
            index = head.find(PyBytes_AS_STRING(self.name), PyBytes_GET_SIZE(self.name), index)
            if index < 0:
                return False
            if self._holds(head.at(head.fields[index].value_at), head.fields[index].value_len):
                return True

    def _holds(self, text: cython.p_const_char, length: cython.Py_ssize_t) -> cython.bint:
        if self.regex is not None:
            return self.regex.found_in(text, length)
        return length == PyBytes_GET_SIZE(self.value) and memcmp(text, PyBytes_AS_STRING(self.value), length) == 0

    def accepts(self, head: Head) -> bool:
        """Python's side of matches()."""
        return self.matches(head)
