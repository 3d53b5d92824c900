"""The HTTP/1.1 codec (RFC 9112, RFC 9110): the reading half of http1/reader and the writing of messages.

Writing has no states but the framing of the head written last. SERVER remembers of the request what the response depends on
(method, version, persistence), CLIENT of the request that it wrote what the framing of the response depends on.

    SERVER writes    framing of the response                          the connection
    1xx              none, dropped for HTTP/1.0                       goes on to the final response
    101, 2xx CONNECT none                                             becomes a tunnel
    204              none
    304, to HEAD     the lines it came with, no body
    others           length if known, else chunked for HTTP/1.1,      closes after the message if the client, the proxy
                     else until close                                 (close_after) or the framing says so
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import (
    F_CHUNKED,
    F_LENGTH,
    F_NONE,
    F_UNTIL_CLOSE,
    M_CONNECT,
    M_HEAD,
    M_PATCH,
    M_POST,
    M_PUT,
    Head,
)
from cython.cimports.mosn_mp.codec.codec import CLIENT, NO_ROOM, UNSUPPORTED, WRITTEN
from cython.cimports.mosn_mp.codec.http1.foreign import settle_foreign
from cython.cimports.mosn_mp.codec.http1.reader import Http1Reader
from cython.cimports.mosn_mp.codec.http1.write import (
    Plan,
    write_chunk_size,
    write_request_head,
    write_response_head,
    write_trailers,
)

from mosn_mp.errors import REASONS, Reason

ERROR_ROOM = cython.declare(uint32_t, 512)  # the largest reply of write_error is below 300 bytes


class Http1Codec(Http1Reader):
    """One side of an HTTP/1.1 connection: `Http1Codec(role, limits)`."""

    def write_head(self, head: Head, end_stream: cython.bint, out: cython.pointer(Buf)) -> cython.int:
        """Append the request (CLIENT) or response (SERVER) head; a 1xx other than 101 leaves the final one to be written.

        A head of an RPC protocol is changed into what HTTP can carry; UNSUPPORTED if it is a CONNECT or its path is too long.
        """
        if head.raw_protocol and settle_foreign(head) == UNSUPPORTED:
            self.detail = b"CONNECT or a path too long for HTTP/1.1"
            self.out_done = True  # a body without its head must never be written
            return UNSUPPORTED
        if self.role == CLIENT:
            return self._write_request(head, end_stream, out)
        if head.status < 200 and head.status != 101:
            return self._write_interim(head, out)
        return self._write_response(head, end_stream, out)

    def _plan_body(self, head: Head, plan: cython.pointer(Plan), end_stream: cython.bint) -> cython.void:
        """The framing of a message that may have a body: as it came where possible, chunked where its end is not known."""
        plan.framing = head.framing
        plan.length = head.content_length
        if end_stream:
            if head.framing == F_LENGTH or head.framing == F_CHUNKED or head.framing == F_UNTIL_CLOSE:
                plan.framing = F_LENGTH
                plan.length = 0
        elif head.framing != F_LENGTH:
            plan.framing = F_CHUNKED

    def _write_request(self, head: Head, end_stream: cython.bint, out: cython.pointer(Buf)) -> cython.int:
        plan: Plan
        connect: cython.bint = head.method_id == M_CONNECT
        if connect:
            plan.framing = F_NONE
        else:
            self._plan_body(head, cython.address(plan), end_stream)
            # RFC 9110 section 8.6: say that there is no content where the method suggests some; HTTP/1 requests keep their form
            if plan.framing == F_NONE and head.version > 11 and head.method_id in (M_POST, M_PUT, M_PATCH):
                plan.framing = F_LENGTH
                plan.length = 0
        plan.close = self.close_after
        plan.keep_alive = False
        plan.upgrade = head.upgrade
        self.framing = plan.framing
        self.out_left = cython.cast(uint64_t, plan.length) if plan.framing == F_LENGTH else 0
        if write_request_head(head, cython.address(plan), out) == NO_ROOM:
            return NO_ROOM
        self.asked = True
        self.method_id = head.method_id
        self.upgrade = head.upgrade
        self.closing = self.closing or self.close_after
        if end_stream or connect:
            self._out_done()
        return WRITTEN

    def _write_interim(self, head: Head, out: cython.pointer(Buf)) -> cython.int:
        """100, 102, 103: as they came; HTTP/1.0 does not know them (RFC 9110 section 15.2)."""
        plan: Plan
        if self.version == 10:
            return WRITTEN
        plan.framing = F_NONE
        plan.close = plan.keep_alive = plan.upgrade = False
        return write_response_head(head, cython.address(plan), out)

    def _write_response(self, head: Head, end_stream: cython.bint, out: cython.pointer(Buf)) -> cython.int:
        plan: Plan
        status: cython.int = head.status
        tunnel: cython.bint = (status == 101 and self.upgrade) or (self.method_id == M_CONNECT and 200 <= status < 300)
        bodyless: cython.bint = not tunnel and (self.method_id == M_HEAD or status == 304 or status == 204)
        # after a refused CONNECT the client's next bytes may be meant for the tunnel that is not there
        plan.close = not tunnel and (self.close_after or self.closing or not self.head_keep_alive or self.method_id == M_CONNECT)
        plan.upgrade = head.upgrade and (tunnel or status == 426)
        plan.framing = F_NONE
        if tunnel or status == 204:
            pass
        elif bodyless:
            # the fields that the answer to GET would have, without its body (RFC 9110 section 9.3.2)
            plan.framing = (
                head.framing if head.framing == F_LENGTH or (head.framing == F_CHUNKED and self.version != 10) else F_NONE
            )
            plan.length = head.content_length
        else:
            self._plan_body(head, cython.address(plan), end_stream)
            if plan.framing == F_NONE:
                plan.framing = F_LENGTH
                plan.length = 0
            elif plan.framing == F_CHUNKED and self.version == 10:
                plan.framing = F_NONE
                plan.close = True
        plan.keep_alive = self.version == 10 and not plan.close and not tunnel
        self.framing = plan.framing if not bodyless else F_NONE
        self.out_left = cython.cast(uint64_t, plan.length) if self.framing == F_LENGTH else 0
        closing: cython.bint = plan.close
        if write_response_head(head, cython.address(plan), out) == NO_ROOM:
            return NO_ROOM
        self.closing = closing
        self.data_refused = bodyless
        if tunnel:
            self._enter_tunnel()
        elif end_stream:
            self._out_done()
        return WRITTEN

    def _out_done(self) -> cython.void:
        """The message is written; a body shorter than announced ends the connection."""
        self.out_done = True
        if self.out_left:
            self.closing = True
        self.keep_alive = self.in_done and self.head_keep_alive and not self.closing and not self.tunnel

    def begin_data(self, length: uint64_t, out: cython.pointer(Buf)) -> cython.int:
        """A chunk size line if the body is chunked; ValueError if the head left no room for these bytes."""
        if length == 0 or self.tunnel:
            return WRITTEN
        if self.data_refused or self.out_done:
            raise ValueError("body for a message that has none or is complete")
        if self.framing == F_CHUNKED:
            if write_chunk_size(length, out) == NO_ROOM:
                return NO_ROOM
            self.chunk_open = True
        elif self.framing == F_LENGTH:
            if length > self.out_left:
                raise ValueError(f"body is longer than its Content-Length by {length - self.out_left} bytes")
            self.out_left -= length
        return WRITTEN

    def end_data(self, out: cython.pointer(Buf)) -> cython.int:
        """The line end behind a chunk."""
        if not self.chunk_open:
            return WRITTEN
        if out.cap - out.end < 2:
            return NO_ROOM
        out.base[out.end] = ord("\r")
        out.base[out.end + 1] = ord("\n")
        out.end += 2
        self.chunk_open = False
        return WRITTEN

    def write_end(self, trailers: Head, out: cython.pointer(Buf)) -> cython.int:
        """The last chunk and trailers if the body is chunked; trailers of other bodies have no place (RFC 9110 section 6.5)."""
        if self.framing == F_CHUNKED and not self.out_done and write_trailers(trailers, out) == NO_ROOM:
            return NO_ROOM
        self._out_done()
        return WRITTEN

    def write_error(self, reason: cython.int, out: cython.pointer(Buf)) -> cython.int:
        """SERVER: a complete text/plain reply for a Reason; the connection closes if it is lost."""
        if out.cap - out.end < ERROR_ROOM:
            return NO_ROOM
        row = REASONS[Reason(reason)]
        text: bytes = row.text
        length: uint32_t = cython.cast(uint32_t, len(text))
        if self.reply is None:
            self.reply = Head()
        self.reply.clear()
        self.reply.status = row.status
        self.reply.framing = F_LENGTH
        self.reply.content_length = length
        self.reply.add_field(b"Content-Type", 12, b"text/plain", 10)
        self._write_response(self.reply, False, out)
        if not self.data_refused:
            self.begin_data(length, out)
            memcpy(out.base + out.end, cython.cast(cython.p_char, text), length)
            out.end += length
        return self.write_end(None, out)
