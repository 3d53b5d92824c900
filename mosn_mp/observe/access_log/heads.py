"""What a log line shows of a message head: pseudo-headers, header fields, cookies, query arguments; `-` where it has none."""

import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.string import memchr, memcmp
from cython.cimports.mosn_mp.buffer.head import REMOVED, Head
from cython.cimports.mosn_mp.observe.access_log.text import Cursor, put_byte, put_slice
from cython.cimports.mosn_mp.observe.access_log.variables import (
    PART_AUTHORITY,
    PART_METHOD,
    PART_PATH,
    PART_SCHEME,
    PART_URI,
    CStep,
)


def head_length(head: Head | None) -> uint64_t:
    """Bytes of the request head in HTTP/1 form: request line, `name: value` lines, empty line."""
    length: uint64_t
    i: cython.int
    if head is None:
        return 0
    length = head.method.len + 1 + head.path.len + 11 + 2
    for i in range(head.count):
        if not head.fields[i].flags & REMOVED:
            length += head.fields[i].name_len + head.fields[i].value_len + 4
    return length


def put_part(cursor: cython.pointer(Cursor), head: Head | None, which: cython.int) -> cython.void:
    """A pseudo-header of the request, or what is before or behind the question mark of its path."""
    path: cython.p_char
    query: cython.p_char
    if head is None:
        put_byte(cursor, 45)
    elif which == PART_SCHEME:
        put_slice(cursor, head.at(head.scheme.at), head.scheme.len)
    elif which == PART_METHOD:
        put_slice(cursor, head.at(head.method.at), head.method.len)
    elif which == PART_AUTHORITY:
        put_slice(cursor, head.at(head.authority.at), head.authority.len)
    else:
        path = head.at(head.path.at)
        query = cython.cast(cython.p_char, memchr(path, 63, head.path.len)) if head.path.len else cython.NULL
        if which == PART_URI or (which == PART_PATH and query == cython.NULL):
            put_slice(cursor, path, head.path.len)
        elif which == PART_PATH:
            put_slice(cursor, path, query - path)
        elif query == cython.NULL:
            put_byte(cursor, 45)
        else:
            put_slice(cursor, query + 1, path + head.path.len - query - 1)


def put_field(cursor: cython.pointer(Cursor), head: Head | None, step: cython.pointer(CStep)) -> cython.void:
    """The first header field of that name."""
    index: cython.int = head.find(step.text, step.text_len, -1) if head is not None else -1
    if index < 0:
        put_byte(cursor, 45)
    else:
        put_slice(cursor, head.at(head.fields[index].value_at), head.fields[index].value_len)


@cython.cfunc
@cython.exceptval(check=False)
def put_pair_value(
    cursor: cython.pointer(Cursor), text: cython.p_char, end: cython.p_char, separator: cython.char, step: cython.pointer(CStep)
) -> cython.bint:
    """The value of the pair `name=value` in *text*, which *separator* divides; False = there is no such pair."""
    stop: cython.p_char
    while text < end:
        while text < end and text[0] == 32:
            text += 1
        stop = cython.cast(cython.p_char, memchr(text, separator, end - text))
        if stop == cython.NULL:
            stop = end
        if stop - text > step.text_len and text[step.text_len] == 61 and memcmp(text, step.text, step.text_len) == 0:
            put_slice(cursor, text + step.text_len + 1, stop - text - step.text_len - 1)
            return True
        text = stop + 1
    return False


def put_cookie(cursor: cython.pointer(Cursor), head: Head | None, step: cython.pointer(CStep)) -> cython.void:
    """The value of the first cookie of that name (RFC 6265 section 4.2.1); names of cookies are case-sensitive."""
    index: cython.int = head.find(b"cookie", 6, -1) if head is not None else -1
    value: cython.p_char
    while index >= 0:
        value = head.at(head.fields[index].value_at)
        if put_pair_value(cursor, value, value + head.fields[index].value_len, 59, step):
            return
        index = head.find(b"cookie", 6, index)
    put_byte(cursor, 45)


def put_query_arg(cursor: cython.pointer(Cursor), head: Head | None, step: cython.pointer(CStep)) -> cython.void:
    """The value of the first query argument of that name, as sent (no percent-decoding)."""
    path: cython.p_char
    query: cython.p_char
    if head is not None and head.path.len:
        path = head.at(head.path.at)
        query = cython.cast(cython.p_char, memchr(path, 63, head.path.len))
        if query != cython.NULL and put_pair_value(cursor, query + 1, path + head.path.len, 38, step):
            return
    put_byte(cursor, 45)
