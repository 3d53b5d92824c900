"""The exchange where a side's connection is shared by many streams: a whole request goes up, a whole response comes down.

    down \\ up      a connection of its own          shared
    of its own     bodies flow (exchange.py)        the body is collected, then one message goes up
    shared         the answer is collected          one message up, one message down

Heads are the same table for every protocol and each codec writes them its own way, so converting between protocols needs nothing
here but that the message is whole. What is collected is bounded by the protocols' largest frame.

One piece: the three shared cases above end in the same deadlines, limits and replies.
"""

import cython
from cython.cimports.libc.stdint import int32_t, int64_t, uint32_t, uint64_t
from cython.cimports.mosn_mp.buffer.body import Body
from cython.cimports.mosn_mp.buffer.head import F_LENGTH, F_NONE, M_HEAD
from cython.cimports.mosn_mp.codec.codec import CLIENT, CONVERTS, DATA, END, ERROR, HEAD, NEED_MORE, WRITTEN
from cython.cimports.mosn_mp.filter.chain import CONTINUE, TERMINATE
from cython.cimports.mosn_mp.net.connection.connection import BLOCK_LARGE, BLOCK_SMALL, EOF, RESET, Connection
from cython.cimports.mosn_mp.net.connection.pace import keeps_pace
from cython.cimports.mosn_mp.net.multiplex.client_session import C_ANSWERED, C_LOST, C_WAITING, Call
from cython.cimports.mosn_mp.net.multiplex.server_session import GONE, OVERFLOW, SENT
from cython.cimports.mosn_mp.net.pool.shared_pool import shared_pool_of
from cython.cimports.mosn_mp.net.reactor.reactor import READ
from cython.cimports.mosn_mp.proxy.account import account_failure, account_upstream, account_upstream_end
from cython.cimports.mosn_mp.proxy.exchange import DONE, Exchange, rest_of

from mosn_mp.errors import Reason

GLOBAL_TIMEOUT = cython.declare(cython.int, int(Reason.UPSTREAM_TIMEOUT))
TRY_TIMEOUT = cython.declare(cython.int, int(Reason.PER_TRY_TIMEOUT))
UPSTREAM_CLOSED = cython.declare(cython.int, int(Reason.UPSTREAM_CLOSED))
UPSTREAM_RESET = cython.declare(cython.int, int(Reason.UPSTREAM_RESET))
UPSTREAM_PROTOCOL = cython.declare(cython.int, int(Reason.UPSTREAM_PROTOCOL))
DOWNSTREAM_OVERFLOW = cython.declare(cython.int, int(Reason.DOWNSTREAM_OVERFLOW))
DOWNSTREAM_GONE = cython.declare(cython.int, int(Reason.DOWNSTREAM_GONE))
BODY_TIMEOUT = cython.declare(cython.int, int(Reason.BODY_TIMEOUT))
BODY_TOO_LARGE = cython.declare(cython.int, int(Reason.BODY_TOO_LARGE))
INTERNAL = cython.declare(cython.int, int(Reason.INTERNAL))
WRITE_TIMEOUT = cython.declare(cython.int, int(Reason.WRITE_TIMEOUT))

# The largest body that is collected for a conversion: the default of the RPC protocols' frames.
MAX_TIMEOUT_MS = cython.declare(int64_t, 0x7FFFFFFF)
ERROR_ROOM = cython.declare(uint32_t, 1024)
MAX_COLLECTED = cython.declare(uint64_t, 8 << 20)


class UnaryExchange(Exchange):
    """The part of a stream that knows messages instead of flows."""

    # -- the upstream half ---------------------------------------------------------------------------------------------------

    def choose_protocol(self) -> cython.bint:
        """What goes upstream: what a filter asked for (MOSN's variable upstream_protocol), the route, else the listener. False:
        there is no such protocol, or it is not for clients of this one; the stream has failed."""
        wanted: object = None
        if self.variable_values is not None:
            wanted = self.variable_values.get("upstream_protocol")
        if wanted is None and self.route.upstream_protocol is not None:
            wanted = self.route.upstream_protocol.name
        if wanted is not None and wanted != self.spoken.upstream.name:
            found: object = self.usual.variants.get(wanted)
            if found is None:
                self.listener.log.error("requests of %s cannot go upstream as %s", self.usual.protocol.name, wanted)
                self.fail(INTERNAL)
                return False
            self.spoken = found
            if not self.spoken.upstream_shared:
                self.take_codec()
        return True

    def take_codec(self) -> cython.void:
        """A codec for upstream connections of the stream's own."""
        if self.up_codec_protocol is not self.spoken.upstream:
            self.up_codec = self.spoken.upstream.make_codec(CLIENT, self.spoken.upstream_limits)
            self.up_codec_protocol = self.spoken.upstream

    def connect(self) -> cython.bint:
        """Exchange.connect(), or a place on a shared connection of the chosen host."""
        if not self.spoken.upstream_shared:
            return Exchange.connect(self)
        self.attempts += 1
        self.shared_pool = shared_pool_of(
            self.pool,
            self.spoken.upstream,
            self.spoken.upstream_limits,
            self.pool_word(),
        )
        self.client = self.shared_pool.acquire(self.task, self.global_at_ms)
        if self.client is None:
            self.pool.failure = self.shared_pool.failure
            return False
        self.up = self.client.connection
        self.up.requests += 1
        account_upstream(self)
        return True

    def pool_word(self) -> uint32_t:
        """Codec.pool_word() of the request, CONVERTS where the host shall get another protocol than the client speaks."""
        if self.session is None:
            return 0
        return self.session.codec.pool_word(self.request) | (CONVERTS if self.spoken.converts else 0)

    def release_upstream(self) -> cython.void:
        """The attempt is over; a shared connection stays where it is."""
        if not self.spoken.upstream_shared:
            Exchange.release_upstream(self)
        elif self.up is not None:
            account_upstream_end(self)
            if self.call.state == C_WAITING:
                self.client.forget(self.call)
            self.up = None
            self.client = None

    def send_head(self) -> cython.bint:
        """A flow's head; a whole message is sent by exchange()."""
        if self.session is None and not self.spoken.upstream_shared:
            return Exchange.send_head(self)
        self.awaiting_head = True
        self.up_read_before = self.up.bytes_read
        return True

    def exchange(self) -> cython.int:
        """Request up and response down: DONE, or RETRY on another connection."""
        if self.session is None:
            if not self.spoken.upstream_shared:
                return Exchange.exchange(self)
            if self.attempts == 1 and not self.collect_request():
                return DONE
        if self.attempts == 1 and not self.filter_body(self.request_body, False):
            self.send_reply()
            return DONE
        self.request.framing = F_LENGTH
        self.request.content_length = self.request_body.length
        return self.call_shared() if self.spoken.upstream_shared else self.call_serial()

    def call_shared(self) -> cython.int:
        """Send the request as one message and wait for its answer."""
        call: Call = self.call
        call.task = self.task
        call.head.clear()
        call.body.clear()
        call.refused = False
        call.timeout_ms = cython.cast(int32_t, self.global_timeout_ms if self.global_timeout_ms < MAX_TIMEOUT_MS else 0)
        self.task.expired = False
        self.on_request_sent()
        self.reactor.wheel.arm(self.task, self.answer_deadline())
        if not self.client.send(call, self.request, self.request_body.data, self.request_body.length):
            self.fail(INTERNAL if self.client.unsendable else GLOBAL_TIMEOUT if self.task.expired else UPSTREAM_CLOSED)
            return DONE
        if self.one_way:
            self.client.forget(call)
            call.state = 0
            return DONE
        while call.state == C_WAITING and not self.task.expired and not self.departed:
            self.wait_answer(self.answer_deadline())
        self.reactor.arm(self.task, 0)
        if call.state == C_ANSWERED:
            self.response = call.head
            self.response_body.clear()
            self.response_body.move_from(call.body)
            return self.return_response()
        if call.state == C_LOST:
            self.fail(UPSTREAM_PROTOCOL if call.refused else UPSTREAM_CLOSED)
        elif self.departed:
            account_failure(self, DOWNSTREAM_GONE)
            self.drop = True
        else:
            self.fail(TRY_TIMEOUT if self.try_at_ms and self.reactor.now_ms < self.global_at_ms else GLOBAL_TIMEOUT)
        return DONE

    def wait_answer(self, deadline_ms: uint64_t) -> cython.int:
        """Wait for the answer, the deadline, or the client's going away."""
        self.reactor.wheel.arm(self.task, deadline_ms)
        if self.session is not None:
            return self.reactor.sleep(self.task)
        self.reactor.wait(self.task, self.down, self.runtime.departure, None, 0)
        if self.down.ready & self.runtime.departure:
            self.departed = True
        return 0

    def answer_deadline(self) -> uint64_t:
        if self.try_at_ms and (self.global_at_ms == 0 or self.try_at_ms < self.global_at_ms):
            return self.try_at_ms
        return self.global_at_ms

    def call_serial(self) -> cython.int:
        """Send the request on a connection of its own and collect the answer."""
        host: bytes = self.pool.host_text
        if self.request.authority.len == 0:
            # HTTP/1.1 asks for a Host; a request of another protocol may name none
            self.request.set_slice(cython.address(self.request.authority), host, len(host))
        self.up_codec.head = self.response
        self.up_codec.begin_message()
        if not self.make_room(self.up, self.request.wire_bound()):
            self.fail(WRITE_TIMEOUT)
            return DONE
        if self.up_codec.write_head(self.request, self.request_body.length == 0, cython.address(self.up.output)) != WRITTEN:
            self.fail(INTERNAL)
            return DONE
        self.up.written()
        if not self.write_body(self.up, self.up_codec, self.request_body.data, self.request_body.length):
            self.fail(WRITE_TIMEOUT)
            return DONE
        self.up_codec.write_end(None, cython.address(self.up.output))
        self.up.written()
        self.on_request_sent()
        self.task.expired = False
        return self.collect_response()

    def collect_response(self) -> cython.int:
        """Read the whole response of a connection of our own."""
        count: cython.int
        event: cython.int
        up: Connection = self.up
        self.response_body.clear()
        while True:
            event = self.up_codec.next_event(cython.address(up.input)) if up.input.base != cython.NULL else NEED_MORE
            if event == HEAD:
                if self.response.status >= 200:
                    self.awaiting_head = False
                    self.response.own(up.input.base)
                    if self.up_codec.body_done:
                        event = END
            if event == DATA:
                self.response_body.append(up.input.base + self.up_codec.data_at, self.up_codec.data_len)
                if self.response_body.length > MAX_COLLECTED:
                    self.fail(UPSTREAM_PROTOCOL)
                    return DONE
            if event == NEED_MORE:
                count = up.fill(BLOCK_SMALL if self.awaiting_head else BLOCK_LARGE)
                if count == EOF or count == RESET:
                    event = self.up_codec.end_of_input(cython.address(up.input)) if count == EOF else ERROR
                    if event == NEED_MORE or (event == ERROR and self.awaiting_head):
                        return self.on_upstream_lost()
                elif count <= 0 and not self.wait_bytes(up):
                    return DONE
            if event == END:
                self.reusable = self.up_codec.keep_alive
                return self.return_response()
            if event == ERROR:
                self.fail(UPSTREAM_PROTOCOL)
                return DONE

    def wait_bytes(self, up: Connection) -> cython.bint:
        """Wait for more of the response; False: the deadline passed, or the client left, and the stream has ended."""
        self.reactor.wheel.arm(self.task, self.answer_deadline())
        self.reactor.wait(self.task, up, 0 if up.starved else READ, None, 0)
        self.reactor.arm(self.task, 0)
        if self.departed:
            account_failure(self, DOWNSTREAM_GONE)
            self.drop = True
            return False
        if self.task.expired:
            self.fail(TRY_TIMEOUT if self.try_at_ms and self.reactor.now_ms < self.global_at_ms else GLOBAL_TIMEOUT)
            return False
        return True

    # -- the downstream half -------------------------------------------------------------------------------------------------

    def collect_request(self) -> cython.bint:
        """Read the whole request body of a connection of its own; False: it failed and the stream has ended."""
        count: cython.int
        event: cython.int
        down: Connection = self.down
        self.request_body.clear()
        if self.request.framing == F_NONE:
            self.upload.ended = True
            return True
        while True:
            event = self.down_codec.next_event(cython.address(down.input))
            if event == DATA:
                self.request_body.append(down.input.base + self.down_codec.data_at, self.down_codec.data_len)
                if self.request_body.length > MAX_COLLECTED:
                    self.fail(BODY_TOO_LARGE)
                    return False
            elif event == END:
                self.upload.ended = True
                return True
            elif event == ERROR:
                self.fail(self.down_codec.reason)
                return False
            elif event == NEED_MORE:
                count = down.fill(BLOCK_LARGE)
                if count == EOF or count == RESET:
                    account_failure(self, DOWNSTREAM_GONE)
                    self.drop = True
                    return False
                if count <= 0 and not self.wait_body():
                    return False

    def wait_body(self) -> cython.bint:
        """Wait for more of the request body; False: it comes too slowly, and the stream has ended."""
        down: Connection = self.down
        began_ms: uint64_t = self.reactor.now_ms
        is_starved: cython.bint = down.starved
        self.task.expired = False
        self.reactor.arm(self.task, rest_of(self.runtime.body_look_ms, self.body_wait_ms))
        self.reactor.wait(self.task, down, 0 if is_starved else READ, None, 0)
        self.reactor.arm(self.task, 0)
        if not is_starved:
            self.body_wait_ms += self.reactor.now_ms - began_ms
        if self.body_wait_ms >= self.runtime.body_look_ms:
            self.body_wait_ms = 0
            if not keeps_pace(cython.address(self.body_pace), self.request_body.length, self.runtime.body_look_bytes):
                self.fail(BODY_TIMEOUT)
                return False
        return True

    def return_response(self) -> cython.int:
        """The whole response is here: filters, edits, and down with it."""
        verdict: cython.int
        self.record.response_head_at = self.reactor.read_clock()
        self.awaiting_head = False
        if self.runtime.filters.has_response:
            verdict = self.runtime.filters.run_response(self)
            if verdict == TERMINATE:
                self.drop = True
                return DONE
            if verdict != CONTINUE:
                self.send_reply()
                return DONE
        if not self.filter_body(self.response_body, True):
            self.send_reply()
            return DONE
        if self.route.has_response_edits:
            self.route.finish_response(self.response)
        if self.session is None or self.response.framing != F_LENGTH or (
            self.response.content_length != cython.cast(cython.longlong, self.response_body.length)
            and self.request.method_id != M_HEAD
        ):
            self.response.framing = F_LENGTH
            self.response.content_length = self.response_body.length
        self.deliver(self.response_body.data, self.response_body.length)
        return DONE

    def deliver(self, body: cython.p_const_char, length: uint64_t) -> cython.int:
        """LocalReply.deliver(), or one message on the client's shared connection."""
        if self.one_way:
            return 0
        if self.session is None:
            return Exchange.deliver(self, body, length)
        word: uint32_t = self.session.codec.answer_word(self.request) if self.spoken.converts else 0
        sent: cython.int = self.session.write_answer(self.message_id, self.response, body, length, word)
        if sent == SENT:
            self.response_begun = True
            self.record.bytes_sent += length
        elif sent == GONE:
            account_failure(self, DOWNSTREAM_GONE)
        else:
            reason: cython.int = DOWNSTREAM_OVERFLOW if sent == OVERFLOW else INTERNAL
            account_failure(self, reason)
            self.session.write_error(self.message_id, reason)
        return 0

    def fail(self, reason: cython.int) -> cython.int:
        """LocalReply.fail(), or the protocol's own error message."""
        if self.spoken.is_dated:
            return Exchange.fail(self, reason)
        account_failure(self, reason)
        if self.response_begun or self.answering:
            self.drop = True
        elif not self.one_way:
            self.answering = True
            if self.session is not None:
                self.session.write_error(self.message_id, reason)
            elif self.make_room(self.down, ERROR_ROOM) and (
                self.down_codec.write_error(reason, cython.address(self.down.output)) == WRITTEN
            ):
                self.down.written()
            else:
                self.drop = True  # requests are answered in turn: without an answer there can be no next one
        return 0

    def filter_body(self, body: Body, is_response: cython.bint) -> cython.bint:
        """Let the filters see a whole body in one piece; False: one of them answered by itself."""
        piece: bytes
        if is_response:
            if not self.runtime.filters.has_response_data:
                return True
            piece = self.runtime.filters.run_response_data(self, body.data[: body.length], True)
        else:
            if not self.runtime.filters.has_request_data:
                return True
            piece = self.runtime.filters.run_request_data(self, body.data[: body.length], True)
        if self.replied and not is_response:
            return False
        body.clear()
        body.append(piece, len(piece))
        return True

    def clear_call(self) -> cython.void:
        """Forget the messages of the request that ended."""
        if self.call.head is not self.response:
            self.call.head.clear()
        self.call.body.clear()
        self.call.state = 0
        self.request_body.clear()
        self.response_body.clear()
        self.session = None
        self.client = None
        self.spoken = self.usual
        self.shared_pool = None
        self.one_way = self.departed = False
        self.frame_timeout_ms = 0
