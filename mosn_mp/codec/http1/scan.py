"""Reading the lines of an HTTP/1 head: request line, status line, field lines (RFC 9112 sections 2 to 5), strictly.

Each byte is looked at once, however the input was cut: what ends in the middle of a line leaves its state in Scan and goes on
there. Values are scanned eight bytes at a time (Mycroft's test: a subtraction borrows from a control byte), names by table.
Nothing is repaired: bare LF, bare CR, folding, blanks before the colon and control bytes are errors.

    POST /path HTTP/1.1\\r\\n       method_len is set at the first blank; then the target, then ten bytes of version
    Name: value\\r\\n               name_len is set at the colon; then the value up to the CR
    \\r\\n                          the end

One piece: one pass over the bytes of a head, in functions that the compiler sees together and makes one of.
"""

import cython
from cython.cimports.libc.stdint import int16_t, uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.string import memchr
from cython.cimports.mosn_mp.buffer.head import (
    HOP,
    K_CONNECTION,
    K_KEEP_ALIVE,
    K_OTHER,
    K_PROXY_CONNECTION,
    K_TE,
    K_TRAILER,
    K_TRANSFER_ENCODING,
    VERBATIM,
    Field,
    Head,
    known_name,
    method_number,
    same_name,
)
from cython.cimports.mosn_mp.buffer.octets import TOKEN, VALUE

from mosn_mp.errors import Reason

BAD_REQUEST = cython.declare(cython.int, int(Reason.BAD_REQUEST))
HEAD_TOO_LARGE = cython.declare(cython.int, int(Reason.HEAD_TOO_LARGE))
URI_TOO_LONG = cython.declare(cython.int, int(Reason.URI_TOO_LONG))
METHOD_NOT_IMPLEMENTED = cython.declare(cython.int, int(Reason.METHOD_NOT_IMPLEMENTED))
VERSION_NOT_SUPPORTED = cython.declare(cython.int, int(Reason.VERSION_NOT_SUPPORTED))

MAX_METHOD = cython.declare(
    uint32_t, 32
)  # RFC 9112 section 3: a method longer than any implemented is 501; the longest registered has 17
MAX_NAME = cython.declare(uint32_t, 65535)  # Field.name_len
HOP_NAMES = cython.declare(
    uint32_t,
    1 << K_CONNECTION | 1 << K_KEEP_ALIVE | 1 << K_PROXY_CONNECTION | 1 << K_TE | 1 << K_TRAILER | 1 << K_TRANSFER_ENCODING,
)


def fail(scan: cython.pointer(Scan), reason: cython.int, detail: cython.p_const_char) -> cython.int:
    """Note why the head is refused."""
    scan.reason = reason
    scan.detail = detail
    return BROKEN


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _end_of_value(at: cython.p_const_char, end: cython.p_const_char) -> cython.p_const_char:
    """The first byte from *at* on that no value may hold, or *end*."""
    word: uint64_t
    stops: uint64_t
    while end - at >= 8:
        word = load8(at)
        # bytes below 0x20, and 0x7F; exact for the lowest one found
        stops = (word - ONES * 0x20) & ~word & HIGHS
        word ^= ONES * 0x7F
        stops |= (word - ONES) & ~word & HIGHS
        if stops == 0:
            at += 8
            continue
        at += ctz(stops) >> 3
        if at[0] != ord("\t"):
            return at
        at += 1
    while at < end and VALUE[cython.cast(uint8_t, at[0])]:
        at += 1
    return at


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _end_of_target(at: cython.p_const_char, end: cython.p_const_char) -> cython.p_const_char:
    """The first byte from *at* on that no request target may hold (a blank, '#', a control or non-ASCII byte), or *end*."""
    word: uint64_t
    other: uint64_t
    stops: uint64_t
    while end - at >= 8:
        word = load8(at)
        stops = (word - ONES * 0x21) & ~word | word
        other = word ^ ONES * 0x7F
        stops |= (other - ONES) & ~other
        other = word ^ ONES * 0x23
        stops |= (other - ONES) & ~other
        stops &= HIGHS
        if stops:
            return at + (ctz(stops) >> 3)
        at += 8
    while at < end and 0x20 < at[0] < 0x7F and at[0] != 0x23:
        at += 1
    return at


@cython.cfunc
@cython.exceptval(check=False)
def _read_version(scan: cython.pointer(Scan), base: cython.p_const_char, version: cython.p_int) -> cython.int:
    """`HTTP/1.x` at scan.at; x above 1 counts as 1.1 (RFC 9110 section 2.5)."""
    pattern: cython.p_const_char = b"HTTP/"
    at: cython.p_const_char = base + scan.at
    length: uint32_t = scan.end - scan.at
    i: uint32_t
    for i in range(5 if length > 5 else length):
        if at[i] != pattern[i]:
            return fail(scan, BAD_REQUEST, b"malformed protocol version")
    if length < 8:
        return MORE
    if not 0x30 <= at[5] <= 0x39 or at[6] != ord(".") or not 0x30 <= at[7] <= 0x39:
        return fail(scan, BAD_REQUEST, b"malformed protocol version")
    if at[5] != ord("1"):
        return fail(scan, VERSION_NOT_SUPPORTED, b"protocol version is not 1.0 or 1.1")
    version[0] = 10 if at[7] == ord("0") else 11
    return SCANNED


@cython.cfunc
@cython.exceptval(check=False)
def _end_line(scan: cython.pointer(Scan), base: cython.p_const_char, at: uint32_t) -> cython.int:
    """CR LF at *at*: the next line begins behind it."""
    if at < scan.end and base[at] != ord("\r"):
        if base[at] == ord("\n"):
            return fail(scan, BAD_REQUEST, b"line ends with a bare LF")
        return fail(scan, BAD_REQUEST, b"malformed end of line")
    if at + 1 < scan.end and base[at + 1] != ord("\n"):
        return fail(scan, BAD_REQUEST, b"CR without LF")
    if at + 2 > scan.end:
        return MORE
    scan.at = scan.line = at + 2
    return SCANNED


@cython.cfunc
@cython.exceptval(check=False)
def _read_method(scan: cython.pointer(Scan), base: cython.p_const_char) -> cython.int:
    at: uint32_t = scan.line
    while at < scan.end and TOKEN[cython.cast(uint8_t, base[at])]:
        at += 1
        if at - scan.line > MAX_METHOD:
            return fail(scan, METHOD_NOT_IMPLEMENTED, b"method is longer than 32 bytes")
    if at == scan.end:
        return MORE
    if at == scan.line or base[at] != ord(" "):
        return fail(scan, BAD_REQUEST, b"malformed method")
    scan.method_len = at - scan.line
    scan.at = at + 1
    return SCANNED


def read_request_line(head: Head, scan: cython.pointer(Scan), base: cython.p_const_char) -> cython.int:
    """Method, target (as Head.path, whatever its form) and version; line_len if the line is as the writer would write it."""
    if scan.method_len == 0 and (state := _read_method(scan, base)) != SCANNED:
        return state
    target: uint32_t = scan.line + scan.method_len + 1
    end: uint32_t = scan.end
    if end - target > scan.max_uri_bytes + 1:
        end = target + scan.max_uri_bytes + 1
    at: uint32_t = cython.cast(uint32_t, _end_of_target(base + scan.at, base + end) - base)
    scan.at = at
    if at - target > scan.max_uri_bytes:
        return fail(scan, URI_TOO_LONG, b"request target is too long")
    if at == scan.end:
        return MORE
    if at == target or base[at] != ord(" "):
        return fail(scan, BAD_REQUEST, b"malformed request target")
    head.method.at = scan.line
    head.method.len = scan.method_len
    head.path.at = target
    head.path.len = at - target
    scan.at = at + 1
    if (state := _read_version(scan, base, cython.address(head.version))) == SCANNED:
        state = _end_line(scan, base, at + 9)
    if state != SCANNED:
        scan.at = at  # the blank behind the target: the version is read again
        return state
    head.method_id = method_number(base + head.method.at, scan.method_len)
    if base[at + 8] == ord("1"):
        head.line_at = head.method.at
        head.line_len = scan.line - head.line_at
    return SCANNED


def read_status_line(head: Head, scan: cython.pointer(Scan), base: cython.p_const_char) -> cython.int:
    """Version, status (100 to 999: what lies above 599 is unusual but unambiguous) and reason phrase, which may be missing."""
    line: uint32_t = scan.line
    status: cython.int = 0
    i: uint32_t
    if scan.at == line:
        if (state := _read_version(scan, base, cython.address(head.version))) != SCANNED:
            return state
        for i in range(line + 8, line + 12):
            if i == scan.end:
                return MORE
            if i == line + 8:
                if base[i] != ord(" "):
                    return fail(scan, BAD_REQUEST, b"malformed status line")
            elif not 0x30 <= base[i] <= 0x39:
                return fail(scan, BAD_REQUEST, b"malformed status")
            else:
                status = status * 10 + (base[i] - 0x30)
        if status < 100:
            return fail(scan, BAD_REQUEST, b"status below 100")
        head.status = status
        scan.at = line + 12
    if scan.at == line + 12:
        if scan.at == scan.end:
            return MORE
        if base[scan.at] == ord("\r"):
            return _end_line(scan, base, scan.at)
        if base[scan.at] != ord(" "):
            return fail(scan, BAD_REQUEST, b"malformed status line")
        scan.at += 1
    scan.at = cython.cast(uint32_t, _end_of_value(base + scan.at, base + scan.end) - base)
    head.reason.at = line + 13
    head.reason.len = scan.at - head.reason.at
    if (state := _end_line(scan, base, scan.at)) == SCANNED and base[line + 7] == ord("1"):
        head.line_at = line
        head.line_len = scan.line - line
    return state


@cython.cfunc
@cython.exceptval(check=False)
def _bad_name(scan: cython.pointer(Scan), byte: cython.char, first: cython.bint) -> cython.int:
    """Why *byte* cannot stand where a field name or its colon is expected."""
    if byte == ord("\n"):
        return fail(scan, BAD_REQUEST, b"line ends with a bare LF")
    if first and (byte == ord(" ") or byte == ord("\t")):
        return fail(scan, BAD_REQUEST, b"folded header line")
    if byte == ord(" ") or byte == ord("\t"):
        return fail(scan, BAD_REQUEST, b"blank before the colon of a header")
    if first and byte == ord(":"):
        return fail(scan, BAD_REQUEST, b"header without a name")
    return fail(scan, BAD_REQUEST, b"byte not allowed in a header name")


@cython.cfunc
@cython.exceptval(-1, check=False)
def _add(head: Head, scan: cython.pointer(Scan), base: cython.p_const_char, value: uint32_t, value_end: uint32_t) -> cython.int:
    """Enter the field of the line at hand, whose value lies in [value, value_end) with blanks around it cut off."""
    name: cython.p_const_char = base + scan.line
    length: uint32_t = scan.name_len
    known: cython.int = K_OTHER
    flags: cython.int = 0
    if head.count >= scan.max_fields or head.count >= head.max_fields:
        return fail(scan, HEAD_TOO_LARGE, b"too many headers")
    if length < 32 and FIRST_LETTERS[length] >> (name[0] & 31) & 1:
        known = known_name(name, length)
        if known == K_OTHER and length == 12 and same_name(name, b"content-type", 12):
            if scan.content_type and not scan.in_response:
                return fail(scan, BAD_REQUEST, b"Content-Type twice")
            scan.content_type = True
    if value == scan.line + length + 2 and base[value - 1] == ord(" ") and base[value_end] == ord("\r"):
        flags = VERBATIM
    if known != K_OTHER:
        if scan.seen >> known & 1:
            scan.repeated |= cython.cast(uint32_t, 1) << known
        scan.seen |= cython.cast(uint32_t, 1) << known
        if HOP_NAMES >> known & 1:
            flags |= HOP
        if head.known_at[known] < 0:
            head.known_at[known] = cython.cast(int16_t, head.count)
    if head.count == head.capacity:
        head.grow()
    field: cython.pointer(Field) = head.fields + head.count
    field.name_at = scan.line
    field.name_len = cython.cast(uint16_t, length)
    field.value_at = value
    field.value_len = value_end - value
    field.known = known
    field.flags = flags
    head.count += 1
    return SCANNED


@cython.cfunc
@cython.exceptval(check=False)
def _read_name(scan: cython.pointer(Scan), base: cython.p_const_char) -> cython.int:
    """The field name at scan.line and its colon."""
    at: cython.p_const_char = base + scan.at
    end: cython.p_const_char = base + scan.end
    name: cython.p_const_char = base + scan.line
    while at < end and TOKEN[cython.cast(uint8_t, at[0])]:
        at += 1
    scan.at = cython.cast(uint32_t, at - base)
    if scan.at - scan.line > MAX_NAME:
        return fail(scan, HEAD_TOO_LARGE, b"header name is too long")
    if at == end:
        return MORE
    if at[0] != ord(":") or at == name:
        return _bad_name(scan, at[0], at == name)
    scan.name_len = scan.at - scan.line
    if scan.reject_underscores and memchr(name, ord("_"), scan.name_len) != cython.NULL:
        return fail(scan, BAD_REQUEST, b"underscore in a header name")
    scan.at += 1
    return SCANNED


def read_fields(head: Head, scan: cython.pointer(Scan), base: cython.p_const_char) -> cython.int:
    """Field lines up to and with the empty line."""
    at: uint32_t
    value: uint32_t
    state: cython.int
    while True:
        if scan.name_len == 0:
            if scan.at == scan.line:
                if scan.at == scan.end:
                    return MORE
                if base[scan.at] == ord("\r"):
                    return _end_line(scan, base, scan.at)
            if (state := _read_name(scan, base)) != SCANNED:
                return state
        at = cython.cast(uint32_t, _end_of_value(base + scan.at, base + scan.end) - base)
        scan.at = at
        if at + 2 > scan.end or base[at] != ord("\r") or base[at + 1] != ord("\n"):
            return _unfinished_value(scan, base)
        value = scan.line + scan.name_len + 1
        while value < at and (base[value] == ord(" ") or base[value] == ord("\t")):
            value += 1
        while at > value and (base[at - 1] == ord(" ") or base[at - 1] == ord("\t")):
            at -= 1
        if (state := _add(head, scan, base, value, at)) != SCANNED:
            return state
        scan.at = scan.line = scan.at + 2
        scan.name_len = 0


@cython.cfunc
@cython.exceptval(check=False)
def _unfinished_value(scan: cython.pointer(Scan), base: cython.p_const_char) -> cython.int:
    """The value stops at scan.at without CR LF behind it: at the end of the bytes at hand, or at a byte it may not hold."""
    if scan.at == scan.end:
        return MORE
    if base[scan.at] == ord("\r"):
        if scan.at + 1 == scan.end:
            return MORE
        return fail(scan, BAD_REQUEST, b"CR without LF")
    if base[scan.at] == ord("\n"):
        return fail(scan, BAD_REQUEST, b"line ends with a bare LF")
    return fail(scan, BAD_REQUEST, b"control byte in a header value")
