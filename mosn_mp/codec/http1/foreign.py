"""What a head of an RPC protocol becomes before HTTP/1.1 carries it (RFC 9112): nothing in it may end a line or frame a body.

keys that are no tokens, values with control bytes       not written: in HTTP they would be other lines
framing, hop-by-hop, Expect                              not written: they said nothing about this hop
x-mosn-method, x-mosn-path, x-mosn-host                  are the request line and Host
Host                                                     is the authority
path                                                     bytes that a target may not have are escaped (RFC 3986 section 2.1)
a method that is no token, an authority that is no host  POST, none
"""

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t
from cython.cimports.libc.string import memcmp
from cython.cimports.mosn_mp.buffer.head import (
    HOP,
    K_CONTENT_LENGTH,
    K_EXPECT,
    K_HOST,
    K_UPGRADE,
    M_CONNECT,
    M_POST,
    Field,
    Head,
    Slice,
    is_hop_by_hop,
)
from cython.cimports.mosn_mp.buffer.octets import TARGET, TOKEN, VALUE
from cython.cimports.mosn_mp.codec.codec import UNSUPPORTED, WRITTEN
from cython.cimports.mosn_mp.codec.http1.values import is_authority

MAX_PATH = cython.declare(uint32_t, 8192)  # as long a target as is taken from HTTP clients


@cython.cfunc
@cython.exceptval(check=False)
def _is_writable(head: Head, field: cython.pointer(Field)) -> cython.bint:
    """May this field stand in an HTTP head as it is?"""
    i: uint32_t
    name: cython.p_const_char = head.at(field.name_at)
    value: cython.p_const_char = head.at(field.value_at)
    if field.known in (K_CONTENT_LENGTH, K_EXPECT, K_UPGRADE) or is_hop_by_hop(field.known) or field.name_len == 0:
        return False
    for i in range(field.name_len):
        if not TOKEN[cython.cast(uint8_t, name[i])]:
            return False
    for i in range(field.value_len):
        if not VALUE[cython.cast(uint8_t, value[i])]:
            return False
    return True


@cython.cfunc
@cython.exceptval(check=False)
def _is_pseudo(name: cython.p_const_char, length: uint32_t) -> cython.bint:
    """The keys that carry pseudo-headers through RPC protocols."""
    if length == 11:
        return memcmp(name, b"x-mosn-path", 11) == 0 or memcmp(name, b"x-mosn-host", 11) == 0
    return length == 13 and memcmp(name, b"x-mosn-method", 13) == 0


@cython.cfunc
@cython.exceptval(check=False)
def _settle_authority(head: Head) -> cython.void:
    """One Host, from the authority; a Host field stands in where there is none."""
    host: cython.int = head.known_at[K_HOST]
    if head.authority.len == 0 and host >= 0:
        head.authority.at = head.fields[host].value_at
        head.authority.len = head.fields[host].value_len
    while host >= 0:
        head.drop_field(host)
        host = head.known_at[K_HOST]
    if not is_authority(head.at(head.authority.at), head.authority.len, False):
        head.authority.len = 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _settle_method(head: Head) -> cython.int:
    i: uint32_t
    for i in range(head.method.len):
        if not TOKEN[cython.cast(uint8_t, head.at(head.method.at)[i])]:
            break
    else:
        if head.method.len:
            return 0
    head.method_id = M_POST
    return head.set_slice(cython.address(head.method), b"POST", 4)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _settle_path(head: Head) -> cython.int:
    """A path that begins with `/` and has no byte that a target may not have; written anew only if it has to be."""
    i: uint32_t
    byte: uint8_t
    old: Slice = head.path
    escape: cython.char[3]
    digits: cython.p_const_char = b"0123456789ABCDEF"
    is_clean: cython.bint = old.len > 0 and head.at(old.at)[0] == ord("/")
    for i in range(old.len):
        is_clean = is_clean and TARGET[cython.cast(uint8_t, head.at(old.at)[i])]
    if is_clean:
        return 0
    head.path.at = head.store(b"/", 1)
    head.path.len = 1
    for i in range(1 if old.len and head.at(old.at)[0] == ord("/") else 0, old.len):
        byte = head.at(old.at)[i]
        if TARGET[byte]:
            head.store(head.at(old.at) + i, 1)
            head.path.len += 1
        else:
            escape[0] = ord("%")
            escape[1] = digits[byte >> 4]
            escape[2] = digits[byte & 15]
            head.store(escape, 3)
            head.path.len += 3
    head.edited = True
    return 0


def settle_foreign(head: Head) -> cython.int:
    """Make *head*, which another protocol's codec made, one that HTTP/1.1 can carry; UNSUPPORTED if there is none."""
    i: cython.int
    field: cython.pointer(Field)
    for i in range(head.count):
        field = head.fields + i
        if not _is_writable(head, field) or (head.status == 0 and _is_pseudo(head.at(field.name_at), field.name_len)):
            field.flags |= HOP
    if head.status:
        return WRITTEN
    if head.path.len > MAX_PATH or head.method_id == M_CONNECT:
        return UNSUPPORTED
    _settle_authority(head)
    _settle_method(head)
    _settle_path(head)
    return WRITTEN
