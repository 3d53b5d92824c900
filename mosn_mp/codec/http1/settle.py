"""What a complete HTTP/1 head means: target, authority, framing of the body, persistence, upgrade.

RFC 9112 section 3.2 (target forms, Host), 6.3 (message body length), 9.3 (persistence); RFC 9110 sections 7.8 (Upgrade),
9.3.6 (CONNECT), 10.1.1 (Expect). Smuggling is impossible by refusing every head that two readers could frame differently.

request has                 framing           response has                                  framing
neither field               none              1xx, 204, answer to HEAD                      none
one Content-Length          length            304                                           none
Transfer-Encoding: chunked  chunked           2xx to CONNECT, 101 that was asked for        tunnel
anything else               refused           Transfer-Encoding: chunked                    chunked
                                              one Content-Length                            length
                                              neither                                       until close
                                              anything else                                 refused

One piece: both columns are judged by the same few facts of a head.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t
from cython.cimports.mosn_mp.buffer.head import (
    F_CHUNKED,
    F_LENGTH,
    F_NONE,
    F_UNTIL_CLOSE,
    HOP,
    K_CONNECTION,
    K_CONTENT_LENGTH,
    K_EXPECT,
    K_HOST,
    K_TRAILER,
    K_TRANSFER_ENCODING,
    K_UPGRADE,
    M_CONNECT,
    M_HEAD,
    M_OPTIONS,
    Field,
    Head,
    same_name,
)
from cython.cimports.mosn_mp.codec.http1.scan import BROKEN, SCANNED, Scan, fail
from cython.cimports.mosn_mp.codec.http1.values import (
    CODING_CHUNKED,
    CODING_UNKNOWN,
    Options,
    is_authority,
    lists_token,
    read_coding,
    read_connection,
    read_length,
)

from mosn_mp.errors import Reason

BAD_REQUEST = cython.declare(cython.int, int(Reason.BAD_REQUEST))
BODY_TOO_LARGE = cython.declare(cython.int, int(Reason.BODY_TOO_LARGE))
METHOD_NOT_IMPLEMENTED = cython.declare(cython.int, int(Reason.METHOD_NOT_IMPLEMENTED))

FRAMING_NAMES = cython.declare(uint32_t, 1 << K_CONTENT_LENGTH | 1 << K_TRANSFER_ENCODING)
SINGLE_NAMES = cython.declare(uint32_t, 1 << K_CONTENT_LENGTH | 1 << K_TRANSFER_ENCODING | 1 << K_HOST)
RARE_NAMES = cython.declare(uint32_t, 1 << K_CONNECTION | 1 << K_EXPECT | 1 << K_TRAILER | 1 << K_UPGRADE)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _first(head: Head, known: cython.int) -> cython.pointer(Field):
    return head.fields + head.known_at[known]


@cython.cfunc
@cython.exceptval(check=False)
def _flag_all(head: Head, known: cython.int, hop: cython.bint) -> cython.void:
    """Set or clear HOP on all fields of that name."""
    i: cython.int
    for i in range(head.known_at[known] if head.known_at[known] >= 0 else head.count, head.count):
        if head.fields[i].known == known:
            head.fields[i].flags = head.fields[i].flags | HOP if hop else head.fields[i].flags & ~HOP


@cython.cfunc
@cython.exceptval(check=False)
def _settle_host(head: Head, scan: cython.pointer(Scan)) -> cython.int:
    """The authority from Host: exactly one in HTTP/1.1, at most one in HTTP/1.0."""
    field: cython.pointer(Field)
    if head.known_at[K_HOST] < 0:
        return SCANNED if head.version == 10 else fail(scan, BAD_REQUEST, b"Host is missing")
    field = _first(head, K_HOST)
    if not is_authority(head.base + field.value_at, field.value_len, False):
        return fail(scan, BAD_REQUEST, b"malformed Host")
    head.authority.at = field.value_at
    head.authority.len = field.value_len
    return SCANNED


@cython.cfunc
@cython.exceptval(check=False)
def _is_host(head: Head, at: uint32_t, length: uint32_t) -> cython.bint:
    """True if Host, where there is one, says the same authority as the target."""
    if head.known_at[K_HOST] < 0:
        return True
    return head.authority.len == length and same_name(head.base + head.authority.at, head.base + at, length)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _settle_absolute(head: Head, scan: cython.pointer(Scan)) -> cython.int:
    """`http://authority/path?query`: split it; a Host that says something else is an attack or a mistake, so it is refused."""
    text: cython.p_const_char = head.base + head.path.at
    scheme: uint32_t = 0
    at: uint32_t
    start: uint32_t
    if head.path.len > 7 and same_name(text, b"http://", 7):
        scheme = 4
    elif head.path.len > 8 and same_name(text, b"https://", 8):
        scheme = 5
    else:
        return fail(scan, BAD_REQUEST, b"malformed request target")
    start = at = scheme + 3
    while at < head.path.len and text[at] != ord("/") and text[at] != ord("?"):
        at += 1
    if at == start or not is_authority(text + start, at - start, False):
        return fail(scan, BAD_REQUEST, b"malformed authority in the request target")
    if not _is_host(head, head.path.at + start, at - start):
        return fail(scan, BAD_REQUEST, b"authority of the request target is not Host")
    head.scheme.at = head.path.at
    head.scheme.len = scheme
    head.authority.at = head.path.at + start
    head.authority.len = at - start
    start = head.path.at + at
    head.path.len -= at
    head.path.at = start
    if head.path.len == 0:
        head.set_slice(cython.address(head.path), b"*" if head.method_id == M_OPTIONS else b"/", 1)
    elif head.base[start] == ord("?"):
        # the query and the slash before it have to lie side by side
        at = head.store(b"/", 1)
        head.store(head.base + start, head.path.len)
        head.path.at = at
        head.path.len += 1
    return SCANNED


@cython.cfunc
@cython.exceptval(-1, check=False)
def _settle_target(head: Head, scan: cython.pointer(Scan)) -> cython.int:
    """Origin, absolute, authority or asterisk form (RFC 9112 section 3.2)."""
    first: cython.char = head.base[head.path.at]
    if head.method_id == M_CONNECT:
        if not is_authority(head.base + head.path.at, head.path.len, True):
            return fail(scan, BAD_REQUEST, b"CONNECT needs host:port")
        if not _is_host(head, head.path.at, head.path.len):
            return fail(scan, BAD_REQUEST, b"authority of the request target is not Host")
        head.authority = head.path
        head.path.at = head.path.len = 0
        return SCANNED
    if first == ord("/"):
        return SCANNED
    if first == ord("*"):
        if head.method_id != M_OPTIONS or head.path.len != 1:
            return fail(scan, BAD_REQUEST, b"asterisk target outside OPTIONS")
        return SCANNED
    return _settle_absolute(head, scan)


@cython.cfunc
@cython.exceptval(check=False)
def _settle_framing(head: Head, scan: cython.pointer(Scan), max_body: int64_t) -> cython.int:
    """Content-Length or Transfer-Encoding, of which at least one is there and neither is repeated."""
    field: cython.pointer(Field)
    coding: cython.int
    if scan.seen & FRAMING_NAMES == FRAMING_NAMES:
        return fail(scan, BAD_REQUEST, b"both Content-Length and Transfer-Encoding")
    if head.known_at[K_TRANSFER_ENCODING] >= 0:
        if head.version == 10:
            return fail(scan, BAD_REQUEST, b"Transfer-Encoding in HTTP/1.0")
        field = _first(head, K_TRANSFER_ENCODING)
        coding = read_coding(head.base + field.value_at, field.value_len)
        if coding == CODING_UNKNOWN:
            return fail(scan, METHOD_NOT_IMPLEMENTED, b"transfer coding is not chunked")
        if coding != CODING_CHUNKED:
            return fail(scan, BAD_REQUEST, b"malformed Transfer-Encoding")
        head.framing = F_CHUNKED
        return SCANNED
    field = _first(head, K_CONTENT_LENGTH)
    head.content_length = read_length(head.base + field.value_at, field.value_len)
    if head.content_length < 0:
        return fail(scan, BAD_REQUEST, b"malformed Content-Length")
    if 0 <= max_body < head.content_length:
        return fail(scan, BODY_TOO_LARGE, b"Content-Length is above the limit")
    head.framing = F_LENGTH
    return SCANNED


@cython.cfunc
@cython.exceptval(check=False)
def _settle_rare(head: Head, scan: cython.pointer(Scan)) -> cython.int:
    """Connection, Expect, Trailer and Upgrade of a request."""
    options: Options
    field: cython.pointer(Field)
    options.upgrade = False
    if head.known_at[K_CONNECTION] >= 0:
        if read_connection(head, scan, cython.address(options)) != SCANNED:
            return BROKEN
        head.keep_alive = not options.close and (options.keep_alive or head.version == 11)
    if head.known_at[K_EXPECT] >= 0 and head.version == 11:
        field = _first(head, K_EXPECT)
        head.expect_continue = field.value_len == 12 and same_name(head.base + field.value_at, b"100-continue", 12)
    if head.known_at[K_TRAILER] >= 0 and head.framing == F_CHUNKED:
        _flag_all(head, K_TRAILER, False)  # trailers are passed on, so their announcement is
    if head.known_at[K_UPGRADE] >= 0:
        # Without Connection: upgrade it is not meant for us; with a body the tunnel could begin inside it; h2c would carry
        # requests past the routes.
        field = _first(head, K_UPGRADE)
        head.upgrade = (
            options.upgrade
            and head.version == 11
            and head.framing == F_NONE
            and head.method_id != M_CONNECT
            and not scan.repeated >> K_UPGRADE & 1
            and not lists_token(head.base + field.value_at, field.value_len, b"h2c", 3)
        )
        if not head.upgrade:
            _flag_all(head, K_UPGRADE, True)
    return SCANNED


def settle_request(head: Head, scan: cython.pointer(Scan), max_body: int64_t) -> cython.int:
    """Fill in authority, path, framing, keep_alive, expect_continue and upgrade of a request, or BROKEN."""
    state: cython.int
    if scan.repeated & SINGLE_NAMES:
        return fail(scan, BAD_REQUEST, b"Host, Content-Length or Transfer-Encoding twice")
    if _settle_host(head, scan) != SCANNED:
        return BROKEN
    if (state := _settle_target(head, scan)) != SCANNED:
        return state
    if scan.seen & FRAMING_NAMES:
        if head.method_id == M_CONNECT:
            return fail(scan, BAD_REQUEST, b"CONNECT with a body")
        if _settle_framing(head, scan, max_body) != SCANNED:
            return BROKEN
    head.keep_alive = head.version == 11
    return _settle_rare(head, scan) if scan.seen & RARE_NAMES else SCANNED


@cython.cfunc
@cython.exceptval(check=False)
def _settle_bodyless(head: Head, scan: cython.pointer(Scan)) -> cython.int:
    """1xx and 204: no framing field is allowed (RFC 9110 section 8.6), but the common `Content-Length: 0` is harmless."""
    if head.known_at[K_TRANSFER_ENCODING] >= 0:
        return fail(scan, BAD_REQUEST, b"Transfer-Encoding in a response without a body")
    if head.known_at[K_CONTENT_LENGTH] >= 0:
        if _settle_framing(head, scan, -1) != SCANNED:
            return BROKEN
        if head.content_length != 0:
            return fail(scan, BAD_REQUEST, b"Content-Length in a response without a body")
        _flag_all(head, K_CONTENT_LENGTH, True)
        head.content_length = -1
        head.framing = F_NONE
    return SCANNED


@cython.cfunc
@cython.exceptval(check=False)
def _settle_switch(head: Head, scan: cython.pointer(Scan), upgraded: cython.bint) -> cython.int:
    """101: only as the answer to a request that asked for it, and saying to what (RFC 9110 section 15.2.2)."""
    if not upgraded:
        return fail(scan, BAD_REQUEST, b"101 that was not asked for")
    if head.known_at[K_UPGRADE] < 0 or not head.upgrade:
        return fail(scan, BAD_REQUEST, b"101 without Upgrade")
    return _settle_bodyless(head, scan)


def settle_response(
    head: Head, scan: cython.pointer(Scan), max_body: int64_t, request_method: cython.int, upgrade_asked: cython.bint
) -> cython.int:
    """Fill in framing, keep_alive and upgrade of a response to a request of that method, or BROKEN."""
    options: Options
    options.upgrade = False
    if scan.repeated & FRAMING_NAMES:
        return fail(scan, BAD_REQUEST, b"Content-Length or Transfer-Encoding twice")
    head.keep_alive = head.version == 11
    if head.known_at[K_CONNECTION] >= 0:
        if read_connection(head, scan, cython.address(options)) != SCANNED:
            return BROKEN
        head.keep_alive = not options.close and (options.keep_alive or head.version == 11)
    if head.known_at[K_UPGRADE] >= 0:
        # it means something in 101 and 426 only; elsewhere it advertises what the next hop may not want (Apache: h2c)
        head.upgrade = options.upgrade and (head.status == 101 or head.status == 426)
        if not head.upgrade:
            _flag_all(head, K_UPGRADE, True)
    if head.status == 101:
        return _settle_switch(head, scan, upgrade_asked)
    if head.status < 200 or head.status == 204:
        return _settle_bodyless(head, scan)
    if request_method == M_CONNECT and head.status < 300:
        # RFC 9110 section 9.3.6: framing fields of a successful answer are ignored
        _flag_all(head, K_CONTENT_LENGTH, True)
        return SCANNED
    if scan.seen & FRAMING_NAMES:
        if _settle_framing(head, scan, -1 if request_method == M_HEAD or head.status == 304 else max_body) != SCANNED:
            return BROKEN
    elif request_method != M_HEAD and head.status != 304:
        head.framing = F_UNTIL_CLOSE
        head.keep_alive = False
    if head.known_at[K_TRAILER] >= 0 and head.framing == F_CHUNKED:
        _flag_all(head, K_TRAILER, False)
    return SCANNED
