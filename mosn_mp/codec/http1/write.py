"""Writing HTTP/1.1 heads, chunk sizes and trailers from head tables (RFC 9112): all or nothing at the end of a Buf.

Lines that came over the wire in the form in which they would be written are copied in runs, so an untouched head is one memcpy
but for its hop-by-hop fields. Framing and connection lines are written from what the head means, never passed on: what the next
hop reads is what this proxy understood.
"""

from http import HTTPStatus

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t
from cython.cimports.libc.string import memcpy
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import (
    F_CHUNKED,
    F_LENGTH,
    HOP,
    K_CONTENT_LENGTH,
    K_HOST,
    OVERLAY,
    REMOVED,
    VERBATIM,
    Field,
    Head,
)
from cython.cimports.mosn_mp.codec.codec import NO_ROOM, WRITTEN
from cython.cimports.mosn_mp.codec.http1.values import read_length

OWN_LINES = cython.declare(cython.Py_ssize_t, 128)  # framing, connection and empty line together are shorter

# Keeps the bytes alive that PHRASES points to.
_PHRASE_TEXTS = tuple(status.phrase.encode("ascii") for status in HTTPStatus)


def _fill_phrases() -> None:
    i: cython.int
    text: bytes
    for i in range(600):
        PHRASES[i] = cython.NULL
    for status, text in zip(HTTPStatus, _PHRASE_TEXTS, strict=True):
        PHRASES[status.value] = text


_fill_phrases()


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _put(at: cython.p_char, end: cython.p_char, text: cython.p_const_char, length: cython.Py_ssize_t) -> cython.p_char:
    """Copy *length* bytes to *at* and return what follows them; NULL if *at* is NULL or they do not fit."""
    if at == cython.NULL or end - at < length:
        return cython.NULL
    memcpy(at, text, length)
    return at + length


@cython.cfunc
@cython.exceptval(check=False)
def _put_decimal(at: cython.p_char, value: int64_t) -> cython.p_char:
    """Write a number that is not negative; there is room for its 19 digits."""
    digits: cython.char[20]
    count: cython.int = 0
    while True:
        digits[count] = 0x30 + value % 10
        count += 1
        value //= 10
        if value == 0:
            break
    while count:
        count -= 1
        at[0] = digits[count]
        at += 1
    return at


@cython.cfunc
@cython.exceptval(check=False)
def _put_field(at: cython.p_char, end: cython.p_char, head: Head, field: cython.pointer(Field)) -> cython.p_char:
    at = _put(at, end, head.at(field.name_at), field.name_len)
    at = _put(at, end, b": ", 2)
    at = _put(at, end, head.at(field.value_at), field.value_len)
    return _put(at, end, b"\r\n", 2)


@cython.cfunc
@cython.exceptval(check=False)
def _put_fields(
    at: cython.p_char, end: cython.p_char, head: Head, run: cython.p_const_char, run_len: cython.Py_ssize_t
) -> cython.p_char:
    """All fields that go on, in order; *run* is what was ready before them and may be continued."""
    i: cython.int
    field: cython.pointer(Field) = head.fields
    base: cython.p_const_char = head.base
    for i in range(head.count):
        if not field.flags & (REMOVED | HOP):
            if field.flags & VERBATIM:
                if base + field.name_at != run + run_len:
                    at = _put(at, end, run, run_len)
                    run = base + field.name_at
                    run_len = 0
                run_len += field.name_len + field.value_len + 4
            else:
                at = _put(at, end, run, run_len)
                run_len = 0
                at = _put_field(at, end, head, field)
        field += 1
    return _put(at, end, run, run_len)


@cython.cfunc
@cython.exceptval(check=False)
def _finish(at: cython.p_char, end: cython.p_char, plan: cython.pointer(Plan), out: cython.pointer(Buf)) -> cython.int:
    """The lines of our own and the empty line; the head is in *out* after that."""
    if at == cython.NULL or end - at < OWN_LINES:
        return NO_ROOM
    if plan.framing == F_LENGTH:
        at = _put(at, end, b"Content-Length: ", 16)
        at = _put_decimal(at, plan.length)
        at = _put(at, end, b"\r\n", 2)
    elif plan.framing == F_CHUNKED:
        at = _put(at, end, b"Transfer-Encoding: chunked\r\n", 28)
    if plan.upgrade:
        if plan.close:
            at = _put(at, end, b"Connection: Upgrade, close\r\n", 28)
        else:
            at = _put(at, end, b"Connection: Upgrade\r\n", 21)
    elif plan.close:
        at = _put(at, end, b"Connection: close\r\n", 19)
    elif plan.keep_alive:
        at = _put(at, end, b"Connection: keep-alive\r\n", 24)
    at = _put(at, end, b"\r\n", 2)
    out.end = cython.cast(uint32_t, at - out.base)
    return WRITTEN


@cython.cfunc
@cython.exceptval(check=False)
def _settle_length_field(head: Head, plan: cython.pointer(Plan)) -> cython.void:
    """Leave the Content-Length field in place if it says what the plan says; else it is not written."""
    index: cython.int = head.known_at[K_CONTENT_LENGTH]
    field: cython.pointer(Field)
    i: cython.int
    if index < 0:
        return
    for i in range(index + 1, head.count):
        if head.fields[i].known == K_CONTENT_LENGTH:
            head.fields[i].flags |= HOP  # one is enough, whoever added the others
    field = head.fields + index
    if (
        plan.framing == F_LENGTH
        and not field.flags & HOP
        and read_length(head.at(field.value_at), field.value_len) == plan.length
    ):
        plan.framing = 0
    else:
        field.flags |= HOP


def write_request_head(head: Head, plan: cython.pointer(Plan), out: cython.pointer(Buf)) -> cython.int:
    """Request line (origin, asterisk or authority form), Host if it was missing, fields, own lines."""
    at: cython.p_char = out.base + out.end
    end: cython.p_char = out.base + out.cap
    run: cython.p_const_char = at
    run_len: cython.Py_ssize_t = 0
    host: cython.int = head.known_at[K_HOST]
    _settle_length_field(head, plan)
    if (
        head.line_len
        and head.line_len == head.method.len + head.path.len + 12
        and head.path.at == head.method.at + head.method.len + 1
    ):
        run = head.base + head.line_at
        run_len = head.line_len
    else:
        at = _put(at, end, head.at(head.method.at), head.method.len)
        at = _put(at, end, b" ", 1)
        if head.path.len:
            at = _put(at, end, head.at(head.path.at), head.path.len)
        else:
            at = _put(at, end, head.at(head.authority.at), head.authority.len)
        at = _put(at, end, b" HTTP/1.1\r\n", 11)
    if host < 0:
        at = _put(at, end, run, run_len)
        run_len = 0
        at = _put(at, end, b"Host: ", 6)
        at = _put(at, end, head.at(head.authority.at), head.authority.len)
        at = _put(at, end, b"\r\n", 2)
    elif head.authority.at & OVERLAY and head.fields[host].value_at != head.authority.at:
        # the authority was edited without its field: it wins
        head.fields[host].value_at = head.authority.at
        head.fields[host].value_len = head.authority.len
        head.fields[host].flags &= ~VERBATIM
    return _finish(_put_fields(at, end, head, run, run_len), end, plan, out)


@cython.cfunc
@cython.exceptval(check=False)
def _is_phrase_current(head: Head) -> cython.bint:
    """True if the reason phrase belongs to the status: an edited one, or the one that came with it over HTTP/1."""
    digits: cython.p_const_char
    if head.reason.at & OVERLAY or head.reason.at < 4:
        return head.reason.at != 0
    digits = head.base + head.reason.at - 4
    return head.status == (digits[0] - 0x30) * 100 + (digits[1] - 0x30) * 10 + digits[2] - 0x30


def write_response_head(head: Head, plan: cython.pointer(Plan), out: cython.pointer(Buf)) -> cython.int:
    """Status line, always HTTP/1.1 (RFC 9110 section 2.5), fields, own lines."""
    at: cython.p_char = out.base + out.end
    end: cython.p_char = out.base + out.cap
    run: cython.p_const_char = at
    run_len: cython.Py_ssize_t = 0
    phrase: cython.p_char = cython.NULL
    _settle_length_field(head, plan)
    if head.line_len and not head.reason.at & OVERLAY and _is_phrase_current(head):
        run = head.base + head.line_at
        run_len = head.line_len
    else:
        if end - at < 16:
            return NO_ROOM
        at = _put(at, end, b"HTTP/1.1 ", 9)
        at = _put_decimal(at, head.status)
        at = _put(at, end, b" ", 1)
        if head.reason.len and _is_phrase_current(head):
            at = _put(at, end, head.at(head.reason.at), head.reason.len)
        elif head.status < 600:
            phrase = PHRASES[head.status]
            if phrase != cython.NULL:
                at = _put(at, end, phrase, _length(phrase))
        at = _put(at, end, b"\r\n", 2)
    return _finish(_put_fields(at, end, head, run, run_len), end, plan, out)


@cython.cfunc
@cython.exceptval(check=False)
def _length(text: cython.p_char) -> cython.Py_ssize_t:
    length: cython.Py_ssize_t = 0
    while text[length] != 0:
        length += 1
    return length


def write_trailers(trailers: Head, out: cython.pointer(Buf)) -> cython.int:
    """The last chunk, trailer fields if there are any, the empty line."""
    at: cython.p_char = out.base + out.end
    end: cython.p_char = out.base + out.cap
    at = _put(at, end, b"0\r\n", 3)
    if trailers is not None and trailers.count and at != cython.NULL:
        at = _put_fields(at, end, trailers, at, 0)
    at = _put(at, end, b"\r\n", 2)
    if at == cython.NULL:
        return NO_ROOM
    out.end = cython.cast(uint32_t, at - out.base)
    return WRITTEN


def write_chunk_size(length: cython.ulonglong, out: cython.pointer(Buf)) -> cython.int:
    """The size line of a chunk: hexadecimal, no leading zero."""
    digits: cython.p_const_char = b"0123456789abcdef"
    at: cython.p_char = out.base + out.end
    shift: cython.int = 0
    while shift < 60 and length >> (shift + 4):
        shift += 4
    if out.cap - out.end < cython.cast(uint32_t, shift // 4 + 3):
        return NO_ROOM
    while shift >= 0:
        at[0] = digits[length >> shift & 15]
        at += 1
        shift -= 4
    at[0] = ord("\r")
    at[1] = ord("\n")
    out.end = cython.cast(uint32_t, at + 2 - out.base)
    return WRITTEN
