"""The codec contract: bytes of one side of a connection to events, and messages to bytes, without touching a socket.

Reading (the caller owns the buffer, the codec consumes by advancing Buf.start and never moves bytes):

    codec.head = head                       where the next head goes
    loop: event = codec.next_event(&buf)
        NEED_MORE   read more bytes behind buf.end, then ask again; end_of_input() if the other side closed its sending half
        HEAD        head is bound to buf.base; to keep it, head.own(base) before the bytes may be reused
        DATA        data_len bytes at buf.base + data_at, valid until the next call
        TRAILERS    codec.trailers, bound to buf.base, valid until the next call
        END         the message is complete; begin_message() makes ready for the next one
        ERROR       the connection is lost; write_error() may still answer
        HEARTBEAT, HEARTBEAT_REPLY, GOAWAY, RESET   concern the connection or stream_id, not the message at hand

Writing (append at out.end, all or nothing): write_head; per piece of body begin_data(n), the n bytes, end_data; then write_end.
With end_stream write_head completes the message and write_end need not be called.

Where a protocol multiplexes, every event says its stream in stream_id, heads and data of different streams may alternate, and the
caller sets stream_id before it writes. Reading needs no begin_message there: the frame behind END follows at once, and a head
read before stays good in the same bytes. A CLIENT codec writes the id that it is given: the pool maps ids to streams.

Frames of RPC protocols (bolt): HEAD when the header block is there, DATA of the content, END; stream_id, timeout_ms and one_way
say at HEAD what the frame asked for. Writing, the content's length is head.content_length (F_LENGTH, or with end_stream none):

    head.raw_protocol is the codec's own family, head not edited    the raw bytes again, with another id
    ... and edited                                                  raw's fixed part, the fields that are left and new ones
    another protocol's, or a head of our own                        a frame of the codec's usual form; a request takes timeout_ms
                                                                    and one_way from the codec, where the caller put them
    it does not fit into the protocol's own lengths                 UNSUPPORTED, nothing is written

Where `checksums` is true after write_head, each piece of content goes through checksum() before write_end. What a connection has
to remember between messages is one state_word(); restore() puts it into a codec that served another connection before.

A protocol overrides what it has; what it does not have keeps the default here, which is always safe to call.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import Head

from mosn_mp.errors import Reason

INTERNAL = cython.declare(cython.int, int(Reason.INTERNAL))


class Codec:
    """One side of one connection; see the module's text."""

    def __cinit__(self) -> None:
        self.reason = 0
        self.detail = b""

    def next_event(self, input: cython.pointer(Buf)) -> cython.int:
        """The next Event in *input*."""
        return self.fail(INTERNAL, b"codec cannot read")

    def end_of_input(self, input: cython.pointer(Buf)) -> cython.int:
        """No more bytes will come: END, ERROR if a message is cut short, or NEED_MORE if none was under way."""
        if input.start == input.end:
            return NEED_MORE
        return self.fail(INTERNAL, b"input ends inside a frame")

    def write_head(self, head: Head, end_stream: cython.bint, out: cython.pointer(Buf)) -> cython.int:
        """Append a message head; with *end_stream* the whole message."""
        return UNSUPPORTED

    def begin_data(self, length: uint64_t, out: cython.pointer(Buf)) -> cython.int:
        """Append what stands before *length* bytes of body."""
        return WRITTEN

    def end_data(self, out: cython.pointer(Buf)) -> cython.int:
        """Append what stands behind the bytes that begin_data announced."""
        return WRITTEN

    def write_end(self, trailers: Head, out: cython.pointer(Buf)) -> cython.int:
        """Append the end of the message; *trailers* may be None."""
        return WRITTEN

    def write_error(self, reason: cython.int, out: cython.pointer(Buf)) -> cython.int:
        """SERVER: append a complete reply of the protocol's own kind for a Reason, on stream_id."""
        return UNSUPPORTED

    def write_reset(self, reason: cython.int, out: cython.pointer(Buf)) -> cython.int:
        """Give up stream_id; UNSUPPORTED = only closing the connection does."""
        return UNSUPPORTED

    def write_heartbeat(self, out: cython.pointer(Buf)) -> cython.int:
        """Ask the other side for a sign of life, with stream_id."""
        return UNSUPPORTED

    def write_heartbeat_reply(self, out: cython.pointer(Buf)) -> cython.int:
        """Answer the HEARTBEAT event just returned."""
        return UNSUPPORTED

    def write_goaway(self, out: cython.pointer(Buf)) -> cython.int:
        """Tell the other side to begin no new stream; UNSUPPORTED: set close_after instead."""
        return UNSUPPORTED

    def checksum(self, payload: cython.p_const_char, length: cython.size_t) -> cython.void:
        """Count the next piece of the body being written into its checksum."""

    def pool_word(self, head: Head) -> uint32_t:
        """Requests with different words never share an upstream connection: Protocol.pool_key as a number."""
        return 0

    def answer_word(self, request: Head) -> uint32_t:
        """What write_as() takes for the answer to *request*, where that comes from a host of another protocol of the family."""
        return 0

    def write_as(self, word: uint32_t) -> cython.void:
        """Heads of the own family are written in the form of *word*, a pool_word() with CONVERTS or an answer_word(); 0 = as they
        came."""

    def state_word(self) -> uint32_t:
        """Between messages: what a codec of the same kind needs to go on with this connection."""
        return 0

    def restore(self, word: uint32_t) -> cython.void:
        """Serve the connection whose state_word() that was; 0 = a new one."""

    def begin_message(self) -> cython.void:
        """Ready for the next message; bytes behind the last one stay in the input."""

    def splice_length(self) -> uint64_t:
        """How many raw body bytes may bypass the codec now, if the input holds none unread; 0 = none."""
        return 0

    def spliced(self, length: uint64_t) -> cython.void:
        """That many bytes, at most splice_length(), did."""

    def resume_tunnel(self) -> cython.bint:
        """Go on with a connection that became a tunnel elsewhere; False: the protocol has no tunnels."""
        return False

    def fail(self, reason: cython.int, detail: cython.p_const_char) -> cython.int:
        """Note why the connection is lost; returns ERROR."""
        self.reason = reason
        self.detail = detail
        return ERROR
