"""Names that head tables look at: byte classes, known field names, method numbers, and what a filter may write.

Byte classes after RFC 9110: a token (section 5.6.2), a field value (section 5.5, obs-text included). Field names compare without
regard to ASCII case, whatever the locale: 0xDF has no other case.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.mosn_mp.buffer.octets import LOWER, TOKEN, VALUE

MAX_NAME = cython.declare(cython.Py_ssize_t, 65535)  # Field.name_len


def same_name(a: cython.p_const_char, b: cython.p_const_char, length: cython.Py_ssize_t) -> cython.bint:
    """True if the *length* bytes at *a* and *b* are equal but for ASCII case."""
    i: cython.Py_ssize_t
    for i in range(length):
        if LOWER[cython.cast(cython.uchar, a[i])] != LOWER[cython.cast(cython.uchar, b[i])]:
            return False
    return True


@cython.cfunc
@cython.exceptval(check=False)
def _known_if(
    name: cython.p_const_char, expected: cython.p_const_char, length: cython.Py_ssize_t, known: cython.int
) -> cython.int:
    return known if same_name(name, expected, length) else K_OTHER


def known_name(name: cython.p_const_char, length: cython.Py_ssize_t) -> cython.int:
    """The Known number of a field name: by length, then by first letter, so that most other names cost no comparison."""
    first: cython.uchar
    if length == 0:
        return K_OTHER
    first = LOWER[cython.cast(cython.uchar, name[0])]
    if length == 4:
        return _known_if(name, b"host", 4, K_HOST) if first == ord("h") else K_OTHER
    elif length == 10:
        if first == ord("c"):
            return _known_if(name, b"connection", 10, K_CONNECTION)
        return _known_if(name, b"keep-alive", 10, K_KEEP_ALIVE) if first == ord("k") else K_OTHER
    elif length == 14:
        return _known_if(name, b"content-length", 14, K_CONTENT_LENGTH) if first == ord("c") else K_OTHER
    elif length == 17:
        return _known_if(name, b"transfer-encoding", 17, K_TRANSFER_ENCODING) if first == ord("t") else K_OTHER
    elif length == 2:
        return _known_if(name, b"te", 2, K_TE) if first == ord("t") else K_OTHER
    elif length == 7:
        if first == ord("u"):
            return _known_if(name, b"upgrade", 7, K_UPGRADE)
        return _known_if(name, b"trailer", 7, K_TRAILER) if first == ord("t") else K_OTHER
    elif length == 6:
        return _known_if(name, b"expect", 6, K_EXPECT) if first == ord("e") else K_OTHER
    elif length == 16:
        return _known_if(name, b"proxy-connection", 16, K_PROXY_CONNECTION) if first == ord("p") else K_OTHER
    elif first != ord("x"):
        return K_OTHER
    elif length == 21:
        return _known_if(name, b"x-mosn-global-timeout", 21, K_GLOBAL_TIMEOUT)
    elif length == 18:
        return _known_if(name, b"x-mosn-try-timeout", 18, K_TRY_TIMEOUT)
    return K_OTHER


def method_number(text: cython.p_const_char, length: cython.Py_ssize_t) -> cython.int:
    """The MethodId of a method token; methods are case-sensitive (RFC 9110 section 9.1), so `get` is M_OTHER."""
    same: cython.int = M_OTHER
    name: cython.p_const_char = b""
    if length == 3:
        same = M_GET if text[0] == ord("G") else M_PUT
        name = b"GET" if same == M_GET else b"PUT"
    elif length == 4:
        same = M_POST if text[0] == ord("P") else M_HEAD
        name = b"POST" if same == M_POST else b"HEAD"
    elif length == 5:
        same = M_TRACE if text[0] == ord("T") else M_PATCH
        name = b"TRACE" if same == M_TRACE else b"PATCH"
    elif length == 6:
        same = M_DELETE
        name = b"DELETE"
    elif length == 7:
        same = M_OPTIONS if text[0] == ord("O") else M_CONNECT
        name = b"OPTIONS" if same == M_OPTIONS else b"CONNECT"
    i: cython.Py_ssize_t
    for i in range(length if same != M_OTHER else 0):
        if text[i] != name[i]:
            return M_OTHER
    return same


def is_hop_by_hop(known: cython.int) -> cython.bint:
    """True for the names that always concern one connection only (RFC 9110 section 7.6.1); Upgrade depends on the message."""
    return known in (K_CONNECTION, K_KEEP_ALIVE, K_PROXY_CONNECTION, K_TE, K_TRAILER, K_TRANSFER_ENCODING)


def as_bytes(text: object) -> bytes:
    """*text* itself, or encoded as latin-1: what it looks like is what is on the wire."""
    if isinstance(text, bytes):
        return text
    if isinstance(text, str):
        return text.encode("latin-1")
    raise TypeError(f"a header name or value is bytes or str, not {type(text).__name__}")


def checked_name(text: object) -> bytes:
    """*text* as the name of a field that a filter may write, or ValueError."""
    name: bytes = as_bytes(text)
    raw: cython.p_const_char = PyBytes_AS_STRING(name)
    length: cython.Py_ssize_t = PyBytes_GET_SIZE(name)
    i: cython.Py_ssize_t
    if not 0 < length <= MAX_NAME:
        raise ValueError(f"a header name has 1 to {MAX_NAME} bytes, not {length}")
    for i in range(length):
        if not TOKEN[cython.cast(cython.uchar, raw[i])]:
            raise ValueError(f"{name!r} is no header name: byte {raw[i]:#x} is not allowed in a token")
    known: cython.int = known_name(raw, length)
    if is_hop_by_hop(known) or known == K_UPGRADE:
        raise ValueError(f"{name.decode('ascii')} is hop-by-hop: the proxy writes it, a filter cannot")
    if known == K_CONTENT_LENGTH:
        raise ValueError("Content-Length follows from the body: the proxy writes it, a filter cannot")
    return name


def checked_value(text: object) -> bytes:
    """*text* as a field value without blanks around it, or ValueError."""
    value: bytes = as_bytes(text).strip(b" \t")
    raw: cython.p_const_char = PyBytes_AS_STRING(value)
    i: cython.Py_ssize_t
    for i in range(PyBytes_GET_SIZE(value)):
        if not VALUE[cython.cast(cython.uchar, raw[i])]:
            raise ValueError(f"header value {value!r}: control byte {raw[i]:#x} at {i} is not allowed")
    return value


def checked_pseudo(name: str, text: object) -> bytes:
    """*text* as a pseudo-header: no blank or control byte but in a reason phrase, methods are tokens; else ValueError."""
    value: bytes = as_bytes(text)
    raw: cython.p_const_char = PyBytes_AS_STRING(value)
    i: cython.Py_ssize_t
    byte: cython.uchar
    for i in range(PyBytes_GET_SIZE(value)):
        byte = raw[i]
        if name == "reason":
            if VALUE[byte]:
                continue
        elif 32 < byte < 127 and (TOKEN[byte] or name != "method"):
            continue
        raise ValueError(f"{name} {value!r}: byte {byte:#x} at {i} is not allowed")
    if not value and name in ("method", "path"):
        raise ValueError(f"{name} may not be empty")
    return value
