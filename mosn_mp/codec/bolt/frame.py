"""The fixed part of bolt frames (sofa-bolt RpcProtocol, RpcProtocolV2), big endian.

    v1 request   | 1 | type | command 2 | ver2 | id 4 | codec | timeout 4 | class 2 | block 2 | content 4 |                     22
    v1 response  | 1 | type | command 2 | ver2 | id 4 | codec | status 2  | class 2 | block 2 | content 4 |                     20
    v2 request   | 2 | ver1 | type | command 2 | ver2 | id 4 | codec | switch | timeout 4 | class 2 | block 2 | content 4 |     24
    v2 response  | 2 | ver1 | type | command 2 | ver2 | id 4 | codec | switch | status 2  | class 2 | block 2 | content 4 |     22

Behind it follow the class name, the header block, the content, and in v2 with ver1 = 2 and bit 0 of switch the CRC-32 of all
before. The last 8 bytes are the lengths in every form. Type: 0 response, 1 request, 2 one-way, laid out like a request.

What SOFABolt would take for another frame than we is refused: it reads lengths as signed, so a class or block length above 32767
or a content length above 2^31 - 1 is none to it and the next bytes are a frame of their own.
"""

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t
from cython.cimports.libc.string import memset
from cython.cimports.mosn_mp.codec.bolt.endian import get16, get32, put16

LONGEST = cython.declare(uint32_t, 32767)


def fixed_length(form: uint32_t, type: cython.int) -> uint32_t:
    """The length of the fixed part."""
    return (20 if form == FORM_V1 else 22) + (2 if type != T_RESPONSE else 0)


def form_of(at: cython.p_const_char) -> uint32_t:
    """The form of the frame whose first two bytes lie at *at*."""
    code: uint8_t = at[0]
    return FORM_V1 if code == 1 else cython.cast(uint32_t, code) << 8 | cython.cast(uint8_t, at[1])


def fixed_of(at: cython.p_const_char) -> uint32_t:
    """The length of the fixed part of the frame whose first three bytes lie at *at*."""
    if at[0] == 1:
        return 20 if at[1] == T_RESPONSE else 22
    return 22 if at[2] == T_RESPONSE else 24


def carries_crc(at: cython.p_const_char) -> cython.bint:
    """Does the frame whose fixed part lies at *at* end with a checksum?"""
    return at[0] == 2 and at[1] == 2 and at[11] & SWITCH_CRC


def read_fixed(at: cython.p_const_char, length: uint32_t, frame: cython.pointer(Frame)) -> cython.p_const_char:
    """Read and check the fixed part: NULL, or what is wrong. frame.fixed is 0 if *length* bytes are too few to tell."""
    shift: uint32_t = at[0] - 1  # v2 has ver1 in between
    kind: cython.p_const_char = at + shift
    lengths: cython.p_const_char
    frame.fixed = 0
    if at[0] != 1 and at[0] != 2:
        return b"protocol code is neither 1 nor 2"
    if length < 20 + 2 * shift:
        return cython.NULL
    frame.type = cython.cast(uint8_t, kind[1])
    if frame.type > T_ONE_WAY:
        return b"frame type is neither response, request nor one-way"
    frame.form = form_of(at)
    if length < fixed_length(frame.form, frame.type):
        return cython.NULL
    frame.fixed = fixed_length(frame.form, frame.type)
    frame.command = get16(kind + 2)
    frame.id = get32(kind + 5)
    frame.switches = cython.cast(uint8_t, at[11]) if shift else 0
    frame.has_crc = frame.form == FORM_V2_CRC and frame.switches & SWITCH_CRC
    frame.timeout = get32(at + 10 + 2 * shift)
    frame.status = get16(at + 10 + 2 * shift)
    lengths = at + frame.fixed - 8
    frame.class_len = get16(lengths)
    frame.block_len = get16(lengths + 2)
    frame.content_len = get32(lengths + 4)
    if shift and at[1] != 1 and at[1] != 2:
        return b"version of protocol 2 is neither 1 nor 2"
    if kind[4] != 1 and kind[4] != 2:
        return b"command version is neither 1 nor 2"
    if frame.switches >= 0x80:
        return b"unknown switch"
    if frame.class_len > LONGEST or frame.block_len > LONGEST:
        return b"class or header block is longer than 32767 bytes"
    return _check_command(frame)


@cython.cfunc
@cython.exceptval(check=False)
def _check_command(frame: cython.pointer(Frame)) -> cython.p_const_char:
    """A command that is known, in the type of frame that it belongs to."""
    if frame.command == C_REQUEST or frame.command == C_GOAWAY:
        if frame.type == T_RESPONSE:
            return b"response frame with a request's command"
        return cython.NULL
    elif frame.command == C_RESPONSE:
        if frame.type != T_RESPONSE:
            return b"request frame with a response's command"
        return cython.NULL
    elif frame.command == C_HEARTBEAT:
        return cython.NULL
    return b"unknown command code"


def put_fixed(at: cython.p_char, form: uint32_t, type: cython.int, command: cython.int) -> uint32_t:
    """Write a fixed part with id, timeout, status and lengths 0; there is room for its 24 bytes. Returns its length."""
    length: uint32_t = fixed_length(form, type)
    kind: cython.p_char = at + 1
    memset(at, 0, length)
    at[0] = form >> 8
    if form != FORM_V1:
        at[1] = form & 255
        kind += 1
    kind[0] = type
    put16(kind + 1, command)
    kind[3] = 1
    kind[8] = HESSIAN2
    return length
