"""Reading a chunked body (RFC 9112 section 7.1) byte by byte between the payloads, which are never copied.

    1 a f ; name = "value" CR LF  <payload>  CR LF  ...  0 CR LF  trailers
    SIZE    EXTENSION         LF  PAYLOAD    CR  LF      SIZE LF  -> CHUNK_LAST

    step            byte                        next
    SIZE            hex digit                   SIZE (at most 16 of them, below 2^63)
                    ;                           EXTENSION_NAME
                    CR                          SIZE_LF
    EXTENSION_NAME  token byte                  EXTENSION
    EXTENSION       ;                           EXTENSION_NAME
                    CR                          SIZE_LF
                    token byte, =, quoted       EXTENSION
    SIZE_LF         LF                          PAYLOAD, or the end if the size was 0
    PAYLOAD         all bytes of the chunk      PAYLOAD_CR
    PAYLOAD_CR      CR                          PAYLOAD_LF
    PAYLOAD_LF      LF                          SIZE

Everything else is refused: blanks around the size, bare LF, signs, underscores, `0x`. Extensions mean nothing to anybody and are
dropped, but not for free: a sender could hide gigabytes in them (CVE-2023-39326), so their bytes are bounded.
"""

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.octets import HEX, TOKEN, VALUE

from mosn_mp.errors import Reason

BAD_REQUEST = cython.declare(cython.int, int(Reason.BAD_REQUEST))
BODY_TOO_LARGE = cython.declare(cython.int, int(Reason.BODY_TOO_LARGE))

MAX_DIGITS = cython.declare(uint32_t, 16)
MAX_SIZE = cython.declare(uint64_t, 0x7FFFFFFFFFFFFFFF)
MAX_EXTENSION_LINE = cython.declare(uint32_t, 1024)  # what HAProxy and llhttp see in practice is below 100
MAX_EXTENSIONS = cython.declare(uint32_t, 16384)  # of one message; Go bounds the same waste at 16 KiB


def begin_chunks(chunks: cython.pointer(Chunks)) -> cython.void:
    """A chunked body begins."""
    chunks.step = SIZE
    chunks.left = chunks.total = 0
    chunks.digits = chunks.line = chunks.extensions = 0
    chunks.quoted = 0


@cython.cfunc
@cython.exceptval(check=False)
def _broken(chunks: cython.pointer(Chunks), reason: cython.int, detail: cython.p_const_char) -> cython.int:
    chunks.reason = reason
    chunks.detail = detail
    return CHUNK_BROKEN


@cython.cfunc
@cython.exceptval(check=False)
def _size_byte(chunks: cython.pointer(Chunks), byte: uint8_t) -> cython.int:
    if HEX[byte] < 16:
        chunks.digits += 1
        if chunks.digits > MAX_DIGITS:
            return _broken(chunks, BAD_REQUEST, b"chunk size has more than 16 digits")
        chunks.left = chunks.left << 4 | HEX[byte]
        if chunks.left > MAX_SIZE:
            return _broken(chunks, BAD_REQUEST, b"chunk size is too large")
        return CHUNK_MORE
    if chunks.digits == 0 or (byte != ord("\r") and byte != ord(";")):
        return _broken(chunks, BAD_REQUEST, b"malformed chunk size")
    chunks.step = SIZE_LF if byte == ord("\r") else EXTENSION_NAME
    chunks.line = 0
    return CHUNK_MORE


@cython.cfunc
@cython.exceptval(check=False)
def _extension_byte(chunks: cython.pointer(Chunks), byte: uint8_t) -> cython.int:
    chunks.line += 1
    chunks.extensions += 1
    if chunks.line > MAX_EXTENSION_LINE or chunks.extensions > MAX_EXTENSIONS:
        return _broken(chunks, BAD_REQUEST, b"chunk extensions are too long")
    if chunks.quoted:
        if not VALUE[byte]:
            return _broken(chunks, BAD_REQUEST, b"control byte in a chunk extension")
        if chunks.quoted == 2 or (byte != ord('"') and byte != ord("\\")):
            chunks.quoted = 1
        else:
            chunks.quoted = 2 if byte == ord("\\") else 0
        return CHUNK_MORE
    if TOKEN[byte]:
        chunks.step = EXTENSION
        return CHUNK_MORE
    if chunks.step == EXTENSION:
        if byte == ord("\r"):
            chunks.step = SIZE_LF
            return CHUNK_MORE
        if byte == ord(";"):
            chunks.step = EXTENSION_NAME
            return CHUNK_MORE
        if byte == ord("=") or byte == ord('"'):
            chunks.quoted = 1 if byte == ord('"') else 0
            return CHUNK_MORE
    return _broken(chunks, BAD_REQUEST, b"malformed chunk extension")


@cython.cfunc
@cython.exceptval(check=False)
def _line_feed(chunks: cython.pointer(Chunks), byte: uint8_t, max_body: cython.longlong) -> cython.int:
    """The end of a size line or of a payload."""
    if byte != ord("\n"):
        return _broken(chunks, BAD_REQUEST, b"CR without LF in a chunk")
    if chunks.step == PAYLOAD_LF:
        chunks.step = SIZE
        chunks.digits = 0
        return CHUNK_MORE
    if chunks.left == 0:
        return CHUNK_LAST
    # both are below 2^63, so the sum cannot wrap
    chunks.total += chunks.left
    if chunks.total > MAX_SIZE or (max_body >= 0 and chunks.total > cython.cast(uint64_t, max_body)):
        return _broken(chunks, BODY_TOO_LARGE, b"chunked body is above the limit")
    chunks.step = PAYLOAD
    return CHUNK_MORE


def next_chunk(chunks: cython.pointer(Chunks), input: cython.pointer(Buf), max_body: cython.longlong) -> cython.int:
    """Consume what stands between payloads; see the CHUNK_ numbers."""
    byte: uint8_t
    state: cython.int = CHUNK_MORE
    while input.start < input.end:
        if chunks.step == PAYLOAD:
            return CHUNK_DATA
        byte = input.base[input.start]
        input.start += 1
        if chunks.step == SIZE:
            state = _size_byte(chunks, byte)
        elif chunks.step == SIZE_LF or chunks.step == PAYLOAD_LF:
            state = _line_feed(chunks, byte, max_body)
        elif chunks.step == PAYLOAD_CR:
            if byte != ord("\r"):
                return _broken(chunks, BAD_REQUEST, b"chunk is longer than its size")
            chunks.step = PAYLOAD_LF
        else:
            state = _extension_byte(chunks, byte)
        if state != CHUNK_MORE:
            return state
    return CHUNK_MORE


def chunk_consumed(chunks: cython.pointer(Chunks), length: uint64_t) -> cython.void:
    """*length* payload bytes, at most `left`, were handed on."""
    chunks.left -= length
    if chunks.left == 0:
        chunks.step = PAYLOAD_CR
