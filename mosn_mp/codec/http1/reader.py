"""The reading half of the HTTP/1.1 codec: RFC 9112 messages of one connection as events.

reading, by state                            next state
START    no byte of a head yet               LINE (one empty line before a request is skipped, RFC 9112 section 2.2)
LINE     request or status line              FIELDS
FIELDS   field lines                         by the framing of the head; START again after an interim response
LENGTH   body of a known length              COMPLETE
CHUNKED  chunks                              TRAILER
TRAILER  trailer section                     COMPLETE
CLOSE    body that the connection ends       COMPLETE at end_of_input
TUNNEL   raw bytes both ways                 COMPLETE at end_of_input
COMPLETE END is to be returned               IDLE
IDLE     waits for begin_message             START
FAILED   ERROR for ever

One piece: the table is one state machine over one set of fields.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import F_CHUNKED, F_LENGTH, F_NONE, F_UNTIL_CLOSE, M_CONNECT, M_HEAD, M_OTHER, Head
from cython.cimports.mosn_mp.codec.codec import CLIENT, DATA, END, ERROR, HEAD, NEED_MORE, SERVER, TRAILERS, Codec
from cython.cimports.mosn_mp.codec.http1.chunks import (
    CHUNK_BROKEN,
    CHUNK_DATA,
    CHUNK_MORE,
    PAYLOAD,
    begin_chunks,
    chunk_consumed,
    next_chunk,
)
from cython.cimports.mosn_mp.codec.http1.limits import Http1Limits
from cython.cimports.mosn_mp.codec.http1.scan import BROKEN, MORE, SCANNED, read_fields, read_request_line, read_status_line
from cython.cimports.mosn_mp.codec.http1.settle import settle_request, settle_response
from cython.cimports.mosn_mp.codec.http1.values import check_trailers

from mosn_mp.errors import Reason

BAD_REQUEST = cython.declare(cython.int, int(Reason.BAD_REQUEST))
HEAD_TOO_LARGE = cython.declare(cython.int, int(Reason.HEAD_TOO_LARGE))
UPSTREAM_PROTOCOL = cython.declare(cython.int, int(Reason.UPSTREAM_PROTOCOL))
UPSTREAM_CLOSED = cython.declare(cython.int, int(Reason.UPSTREAM_CLOSED))

ENDLESS = cython.declare(uint64_t, 1 << 62)  # what splice_length says where only the connection ends the body


class Http1Reader(Codec):
    """Everything of Http1Codec but writing."""

    def __init__(self, role: cython.int, limits: Http1Limits) -> None:
        if role != SERVER and role != CLIENT:
            raise ValueError(f"role is SERVER (0) or CLIENT (1), not {role}")
        self.role = role
        self.limits = limits
        self.begin_message()

    def begin_message(self) -> cython.void:
        """Ready for the next request and its response."""
        self.state = START
        self.reason = 0
        self.detail = b""
        self.method_id = M_OTHER
        self.version = 11
        self.interim = 0
        self.framing = F_NONE
        self.out_left = 0
        self.asked = self.upgrade = self.head_keep_alive = self.blank_seen = False
        self.tunnel = self.body_done = self.data_refused = self.keep_alive = self.close_after = False
        self.in_done = self.out_done = self.closing = self.chunk_open = False

    def next_event(self, input: cython.pointer(Buf)) -> cython.int:
        """The next Event in *input*; see the table above."""
        event: cython.int = self._next_event(input)
        if self.in_done and self.role == CLIENT and input.start != input.end:
            # more than the response: the surplus must never be taken for the answer to the next request
            self.head_keep_alive = self.keep_alive = False
        return event

    def _next_event(self, input: cython.pointer(Buf)) -> cython.int:
        state: cython.int = self.state
        if state <= FIELDS:
            return self._read_head(input)
        if state == COMPLETE:
            self.state = IDLE
            return END
        if state == CHUNKED:
            return self._read_chunked(input)
        if state == TRAILER:
            return self._read_trailers(input)
        if state == IDLE:
            return NEED_MORE
        if state == FAILED:
            return ERROR
        return self._read_raw(input)

    def end_of_input(self, input: cython.pointer(Buf)) -> cython.int:
        """What the end of the other side's bytes means here."""
        if self.state == CLOSE or self.state == TUNNEL or self.state == COMPLETE:
            self._complete()
            self.state = IDLE
            return END
        if self.state == FAILED:
            return ERROR
        if self.state == IDLE or (self.state == START and input.start == input.end and self.interim == 0):
            return NEED_MORE
        return self.fail(BAD_REQUEST if self.role == SERVER else UPSTREAM_CLOSED, b"connection closed inside a message")

    def fail(self, reason: cython.int, detail: cython.p_const_char) -> cython.int:
        """The connection is lost; whatever a server does wrong is UPSTREAM_PROTOCOL, unless it just closed."""
        self.state = FAILED
        self.keep_alive = False
        self.closing = True
        self.reason = reason if self.role == SERVER or reason == UPSTREAM_CLOSED else UPSTREAM_PROTOCOL
        self.detail = detail
        return ERROR

    def _begin_scan(self, input: cython.pointer(Buf), limit: uint32_t) -> cython.int:
        self.head_at = input.start
        self.scan.at = self.scan.line = input.start
        self.scan.name_len = self.scan.method_len = 0
        self.scan.seen = self.scan.repeated = 0
        self.scan.content_type = False
        self.scan.max_fields = self.limits.max_fields
        self.scan.max_uri_bytes = self.limits.max_uri_bytes
        self.scan.reject_underscores = self.limits.reject_underscores
        self.scan.in_response = self.role == CLIENT
        return 0

    def _begin_head(self, input: cython.pointer(Buf)) -> cython.int:
        """Skip an empty line, clear the head: HEAD = a line begins at input.start, or NEED_MORE or ERROR."""
        at: uint32_t = input.start
        if at == input.end:
            return NEED_MORE
        if self.role == SERVER:
            if input.base[at] == ord("\r"):
                if input.end - at < 2:
                    return NEED_MORE
                if self.blank_seen or input.base[at + 1] != ord("\n"):
                    return self.fail(BAD_REQUEST, b"malformed method")
                self.blank_seen = True
                input.start = at + 2
                return self._begin_head(input)
        elif not self.asked:
            return self.fail(UPSTREAM_PROTOCOL, b"response without a request")
        if self.head is None:
            raise ValueError("codec.head is not set")
        self.head.clear()
        self._begin_scan(input, self.limits.max_head_bytes)
        self.state = LINE
        return HEAD

    def _rebase(self, head: Head, start: uint32_t) -> cython.void:
        """The bytes at hand moved inside their buffer: so do all offsets (unsigned, so the difference may wrap)."""
        i: cython.int
        by: uint32_t = start - self.head_at
        self.head_at = start
        self.scan.at += by
        self.scan.line += by
        head.method.at += by
        head.path.at += by
        head.reason.at += by
        head.line_at += by
        for i in range(head.count):
            head.fields[i].name_at += by
            head.fields[i].value_at += by

    def _read_head(self, input: cython.pointer(Buf)) -> cython.int:
        state: cython.int
        limit: uint32_t = self.limits.max_head_bytes
        if self.state == START:
            state = self._begin_head(input)
            if state != HEAD:
                return state
        elif input.start != self.head_at:
            self._rebase(self.head, input.start)
        # never look beyond the limit, so that the answer does not depend on how the bytes arrived
        self.scan.end = input.end if input.end - input.start <= limit else input.start + limit
        self.head.base = input.base
        state = SCANNED
        if self.state == LINE:
            if self.role == SERVER:
                state = read_request_line(self.head, cython.address(self.scan), input.base)
            else:
                state = read_status_line(self.head, cython.address(self.scan), input.base)
            if state == SCANNED:
                self.state = FIELDS
        if state == SCANNED:
            state = read_fields(self.head, cython.address(self.scan), input.base)
            if state == SCANNED:
                return self._scanned(input)
        if state == MORE:
            if input.end - input.start < limit:
                return NEED_MORE
            return self.fail(HEAD_TOO_LARGE, b"head is too large")
        return self.fail(self.scan.reason, self.scan.detail) if state == BROKEN else -1

    def _scanned(self, input: cython.pointer(Buf)) -> cython.int:
        """The head is complete: what does it mean?"""
        state: cython.int
        if self.role == SERVER:
            state = settle_request(self.head, cython.address(self.scan), self.limits.max_body)
        else:
            state = settle_response(self.head, cython.address(self.scan), self.limits.max_body, self.method_id, self.upgrade)
        if state == BROKEN:
            return self.fail(self.scan.reason, self.scan.detail)
        if state != SCANNED:
            return -1
        input.start = self.scan.at
        return self._enter_request() if self.role == SERVER else self._enter_response()

    def _enter_request(self) -> cython.int:
        head: Head = self.head
        self.asked = True
        self.method_id = head.method_id
        self.version = head.version
        self.upgrade = head.upgrade
        self.head_keep_alive = head.keep_alive
        self._enter_body()
        return HEAD

    def _enter_response(self) -> cython.int:
        status: cython.int = self.head.status
        if status < 200 and status != 101:
            self.interim += 1
            if self.interim > self.limits.max_interim:
                return self.fail(UPSTREAM_PROTOCOL, b"too many interim responses")
            self.state = START
            return HEAD
        self.head_keep_alive = self.head.keep_alive
        if status == 101 or (self.method_id == M_CONNECT and status < 300):
            self._enter_tunnel()
        elif self.method_id == M_HEAD or status == 204 or status == 304:
            self._in_done()
        else:
            self._enter_body()
        return HEAD

    def _enter_tunnel(self) -> cython.void:
        self.tunnel = self.closing = True
        self.state = TUNNEL
        self.body_done = False

    def resume_tunnel(self) -> cython.bint:
        """Go on with a connection that became a tunnel elsewhere."""
        self.begin_message()
        self._enter_tunnel()
        return True

    def _enter_body(self) -> cython.void:
        framing: cython.int = self.head.framing
        if framing == F_CHUNKED:
            begin_chunks(cython.address(self.chunks))
            self.state = CHUNKED
        elif framing == F_LENGTH and self.head.content_length > 0:
            self.left = cython.cast(uint64_t, self.head.content_length)
            self.state = LENGTH
        elif framing == F_UNTIL_CLOSE:
            self.state = CLOSE
        else:
            self._in_done()

    def _in_done(self) -> cython.void:
        """Nothing but END is left to read of this message."""
        self.state = COMPLETE
        self.body_done = self.in_done = True
        self.keep_alive = self.out_done and self.head_keep_alive and not self.closing

    def _complete(self) -> cython.int:
        self._in_done()
        self.state = IDLE
        return END

    def _read_raw(self, input: cython.pointer(Buf)) -> cython.int:
        """A piece of a body by length or until close, or of a tunnel."""
        length: uint32_t = input.end - input.start
        if length == 0:
            return NEED_MORE
        if self.state == LENGTH:
            if length > self.left:
                length = cython.cast(uint32_t, self.left)
            self.left -= length
            if self.left == 0:
                self._in_done()
        self.data_at = input.start
        self.data_len = length
        input.start += length
        return DATA

    def _read_chunked(self, input: cython.pointer(Buf)) -> cython.int:
        state: cython.int = next_chunk(cython.address(self.chunks), input, self.limits.max_body)
        length: uint32_t
        if state == CHUNK_DATA:
            length = input.end - input.start
            if length > self.chunks.left:
                length = cython.cast(uint32_t, self.chunks.left)
            self.data_at = input.start
            self.data_len = length
            input.start += length
            chunk_consumed(cython.address(self.chunks), length)
            return DATA
        if state == CHUNK_MORE:
            return NEED_MORE
        if state == CHUNK_BROKEN:
            return self.fail(self.chunks.reason, self.chunks.detail)
        self.state = TRAILER
        self._begin_scan(input, self.limits.max_trailer_bytes)
        if self.trailers is not None:
            self.trailers.clear()
        return self._read_trailers(input)

    def _read_trailers(self, input: cython.pointer(Buf)) -> cython.int:
        state: cython.int
        limit: uint32_t = self.limits.max_trailer_bytes
        if self.trailers is None:
            if input.end - input.start >= 2 and input.base[input.start] == ord("\r") and input.base[input.start + 1] == ord("\n"):
                input.start += 2
                return self._complete()
            self.trailers = Head(self.head.arena)
        elif input.start != self.head_at:
            self._rebase(self.trailers, input.start)
        self.trailers.base = input.base
        self.scan.end = input.end if input.end - input.start <= limit else input.start + limit
        state = read_fields(self.trailers, cython.address(self.scan), input.base)
        if state == SCANNED:
            state = check_trailers(self.trailers, cython.address(self.scan))
        if state == MORE:
            if input.end - input.start < limit:
                return NEED_MORE
            return self.fail(HEAD_TOO_LARGE, b"trailers are too large")
        if state != SCANNED:
            return self.fail(self.scan.reason, self.scan.detail) if state == BROKEN else -1
        input.start = self.scan.at
        if self.trailers.count == 0:
            return self._complete()
        self._in_done()
        return TRAILERS

    def splice_length(self) -> uint64_t:
        """Body bytes that follow in the raw: of the length, of the chunk at hand, or without end."""
        if self.state == LENGTH:
            return self.left
        if self.state == CHUNKED:
            return self.chunks.left if self.chunks.step == PAYLOAD else 0
        return ENDLESS if self.state == CLOSE or self.state == TUNNEL else 0

    def spliced(self, length: uint64_t) -> cython.void:
        """*length* of them went past."""
        if self.state == LENGTH:
            self.left -= length
            if self.left == 0:
                self._in_done()
        elif self.state == CHUNKED:
            chunk_consumed(cython.address(self.chunks), length)
