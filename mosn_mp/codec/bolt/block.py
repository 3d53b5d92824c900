"""The header block of a bolt frame (sofa-bolt SimpleMapSerializer, MOSN pkg/header): key, value, each behind its length.

    | key length 4 | key | value length 4 | value | key length 4 | ...       a length of ffffffff is null: the pair does not count

Pseudo-headers of a request come from the keys x-mosn-method, x-mosn-path and x-mosn-host, which are written when a head of
another protocol becomes a frame; without them a request is `POST /<service>/<sofa_head_method_name>`. Both texts are put at the
begin of the overlay, before any edit can be: an offset into the overlay beyond them is an edited pseudo-header.

    overlay --> | POST | /service | / | method | edits ...
                 ^METHOD_AT ^PATH_AT
"""

import cython
from cython.cimports.libc.stdint import uint16_t, uint32_t
from cython.cimports.libc.string import memcmp, memcpy
from cython.cimports.mosn_mp.buffer.head import (
    HOP,
    K_CONTENT_LENGTH,
    K_HOST,
    M_POST,
    OVERLAY,
    REMOVED,
    Field,
    Head,
    Slice,
    known_name,
    method_number,
)
from cython.cimports.mosn_mp.codec.bolt.endian import get32, put32

NULL_LENGTH = cython.declare(uint32_t, 0xFFFFFFFF)
METHOD_AT = cython.declare(uint32_t, 0x80000000)
PATH_AT = cython.declare(uint32_t, 0x80000004)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _note_key(keys: cython.pointer(Keys), name: cython.p_const_char, length: uint32_t, index: cython.int) -> cython.void:
    """Remember the first field of each name that pseudo-headers come from; by length, so that others cost no comparison."""
    if length == 7:
        if keys.service < 0 and memcmp(name, b"service", 7) == 0:
            keys.service = index
    elif length == 21:
        if keys.method_name < 0 and memcmp(name, b"sofa_head_method_name", 21) == 0:
            keys.method_name = index
    elif length == 11:
        if keys.path < 0 and memcmp(name, b"x-mosn-path", 11) == 0:
            keys.path = index
        elif keys.host < 0 and memcmp(name, b"x-mosn-host", 11) == 0:
            keys.host = index
    elif length == 13:
        if keys.method < 0 and memcmp(name, b"x-mosn-method", 13) == 0:
            keys.method = index


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _wrong(keys: cython.pointer(Keys), wrong: cython.p_const_char) -> cython.bint:
    keys.wrong = wrong
    return False


def read_block(head: Head, at: uint32_t, length: uint32_t, max_fields: cython.int, keys: cython.pointer(Keys)) -> cython.bint:
    """Append the fields of the block at offset *at*; False: keys.wrong says what is wrong with it."""
    end: uint32_t = at + length
    name_at: uint32_t
    name_len: uint32_t
    value_len: uint32_t
    base: cython.p_const_char = head.base
    keys.service = keys.method_name = keys.method = keys.path = keys.host = -1
    keys.too_many = False
    while at < end:
        if end - at < 4:
            return _wrong(keys, b"header block ends inside a length")
        name_len = get32(base + at)
        at += 4
        name_at = at
        if name_len != NULL_LENGTH:
            if name_len > end - at:
                return _wrong(keys, b"key is longer than its header block")
            at += name_len
        if end - at < 4:
            return _wrong(keys, b"header block ends behind a key")
        value_len = get32(base + at)
        at += 4
        if value_len == NULL_LENGTH:
            continue
        if value_len > end - at:
            return _wrong(keys, b"value is longer than its header block")
        at += value_len
        if name_len == NULL_LENGTH:
            continue
        if head.count >= max_fields:
            keys.too_many = True
            return _wrong(keys, b"too many header fields")
        _note_key(keys, base + name_at, name_len, head.count)
        head.append(name_at, cython.cast(uint16_t, name_len), at - value_len, value_len, known_name(base + name_at, name_len), 0)
    return True


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _point(slice: cython.pointer(Slice), head: Head, index: cython.int) -> cython.void:
    slice.at = head.fields[index].value_at
    slice.len = head.fields[index].value_len


def settle_request(head: Head, keys: cython.pointer(Keys)) -> cython.int:
    """Point the pseudo-headers of the request just read to their texts."""
    field: cython.pointer(Field)
    head.store(b"POST/", 5)
    head.method.at = METHOD_AT
    head.method.len = 4
    head.method_id = M_POST
    if keys.method >= 0 and head.fields[keys.method].value_len:
        _point(cython.address(head.method), head, keys.method)
        head.method_id = method_number(head.at(head.method.at), head.method.len)
    if keys.host >= 0:
        _point(cython.address(head.authority), head, keys.host)
    if keys.path >= 0 and head.fields[keys.path].value_len:
        _point(cython.address(head.path), head, keys.path)
        return 0
    head.path.at = PATH_AT
    if keys.service >= 0:
        field = head.fields + keys.service
        head.store(head.base + field.value_at, field.value_len)
        if keys.method_name >= 0:
            field = head.fields + keys.method_name
            head.store(b"/", 1)
            head.store(head.base + field.value_at, field.value_len)
    head.path.len = head.overlay_len - 4
    return 0


def edited_pseudos(head: Head) -> cython.int:
    """Which pseudo-headers of a request that settle_request made were edited since."""
    edited: cython.int = 0
    if head.method.at & OVERLAY and head.method.at != METHOD_AT:
        edited |= P_METHOD
    if head.path.at & OVERLAY and head.path.at != PATH_AT:
        edited |= P_PATH
    if head.authority.at & OVERLAY:
        edited |= P_HOST
    return edited


@cython.cfunc
@cython.exceptval(check=False)
def _put_pair(
    at: cython.p_char,
    end: cython.p_char,
    name: cython.p_const_char,
    name_len: uint32_t,
    value: cython.p_const_char,
    value_len: uint32_t,
) -> cython.p_char:
    """Write a pair and return what follows it; NULL if *at* is NULL or it does not fit."""
    if at == cython.NULL or end - at < cython.cast(cython.Py_ssize_t, name_len) + value_len + 8:
        return cython.NULL
    put32(at, name_len)
    memcpy(at + 4, name, name_len)
    at += 4 + name_len
    put32(at, value_len)
    if value_len:  # *value* may be NULL otherwise
        memcpy(at + 4, value, value_len)
    return at + 4 + value_len


@cython.cfunc
@cython.exceptval(check=False)
def _is_replaced(name: cython.p_const_char, length: uint32_t, pseudos: cython.int) -> cython.bint:
    """Is this the field of a pseudo-header that is written anew?"""
    if length == 11:
        return (pseudos & P_PATH and memcmp(name, b"x-mosn-path", 11) == 0) or (
            pseudos & P_HOST and memcmp(name, b"x-mosn-host", 11) == 0
        )
    return length == 13 and pseudos & P_METHOD and memcmp(name, b"x-mosn-method", 13) == 0


def write_block(head: Head, pseudos: cython.int, foreign: cython.bint, at: cython.p_char, end: cython.p_char) -> cython.p_char:
    """Write the live fields, then *pseudos* as fields; returns what follows, or NULL if there is no room.

    *foreign*: of a head of another protocol what its framing and authority say is not said again.
    """
    i: cython.int
    field: cython.pointer(Field)
    for i in range(head.count):
        field = head.fields + i
        if field.flags & (REMOVED | HOP) or (foreign and field.known in (K_HOST, K_CONTENT_LENGTH)):
            continue
        if pseudos and _is_replaced(head.at(field.name_at), field.name_len, pseudos):
            continue
        at = _put_pair(at, end, head.at(field.name_at), field.name_len, head.at(field.value_at), field.value_len)
    if pseudos & P_METHOD:
        at = _put_pair(at, end, b"x-mosn-method", 13, head.at(head.method.at), head.method.len)
    if pseudos & P_PATH:
        at = _put_pair(at, end, b"x-mosn-path", 11, head.at(head.path.at), head.path.len)
    if pseudos & P_HOST:
        at = _put_pair(at, end, b"x-mosn-host", 11, head.at(head.authority.at), head.authority.len)
    return at
