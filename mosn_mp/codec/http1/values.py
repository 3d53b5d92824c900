"""What the framing and connection fields of an HTTP/1 head say: Host, Content-Length, Transfer-Encoding, Connection.

RFC 9110 sections 7.2 (Host), 7.6.1 (Connection), 8.6 (Content-Length); RFC 9112 section 6.1 (Transfer-Encoding). Where two
implementations could read a value differently it is refused: a leading zero, a sign, a list where one value belongs.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint8_t, uint32_t
from cython.cimports.mosn_mp.buffer.head import (
    HOP,
    K_CONNECTION,
    K_OTHER,
    Field,
    Head,
    same_name,
)
from cython.cimports.mosn_mp.buffer.octets import HEX, HOST, TOKEN
from cython.cimports.mosn_mp.codec.http1.scan import BROKEN, SCANNED, Scan, fail

from mosn_mp.errors import Reason

BAD_REQUEST = cython.declare(cython.int, int(Reason.BAD_REQUEST))

MAX_LENGTH = cython.declare(int64_t, 0x7FFFFFFFFFFFFFFF)
MAX_PORT = cython.declare(cython.int, 65535)
# Elements of all Connection fields of a head. Each is looked for among all fields: without a limit 60 KB of `a,a,a` cost 15 ms.
# Real clients send one or two.
MAX_OPTIONS = cython.declare(cython.int, 32)

# Fields for all recipients: naming one in Connection would make a proxy strip it (hop-by-hop abuse), and a trailer
# of that name would change how the head was understood (RFC 9110 section 6.5.1). Kept lower-case, one blank between.
END_TO_END = cython.declare(
    cython.p_const_char,
    b" host content-length transfer-encoding authorization cookie set-cookie content-type content-encoding content-range"
    b" expect forwarded x-real-ip x-request-id cache-control origin www-authenticate location range via"
    b" x-mosn-global-timeout x-mosn-try-timeout ",
)


@cython.cfunc
@cython.exceptval(check=False)
def _end_of_host(text: cython.p_const_char, length: uint32_t) -> uint32_t:
    """Where the host ends and the port or nothing begins; *length* + 1 if it is no host (RFC 3986 section 3.2.2).

    Commas are refused although a reg-name may hold them: what a list of hosts means differs between implementations.
    """
    at: uint32_t = 0
    byte: uint8_t
    if length and text[0] == ord("["):
        at = 1
        while at < length and (HEX[cython.cast(uint8_t, text[at])] < 16 or text[at] == ord(":") or text[at] == ord(".")):
            at += 1
        return at + 1 if at < length and at > 2 and text[at] == ord("]") else length + 1
    while at < length and text[at] != ord(":"):
        byte = text[at]
        if HOST[byte]:
            at += 1
            continue
        if (
            byte != ord("%")
            or at + 2 >= length
            or (HEX[cython.cast(uint8_t, text[at + 1])] | HEX[cython.cast(uint8_t, text[at + 2])]) > 15
        ):
            return length + 1
        at += 3
    return at


def is_authority(text: cython.p_const_char, length: uint32_t, port_needed: cython.bint) -> cython.bint:
    """True for `host` or `host:port` without user information; *port_needed*: only for `host:port`, both present."""
    at: uint32_t = _end_of_host(text, length)
    port: cython.int = 0
    if at >= length:
        return at == length and not port_needed
    if text[at] != ord(":") or at == 0:
        return False
    if at + 1 == length:
        return not port_needed
    at += 1
    while at < length:
        if not 0x30 <= text[at] <= 0x39:
            return False
        port = port * 10 + (text[at] - 0x30)
        if port > MAX_PORT:
            return False
        at += 1
    return True


def read_length(text: cython.p_const_char, length: uint32_t) -> int64_t:
    """A Content-Length, or -1: digits only, no leading zero, at most 2^63-1."""
    total: int64_t = 0
    i: uint32_t
    digit: int64_t
    if length == 0 or (length > 1 and text[0] == ord("0")):
        return -1
    for i in range(length):
        digit = text[i] - 0x30
        if not 0 <= digit <= 9 or total > (MAX_LENGTH - digit) // 10:
            return -1
        total = total * 10 + digit
    return total


def read_coding(text: cython.p_const_char, length: uint32_t) -> cython.int:
    """What a Transfer-Encoding value asks for; chunked anywhere but alone or last is malformed."""
    at: uint32_t = 0
    start: uint32_t
    last: uint32_t
    if length == 7 and same_name(text, b"chunked", 7):
        return CODING_CHUNKED
    while True:
        start = at
        while at < length and TOKEN[cython.cast(uint8_t, text[at])]:
            at += 1
        last = at - start
        if last == 0:
            return CODING_MALFORMED
        if at == length:
            return CODING_UNKNOWN
        while at < length and (text[at] == ord(" ") or text[at] == ord("\t")):
            at += 1
        if at == length or text[at] != ord(",") or (last == 7 and same_name(text + start, b"chunked", 7)):
            return CODING_MALFORMED
        at += 1
        while at < length and (text[at] == ord(" ") or text[at] == ord("\t")):
            at += 1


@cython.cfunc
@cython.exceptval(check=False)
def _next_token(text: cython.p_const_char, length: uint32_t, at: cython.pointer(uint32_t)) -> uint32_t:
    """Move *at* to the next list element and return where it ends; both at *length*: there is none (RFC 9110 section 5.6.1)."""
    end: uint32_t
    while at[0] < length and (text[at[0]] == ord(" ") or text[at[0]] == ord("\t") or text[at[0]] == ord(",")):
        at[0] += 1
    end = at[0]
    while end < length and text[end] != ord(" ") and text[end] != ord("\t") and text[end] != ord(","):
        end += 1
    return end


def lists_token(text: cython.p_const_char, length: uint32_t, token: cython.p_const_char, token_len: uint32_t) -> cython.bint:
    """True if the comma-separated list has that element, whatever its case."""
    at: uint32_t = 0
    end: uint32_t
    while True:
        end = _next_token(text, length, cython.address(at))
        if end == at:
            return False
        if end - at == token_len and same_name(text + at, token, token_len):
            return True
        at = end


def is_end_to_end(name: cython.p_const_char, length: uint32_t) -> cython.bint:
    """True for names that must reach the other side: security, routing and framing fields."""
    list_: cython.p_const_char = END_TO_END
    start: cython.p_const_char
    if length > 12 and same_name(name, b"x-forwarded-", 12):
        return True
    while list_[1] != 0:
        start = list_ + 1
        list_ = start
        while list_[0] != ord(" "):
            list_ += 1
        if list_ - start == length and same_name(name, start, length):
            return True
    return False


@cython.cfunc
@cython.exceptval(check=False)
def _nominate(head: Head, name: cython.p_const_char, length: uint32_t) -> cython.void:
    """Every field of that name concerns this connection only."""
    i: cython.int
    field: cython.pointer(Field)
    for i in range(head.count):
        field = head.fields + i
        if field.name_len == length and same_name(head.at(field.name_at), name, length):
            field.flags |= HOP


@cython.cfunc
@cython.exceptval(check=False)
def _read_option(
    head: Head, scan: cython.pointer(Scan), options: cython.pointer(Options), text: cython.p_const_char, length: uint32_t
) -> cython.int:
    i: uint32_t
    if length == 5 and same_name(text, b"close", 5):
        options.close = True
        return SCANNED
    if length == 10 and same_name(text, b"keep-alive", 10):
        options.keep_alive = True
        return SCANNED
    if length == 7 and same_name(text, b"upgrade", 7):
        options.upgrade = True
        return SCANNED
    for i in range(length):
        if not TOKEN[cython.cast(uint8_t, text[i])]:
            return fail(scan, BAD_REQUEST, b"malformed Connection header")
    if is_end_to_end(text, length):
        return fail(scan, BAD_REQUEST, b"Connection names an end-to-end header")
    _nominate(head, text, length)
    return SCANNED


def read_connection(head: Head, scan: cython.pointer(Scan), options: cython.pointer(Options)) -> cython.int:
    """Collect what all Connection fields say, and mark the fields they nominate as HOP; more than MAX_OPTIONS are refused."""
    options.close = options.keep_alive = options.upgrade = False
    i: cython.int
    count: cython.int = 0
    at: uint32_t
    end: uint32_t
    field: cython.pointer(Field)
    text: cython.p_const_char
    for i in range(head.known_at[K_CONNECTION], head.count):
        field = head.fields + i
        if field.known != K_CONNECTION:
            continue
        text = head.at(field.value_at)
        at = 0
        while True:
            end = _next_token(text, field.value_len, cython.address(at))
            if end == at:
                break
            count += 1
            if count > MAX_OPTIONS:
                return fail(scan, BAD_REQUEST, b"too many options in Connection")
            if _read_option(head, scan, options, text + at, end - at) != SCANNED:
                return BROKEN
            at = end
    return SCANNED


def check_trailers(trailers: Head, scan: cython.pointer(Scan)) -> cython.int:
    """Refuse trailer fields that belong into the head (RFC 9110 section 6.5.1)."""
    i: cython.int
    field: cython.pointer(Field)
    for i in range(trailers.count):
        field = trailers.fields + i
        if field.known != K_OTHER or is_end_to_end(trailers.at(field.name_at), field.name_len):
            return fail(scan, BAD_REQUEST, b"field is not allowed as a trailer")
    return SCANNED
