"""How a stream answers by itself: an error by its Reason, a filter's reply, a direct response, a redirect.

Filters see a local reply on its way out as they see any response; what they raise or reply there is not asked for again.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.mosn_mp.buffer.head import F_LENGTH, F_NONE, M_HEAD
from cython.cimports.mosn_mp.codec.codec import WRITTEN, Codec
from cython.cimports.mosn_mp.filter.chain import TERMINATE
from cython.cimports.mosn_mp.net.connection.connection import Connection
from cython.cimports.mosn_mp.net.reactor.reactor import HANGUP, WRITE
from cython.cimports.mosn_mp.proxy.account import account_failure
from cython.cimports.mosn_mp.proxy.view import StreamView

from mosn_mp.errors import REASONS, Reason

# A reply's body is copied in pieces of this size.
REPLY_PIECE = cython.declare(uint64_t, 8192)
# What a codec puts around a piece, and at the end of a body.
FRAMING_ROOM = cython.declare(uint32_t, 48)
# A request body that nobody wants any more is read up to here to keep the connection; beyond, closing is cheaper.
MAX_DISCARD = cython.declare(int64_t, 1 << 18)

TEXTS = cython.declare(list, [REASONS[reason].text for reason in Reason])
STATUSES = cython.declare(list, [REASONS[reason].status for reason in Reason])
FILTER_ERROR = cython.declare(cython.int, int(Reason.FILTER_ERROR))
BODY_TIMEOUT = cython.declare(cython.int, int(Reason.BODY_TIMEOUT))
INTERNAL = cython.declare(cython.int, int(Reason.INTERNAL))
WRITE_TIMEOUT = cython.declare(cython.int, int(Reason.WRITE_TIMEOUT))


class LocalReply(StreamView):
    """The part of a stream that writes responses of its own."""

    def fail(self, reason: cython.int) -> cython.int:
        """End the stream for *reason*: by a local reply, or by a reset once the response has begun."""
        account_failure(self, reason)
        if self.response_begun or self.answering or not TEXTS[reason]:
            self.drop = True
            return 0
        self.compose_reply(STATUSES[reason], TEXTS[reason])
        self.response.add_field(b"content-type", 12, b"text/plain", 10)
        return self.send_reply()

    def send_reply(self) -> cython.int:
        """Write the response that compose_reply() made."""
        self.answering = True
        if self.runtime.filters.has_response and self.runtime.filters.run_response(self) == TERMINATE:
            self.drop = True
            return 0
        if self.route is not None and self.route.has_response_edits:
            self.route.finish_response(self.response)
        text: cython.p_char = self.reply_body
        return self.deliver(text, len(self.reply_body))

    def crash(self) -> cython.int:
        """End the stream for an exception: the 500 is not shown to filters, which may raise at it again."""
        self.record.reason = 0  # whatever was under way, this is what it came to
        account_failure(self, FILTER_ERROR)
        if self.response_begun:
            self.drop = True
            return 0
        self.answering = True
        self.compose_reply(STATUSES[FILTER_ERROR], TEXTS[FILTER_ERROR])
        self.response.add_field(b"content-type", 12, b"text/plain", 10)
        text: cython.p_char = self.reply_body
        return self.deliver(text, len(self.reply_body))

    def deliver(self, body: cython.p_const_char, length: uint64_t) -> cython.int:
        """Write the response with its whole body downstream."""
        has_body: cython.bint = length > 0 and self.request.method_id != M_HEAD and self.response.status not in (204, 304)
        self.date_response()
        if not self.make_room(self.down, self.response.wire_bound()):
            return self.give_up_writing()
        self.down_codec.close_after = self.must_close()
        if self.down_codec.write_head(self.response, not has_body, cython.address(self.down.output)) != WRITTEN:
            account_failure(self, INTERNAL)
            self.drop = True  # the client waits for an answer that its protocol does not have
            return 0
        self.down.written()
        self.response_begun = True
        if has_body and not self.write_body(self.down, self.down_codec, body, length):
            return self.give_up_writing()
        self.down_codec.write_end(None, cython.address(self.down.output))
        self.down.written()
        self.record.bytes_sent += length
        return 0

    def date_response(self) -> cython.int:
        """An HTTP response says when it was made; one that came without a Date gets ours (RFC 9110 section 6.6.1)."""
        if self.spoken.is_dated and self.response.find(b"date", 4, -1) < 0:
            date: bytes = self.reactor.date
            self.response.add_field(b"date", 4, date, len(date))
        return 0

    def give_up_writing(self) -> cython.int:
        """The client reads nothing."""
        account_failure(self, WRITE_TIMEOUT)
        self.drop = True
        return 0

    def write_body(self, target: Connection, codec: Codec, body: cython.p_const_char, length: uint64_t) -> cython.bint:
        """Write a body that lies in memory, piece by piece; False: *target* took nothing for the write timeout."""
        piece: uint64_t
        while length:
            piece = length if length < REPLY_PIECE else REPLY_PIECE
            if not self.make_room(target, cython.cast(uint32_t, piece) + FRAMING_ROOM):
                return False
            codec.begin_data(piece, cython.address(target.output))
            memcpy(target.output.base + target.output.end, body, piece)
            target.output.end += cython.cast(uint32_t, piece)
            codec.end_data(cython.address(target.output))
            target.written()
            body += piece
            length -= piece
        return True

    def make_room(self, connection: Connection, room: uint32_t) -> cython.bint:
        """Wait until *connection* has *room* bytes for output; False: it broke, or takes nothing, or too little."""
        if connection.reserve(room):
            return True
        self.task.expired = False
        self.reactor.arm(self.task, self.runtime.write_look_ms)
        while not connection.reserve(room):
            if connection.broken:
                return False
            if self.task.expired:
                if not connection.is_taking():
                    return False
                self.task.expired = False
                self.reactor.arm(self.task, self.runtime.write_look_ms)
            self.reactor.wait(self.task, connection, 0 if connection.starved else WRITE | HANGUP, None, 0)
        self.reactor.arm(self.task, 0)
        return True

    def must_close(self) -> cython.bint:
        """Is this the last response of the connection, whatever the client wants?"""
        return (
            self.listener.parts
            or self.down.bereft
            or (self.runtime.max_requests != 0 and self.down.requests >= self.runtime.max_requests)
            or not self.may_drain()
        )

    def may_drain(self) -> cython.bint:
        """Is what is left of the request body little enough to be read for the next request's sake? If not, or if nobody can
        tell, the response says that the connection ends with it."""
        if self.request.framing == F_NONE or self.upload.ended:
            return True
        if self.request.expect_continue and self.upload.body_bytes == 0:
            return False  # a client that was refused sends the body or the next request (RFC 9110 section 10.1.1)
        if self.record.reason == BODY_TIMEOUT:
            return False  # it has been waited for already
        return (
            self.request.framing == F_LENGTH
            and self.request.content_length - cython.cast(int64_t, self.upload.body_bytes) <= MAX_DISCARD
        )
