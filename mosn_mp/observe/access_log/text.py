"""Numbers, times, durations and foreign text written straight into a log line's C buffer.

Durations read as Go's time.Duration.String() and times as Go's layout `2006/01/02 15:04:05.000`, because that is what MOSN's log
shows and what its users' tools parse. Foreign text is escaped as nginx does (ngx_http_log_escape): a byte that could end the
line, close a quote or confuse a terminal becomes \\xHH, so that no client can forge a line.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.mosn_mp.observe.access_log.calendar import localtime_r, time_t, tm

HEX = cython.declare(cython.p_char, b"0123456789ABCDEF")
# "00" "01" ... "99": two digits a step halve the divisions of a long number.
PAIRS_TEXT = cython.declare(bytes, b"".join(b"%02d" % i for i in range(100)))
PAIRS = cython.declare(cython.p_char, PAIRS_TEXT)
SAFE = cython.declare(cython.uchar[256])
for _byte in range(256):
    SAFE[_byte] = 0x20 <= _byte < 0x7F and _byte not in b'"\\'


def put_byte(cursor: cython.pointer(Cursor), byte: cython.char) -> cython.void:
    """One byte."""
    if cursor.at < cursor.end:
        cursor.at[0] = byte
        cursor.at += 1
    else:
        cursor.cut = True


def put_text(cursor: cython.pointer(Cursor), text: cython.p_const_char, length: cython.size_t) -> cython.void:
    """Our own text, as it is."""
    room: cython.size_t = cursor.end - cursor.at
    if length > room:
        length = room
        cursor.cut = True
    memcpy(cursor.at, text, length)
    cursor.at += length


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def put_digits(digits: cython.p_char, value: uint64_t) -> cython.int:
    """Decimal digits of *value*, right-aligned in the 20 bytes at *digits*; the index of the first one."""
    at: cython.int = 20
    pair: cython.p_char
    while value >= 100:
        pair = PAIRS + 2 * (value % 100)
        value //= 100
        at -= 2
        digits[at] = pair[0]
        digits[at + 1] = pair[1]
    if value >= 10:
        pair = PAIRS + 2 * value
        at -= 2
        digits[at] = pair[0]
        digits[at + 1] = pair[1]
    else:
        at -= 1
        digits[at] = 48 + cython.cast(cython.int, value)
    return at


def put_number(cursor: cython.pointer(Cursor), value: uint64_t) -> cython.void:
    """*value* in decimal."""
    digits: cython.char[20]
    first: cython.int = put_digits(digits, value)
    put_text(cursor, cython.address(digits[first]), 20 - first)


def put_hex(cursor: cython.pointer(Cursor), value: uint32_t) -> cython.void:
    """*value* as 0x2000."""
    digits: cython.char[8]
    at: cython.int = 8
    while True:
        at -= 1
        digits[at] = HEX[value & 15]
        value >>= 4
        if value == 0:
            break
    put_text(cursor, b"0x", 2)
    put_text(cursor, cython.address(digits[at]), 8 - at)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put_fraction(cursor: cython.pointer(Cursor), whole: uint64_t, part: uint32_t, width: cython.int) -> cython.void:
    """*whole*.*part* where part has *width* digits; trailing zeros, and the point before nothing, are left out as in Go."""
    digits: cython.char[20]
    first: cython.int
    last: cython.int = 20
    put_number(cursor, whole)
    if part == 0:
        return
    first = put_digits(digits, part)
    while first > 20 - width:
        first -= 1
        digits[first] = 48
    while digits[last - 1] == 48:
        last -= 1
    put_byte(cursor, 46)
    put_text(cursor, cython.address(digits[first]), last - first)


def put_duration(cursor: cython.pointer(Cursor), duration_us: int64_t) -> cython.void:
    """Go's Duration.String(): 0s, 12\\xc2\\xb5s, 1.234ms, 1.5s, 2m0.25s, 1h0m1s. Negative (a clock that was never set): 0s."""
    us: uint64_t = duration_us if duration_us > 0 else 0
    seconds: uint64_t
    if us == 0:
        put_text(cursor, b"0s", 2)
    elif us < 1000:
        put_number(cursor, us)
        put_text(cursor, b"\xc2\xb5s", 3)
    elif us < 1000000:
        put_fraction(cursor, us // 1000, us % 1000, 3)
        put_text(cursor, b"ms", 2)
    else:
        seconds = us // 1000000
        if seconds >= 3600:
            put_number(cursor, seconds // 3600)
            put_byte(cursor, 104)
        if seconds >= 60:
            put_number(cursor, seconds // 60 % 60)
            put_byte(cursor, 109)
        put_fraction(cursor, seconds % 60, us % 1000000, 6)
        put_byte(cursor, 115)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def put_pair(out: cython.p_char, value: cython.int) -> cython.void:
    """Two decimal digits at *out*."""
    memcpy(out, PAIRS + 2 * value, 2)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def renew(stamp: cython.pointer(Stamp), second: int64_t) -> cython.void:
    """*stamp* becomes the text of *second* in local time (Go's Format does so too)."""
    fields: tm
    moment: time_t = second
    text: cython.p_char = stamp.text
    localtime_r(cython.address(moment), cython.address(fields))
    put_pair(text, (fields.tm_year + 1900) // 100 % 100)
    put_pair(text + 2, (fields.tm_year + 1900) % 100)
    text[4] = text[7] = 47
    put_pair(text + 5, fields.tm_mon + 1)
    put_pair(text + 8, fields.tm_mday)
    text[10] = 32
    put_pair(text + 11, fields.tm_hour)
    text[13] = text[16] = 58
    put_pair(text + 14, fields.tm_min)
    put_pair(text + 17, fields.tm_sec)
    stamp.second = second


def put_time(cursor: cython.pointer(Cursor), wall_us: int64_t, stamp: cython.pointer(Stamp)) -> cython.void:
    """2006/01/02 15:04:05.000 of *wall_us* >= 0; *stamp* keeps the text of the second, which thousands of lines share."""
    second: int64_t = wall_us // 1000000
    millis: cython.int = wall_us // 1000 % 1000
    tail: cython.char[4]
    if second != stamp.second:
        renew(stamp, second)
    put_text(cursor, stamp.text, STAMP_TEXT)
    tail[0] = 46
    tail[1] = 48 + millis // 100
    put_pair(cython.address(tail[2]), millis % 100)
    put_text(cursor, tail, 4)


def put_escaped(cursor: cython.pointer(Cursor), text: cython.p_const_char, length: cython.size_t) -> cython.void:
    """Foreign text: control bytes, quote, backslash and bytes above 0x7E become \\xHH. A cut never splits such a group."""
    run: cython.size_t = 0
    byte: cython.uchar
    i: cython.size_t
    for i in range(length):
        byte = cython.cast(cython.uchar, text[i])
        if SAFE[byte]:
            continue
        put_text(cursor, text + run, i - run)
        run = i + 1
        if cursor.end - cursor.at < 4:
            cursor.cut = True
            return
        cursor.at[0] = 92
        cursor.at[1] = 120
        cursor.at[2] = HEX[byte >> 4]
        cursor.at[3] = HEX[byte & 15]
        cursor.at += 4
    put_text(cursor, text + run, length - run)


def put_name(cursor: cython.pointer(Cursor), name: bytes | None) -> cython.void:
    """A text, escaped: server names come from clients, the others from a config that may hold anything."""
    if name is None or PyBytes_GET_SIZE(name) == 0:
        put_byte(cursor, 45)
    else:
        put_escaped(cursor, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))


def put_slice(cursor: cython.pointer(Cursor), text: cython.p_char, length: cython.size_t) -> cython.void:
    """Foreign bytes, `-` when there are none."""
    if length:
        put_escaped(cursor, text, length)
    else:
        put_byte(cursor, 45)


def duration_text(duration_us: int64_t) -> bytes:
    """put_duration as bytes."""
    text: cython.char[64]
    cursor: Cursor
    cursor.at = text
    cursor.end = text + 64
    put_duration(cython.address(cursor), duration_us)
    return PyBytes_FromStringAndSize(text, cursor.at - text)


def time_text(wall_us: int64_t) -> bytes:
    """put_time as bytes."""
    text: cython.char[64]
    cursor: Cursor
    stamp: Stamp
    stamp.second = -1
    cursor.at = text
    cursor.end = text + 64
    put_time(cython.address(cursor), wall_us, cython.address(stamp))
    return PyBytes_FromStringAndSize(text, cursor.at - text)


def escaped_text(text: bytes, room: uint32_t = 4096) -> bytes:
    """put_escaped as bytes, into *room* bytes at most."""
    out: bytes = PyBytes_FromStringAndSize(cython.NULL, room)
    cursor: Cursor
    cursor.at = PyBytes_AS_STRING(out)
    cursor.end = cursor.at + room
    put_escaped(cython.address(cursor), PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    return out[: cursor.at - PyBytes_AS_STRING(out)]
