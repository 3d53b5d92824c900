"""The path as routes see it: two spellings of one path must take one route, or a rule for /admin is no rule for /%61dmin.

MOSN matches the decoded, cleaned path and forwards the path as sent, which an upstream may read in another way. Here:

* escapes of unreserved characters are decoded, other escapes kept in upper case (RFC 3986 section 6.2.2), `//` counts as `/`;
  none of that changes what is forwarded;
* dot segments, escaped ones too, are resolved (section 5.2.4), and then the path as matched is what is forwarded, so that the
  upstream cannot resolve them in another way (Envoy's normalize_path);
* a path that servers read in different ways is ambiguous and takes no route: a NUL, or a dot segment that exists only for servers
  that take `%2F`, `%5C` or a backslash for a slash, or that cut off `;parameters`.

Most paths have neither `%`, `\\`, `//` nor `/.`: for them all this is one scan.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython.cimports.mosn_mp.buffer.octets import HEX


def view(
    path: cython.p_const_char, length: cython.Py_ssize_t, out: cython.p_char, out_length: cython.pointer(cython.Py_ssize_t)
) -> cython.int:
    """How to match the *length* bytes at *path*, which has no query."""
    n: cython.Py_ssize_t
    slashes: cython.bint = False
    if length == 0 or path[0] != ord("/") or not _is_odd(path, length):
        return V_PLAIN
    n = _decode(path, length, out, cython.address(slashes))
    if n < 0:
        return V_AMBIGUOUS
    return _resolve(out, n, slashes, out_length)


@cython.cfunc
@cython.exceptval(check=False)
def _is_odd(path: cython.p_const_char, length: cython.Py_ssize_t) -> cython.bint:
    i: cython.Py_ssize_t
    before: cython.char = 0
    byte: cython.char
    for i in range(length):
        byte = path[i]
        if byte == ord("%") or byte == ord("\\"):
            return True
        if before == ord("/") and (byte == ord("/") or byte == ord(".")):
            return True
        before = byte
    return False


@cython.cfunc
@cython.exceptval(check=False)
def _is_unreserved(byte: cython.int) -> cython.bint:
    if ord("a") <= byte <= ord("z") or ord("A") <= byte <= ord("Z") or ord("0") <= byte <= ord("9"):
        return True
    return byte == ord("-") or byte == ord(".") or byte == ord("_") or byte == ord("~")


@cython.cfunc
@cython.exceptval(check=False)
def _decode(
    path: cython.p_const_char, length: cython.Py_ssize_t, out: cython.p_char, slashes: cython.pointer(cython.bint)
) -> cython.Py_ssize_t:
    """Decode into *out*, return its length, -1 for a NUL; *slashes*: there is something that may be a slash to others."""
    r: cython.Py_ssize_t = 0
    w: cython.Py_ssize_t = 0
    high: cython.uint
    low: cython.uint
    byte: cython.int
    while r < length:
        if path[r] == ord("\\"):
            slashes[0] = True
        if path[r] != ord("%") or r + 2 >= length:
            out[w] = path[r]
            w += 1
            r += 1
            continue
        high = HEX[cython.cast(cython.uchar, path[r + 1])]
        low = HEX[cython.cast(cython.uchar, path[r + 2])]
        byte = high * 16 + low
        if high > 15 or low > 15:
            out[w] = ord("%")
            w += 1
            r += 1
            continue
        if byte == 0:
            return -1
        if byte == ord("/") or byte == ord("\\"):
            slashes[0] = True
        if _is_unreserved(byte):
            out[w] = byte
            w += 1
        else:
            out[w] = ord("%")
            out[w + 1] = b"0123456789ABCDEF"[high]
            out[w + 2] = b"0123456789ABCDEF"[low]
            w += 3
        r += 3
    return w


@cython.cfunc
@cython.exceptval(check=False)
def _resolve(
    text: cython.p_char, length: cython.Py_ssize_t, slashes: cython.bint, out_length: cython.pointer(cython.Py_ssize_t)
) -> cython.int:
    """Merge slashes and resolve dot segments of *text*, which begins with a slash, in place."""
    r: cython.Py_ssize_t = 0
    w: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t
    size: cython.Py_ssize_t
    dots: cython.bint = False
    last: cython.bint
    while r < length:
        # text[r] is a slash; the segment is text[r + 1 : end]
        end = r + 1
        while end < length and text[end] != ord("/"):
            end += 1
        size = end - r - 1
        last = end >= length
        if _is_dubious(text + r + 1, size, slashes):
            return V_AMBIGUOUS
        if size == 2 and text[r + 1] == ord(".") and text[r + 2] == ord("."):
            dots = True
            while w > 0:
                w -= 1
                if text[w] == ord("/"):
                    break
            size = 0
        elif size == 1 and text[r + 1] == ord("."):
            dots = True
            size = 0
        if size > 0 or last:
            # w never passes r: what is written is never longer than what was read
            text[w] = ord("/")
            w += 1
            for i in range(size):
                text[w + i] = text[r + 1 + i]
            w += size
        r = end
    out_length[0] = w
    return V_REPLACE if dots else V_VIEW


@cython.cfunc
@cython.exceptval(check=False)
def _is_dubious(segment: cython.p_const_char, length: cython.Py_ssize_t, slashes: cython.bint) -> cython.bint:
    """True if a piece of *segment* is a dot segment to servers that split it at escaped slashes or cut it at `;`."""
    i: cython.Py_ssize_t
    start: cython.Py_ssize_t = 0
    stop: cython.int  # how many bytes the separator at i has, 0 = none
    split: cython.bint = False
    if not slashes and (length == 0 or segment[0] != ord(".")):
        return False
    i = 0
    while i <= length:
        stop = 1 if i == length else _separator(segment + i, length - i, slashes)
        if stop == 0:
            i += 1
            continue
        if (split or i < length) and 0 < i - start <= 2 and segment[start] == ord(".") and segment[i - 1] == ord("."):
            return True
        if i < length and segment[i] == ord(";") and not slashes:
            return False
        split = True
        i += stop
        start = i
    return False


@cython.cfunc
@cython.exceptval(check=False)
def _separator(at: cython.p_const_char, left: cython.Py_ssize_t, slashes: cython.bint) -> cython.int:
    if at[0] == ord(";"):
        return 1
    if not slashes:
        return 0
    if at[0] == ord("\\"):
        return 1
    if left >= 3 and at[0] == ord("%") and (at[1] == ord("2") and at[2] == ord("F") or at[1] == ord("5") and at[2] == ord("C")):
        return 3
    return 0


def path_view(path: bytes) -> tuple[int, bytes]:
    """Python's side of view(): (PathView, the path to match)."""
    out: bytes = PyBytes_FromStringAndSize(cython.NULL, PyBytes_GET_SIZE(path))
    length: cython.Py_ssize_t = 0
    found: cython.int = view(PyBytes_AS_STRING(path), PyBytes_GET_SIZE(path), PyBytes_AS_STRING(out), cython.address(length))
    return found, path if found == V_PLAIN else out[:length]
