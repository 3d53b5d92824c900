"""The exchange: the request goes up, the response comes down, both at the same time and in one greenlet.

    send_head -> [request body] -> receive_head (1xx pass) -> begin_response -> [response body] -> DONE
                                        |                          |
                                        |                          '-> tunnel: 101, or 2xx to CONNECT; bytes pass both ways
                                        '-> RETRY: the connection had been closed by the host while it was idle

Each turn pumps both flows as far as they go and then waits for just what stopped them. A response may begin, and end, before the
request is complete.

One piece: what each function does is a step of the loop in exchange(), and waits for what the others do.
"""

import cython
from cython.cimports.libc.stdint import int32_t, int64_t, uint8_t, uint64_t
from cython.cimports.mosn_mp.buffer.head import (
    F_CHUNKED,
    F_LENGTH,
    F_NONE,
    M_CONNECT,
    M_DELETE,
    M_GET,
    M_HEAD,
    M_OPTIONS,
    M_PUT,
    M_TRACE,
    Head,
)
from cython.cimports.mosn_mp.codec.codec import ERROR, HEAD, HEARTBEAT, WRITTEN
from cython.cimports.mosn_mp.filter.chain import CONTINUE, TERMINATE, FilterChain
from cython.cimports.mosn_mp.net.connection.connection import BLOCK_SMALL, EOF, RESET, S_SERVING, Connection
from cython.cimports.mosn_mp.net.connection.pace import keeps_pace
from cython.cimports.mosn_mp.net.multiplex.session import FRAME_ROOM
from cython.cimports.mosn_mp.net.reactor.reactor import HANGUP, READ, WRITE
from cython.cimports.mosn_mp.observe.metrics.metrics import D_TIMEOUT_IDLE, D_TUNNELS_ACTIVE
from cython.cimports.mosn_mp.proxy.account import account_failure, account_upstream, account_upstream_end
from cython.cimports.mosn_mp.proxy.flow import (
    BLOCKED_READ,
    BLOCKED_WRITE,
    ENDED,
    READ_FAILED,
    REPLIED,
    TERMINATED,
    WRITE_FAILED,
    YIELD,
)
from cython.cimports.mosn_mp.proxy.reply import LocalReply

from mosn_mp.errors import Reason

GLOBAL_TIMEOUT = cython.declare(cython.int, int(Reason.UPSTREAM_TIMEOUT))
TRY_TIMEOUT = cython.declare(cython.int, int(Reason.PER_TRY_TIMEOUT))
UPSTREAM_CLOSED = cython.declare(cython.int, int(Reason.UPSTREAM_CLOSED))
UPSTREAM_RESET = cython.declare(cython.int, int(Reason.UPSTREAM_RESET))
UPSTREAM_PROTOCOL = cython.declare(cython.int, int(Reason.UPSTREAM_PROTOCOL))
DOWNSTREAM_GONE = cython.declare(cython.int, int(Reason.DOWNSTREAM_GONE))
BODY_TIMEOUT = cython.declare(cython.int, int(Reason.BODY_TIMEOUT))
INTERNAL = cython.declare(cython.int, int(Reason.INTERNAL))
MAX_TIMEOUT_MS = cython.declare(int64_t, 0x7FFFFFFF)
WRITE_TIMEOUT = cython.declare(cython.int, int(Reason.WRITE_TIMEOUT))


@cython.cfunc
@cython.exceptval(-1, check=False)
def unsize(head: Head) -> cython.int:
    """Send the body of *head* in chunks: a filter may change its length."""
    if head.framing == F_LENGTH:
        head.remove_field(b"content-length", 14)
        head.framing = F_CHUNKED
        head.content_length = -1
    return 0


def rest_of(look_ms: uint64_t, waited_ms: uint64_t) -> uint64_t:
    """How long until the next look, when so much of *look_ms* is over."""
    return look_ms - waited_ms if waited_ms < look_ms else 1


class Exchange(LocalReply):
    """The part of a stream that talks to both sides."""

    def connect(self) -> cython.bint:
        """A connection to the chosen host: an idle one, or a new one (always for a request that met a dead idle one)."""
        self.attempts += 1
        if self.spoken.upstream_bound:
            return self.connect_bound()
        self.up = None if self.resent else self.pool.take()
        self.reused = self.up is not None
        if not self.reused:
            self.up = self.dial()
            if self.up is None:
                return False
        self.up.requests += 1
        account_upstream(self)
        return True

    def dial(self) -> Connection:
        """A new connection to the host, unless the client leaves meanwhile; None: see pool.failure."""
        if self.session is not None:
            return self.pool.dial(self.task, self.global_at_ms, None, 0)  # others wait on the client's connection too
        return self.pool.dial(self.task, self.global_at_ms, self.down, self.departure())

    def connect_bound(self) -> cython.bint:
        """The client's own connection, made for its first request. Nothing is sent twice: the host remembers what was said."""
        up: Connection = self.down.mate
        self.reused = False
        if up is None:
            up = self.dial()
            if up is None:
                return False
            self.down.bind_to(up)
        up.state = S_SERVING
        self.up = up
        up.requests += 1
        account_upstream(self)
        return True

    def release_upstream(self) -> cython.void:
        """The attempt is over: the connection goes back to its pool, or is closed when it cannot carry another request."""
        up: Connection = self.up
        if up is None:
            return
        account_upstream_end(self)
        self.up = None
        if self.tunnel:
            self.counters[D_TUNNELS_ACTIVE] -= 1
            self.listener.tunnels.discard(self)
        if self.reusable and self.spoken.upstream_bound:
            self.pool.keep_bound(up)
        elif self.reusable:
            self.pool.give_back(up)
        elif self.tunnel and not self.drop:
            up.close_when_flushed()
        else:
            up.close()

    def send_head(self) -> cython.bint:
        """The request head into the upstream's output; False: no room for it could be had."""
        has_body: cython.bint = self.request.framing != F_NONE
        filters: FilterChain = self.runtime.filters
        if has_body and filters.has_request_data and filters.changes_request_body:
            unsize(self.request)
        if not self.make_room(self.up, self.request.wire_bound()):
            return False
        self.up_codec.head = self.response
        self.up_codec.begin_message()
        self.up_codec.one_way = self.one_way
        self.up_codec.timeout_ms = cython.cast(int32_t, self.global_timeout_ms if self.global_timeout_ms < MAX_TIMEOUT_MS else 0)
        self.unsendable = (
            self.up_codec.write_head(self.request, not has_body, cython.address(self.up.output)) != WRITTEN
        )
        if self.unsendable:
            return False
        self.up.written()
        self.awaiting_head = True
        self.sent_at_us = 0
        self.up_read_before = self.up.bytes_read
        self.upload.clear()
        self.upload.start(self.down, self.down_codec, self.up, self.up_codec)
        self.upload.ended = not has_body and self.request.method_id != M_CONNECT and not self.request.upgrade
        if has_body and (filters.has_request_data or filters.has_request_trailers):
            self.upload.filters = filters
        self.upload.raw = self.request.framing == F_LENGTH and self.upload.filters is None
        if not has_body:
            self.up_codec.write_end(None, cython.address(self.up.output))
        return True

    def exchange(self) -> cython.int:
        """Request body up, response down, until the response is through: DONE, or RETRY on another connection."""
        upload_stop: cython.int = ENDED
        download_stop: cython.int = BLOCKED_READ
        while True:
            # an upgraded or CONNECTed stream sends nothing further up before the upstream has agreed
            if not self.upload.ended and (self.request.framing != F_NONE or self.tunnel):
                upload_stop = self.upload.pump()
                if upload_stop >= READ_FAILED:
                    if self.on_upload_stop(upload_stop):
                        return DONE
                    upload_stop = ENDED
            else:
                upload_stop = ENDED
            if upload_stop == ENDED and self.sent_at_us == 0:
                self.on_request_sent()
            if self.one_way and upload_stop == ENDED:
                self.reusable = True
                return DONE
            if self.awaiting_head:
                download_stop = self.receive_head()
                if self.awaiting_head and download_stop == ENDED:
                    return DONE
                if download_stop == READ_FAILED:
                    return self.on_upstream_lost()
                if not self.awaiting_head:
                    continue
            else:
                download_stop = self.download.pump()
                if download_stop >= READ_FAILED:
                    return self.on_download_stop(download_stop)
                if download_stop == ENDED and (not self.tunnel or self.upload.ended):
                    self.reusable = self.upload.ended and not self.tunnel and self.up_codec.keep_alive
                    return DONE
            if self.wait_or_end(upload_stop, download_stop):
                return DONE

    def wait_or_end(self, upload_stop: cython.int, download_stop: cython.int) -> cython.bint:
        """Nothing moves just now: wait until something may; True: the stream is done."""
        if self.tunnel:
            self.pass_half_close()
            if self.move_on():
                return True
        self.wait_for_progress(upload_stop, download_stop)
        if self.down.ready & self.departure():
            account_failure(self, DOWNSTREAM_GONE)
            self.drop = True
            return True
        return self.task.expired and self.on_deadline(upload_stop, download_stop) != 0

    def on_request_sent(self) -> cython.void:
        """The request is complete: from now on the upstream's time counts (MOSN starts its timers here)."""
        self.down.drop_empty()  # the response may be long in coming
        self.sent_at_us = self.reactor.now_us
        self.record.request_finished_at = self.reactor.now_us
        if self.global_timeout_ms > 0 and self.global_at_ms == 0:
            self.global_at_ms = self.reactor.now_ms + self.global_timeout_ms
        if self.try_timeout_ms > 0:
            self.try_at_ms = self.reactor.now_ms + self.try_timeout_ms

    def receive_head(self) -> cython.int:
        """Read the response head. BLOCKED_READ; READ_FAILED: nothing came; ENDED with awaiting_head still set: the stream is
        done (an error was answered); ENDED otherwise: the response has begun."""
        count: cython.int
        event: cython.int
        up: Connection = self.up
        while True:
            if up.input.end > up.input.start:
                event = self.up_codec.next_event(cython.address(up.input))
                if event == HEAD:
                    if 100 <= self.response.status < 200 and self.response.status != 101:
                        self.forward_interim()
                        continue
                    self.response.own(up.input.base)
                    return self.begin_response()
                if event == ERROR:
                    self.fail(UPSTREAM_PROTOCOL)
                    return ENDED
                if event >= HEARTBEAT:
                    if event == HEARTBEAT and up.reserve(FRAME_ROOM):
                        self.up_codec.write_heartbeat_reply(cython.address(up.output))
                        up.written()
                    continue
            count = up.fill(BLOCK_SMALL)
            if count == EOF or count == RESET:
                return READ_FAILED
            if count <= 0:
                return BLOCKED_READ

    def forward_interim(self) -> cython.int:
        """Pass 100, 103 and the like on; a client of HTTP/1.0 does not know them (RFC 9110 section 15.2)."""
        if self.request.version >= 11 and self.make_room(self.down, self.response.wire_bound()):
            self.down_codec.write_head(self.response, False, cython.address(self.down.output))
            self.down.written()
        self.response.clear()
        return 0

    def begin_response(self) -> cython.int:
        """The final response head goes down; from here on only an abort can tell the client of a failure."""
        filters: FilterChain = self.runtime.filters
        self.record.response_head_at = self.reactor.now_us
        self.awaiting_head = False
        if filters.has_response and not self.pass_response_filters():
            return ENDED
        if self.route.has_response_edits:
            self.route.finish_response(self.response)
        if filters.has_response_data and filters.changes_response_body and not self.up_codec.body_done:
            unsize(self.response)
        self.date_response()
        if not self.make_room(self.down, self.response.wire_bound()):
            account_failure(self, WRITE_TIMEOUT)
            self.drop = self.awaiting_head = True
            return ENDED
        self.down_codec.close_after = self.must_close()
        if self.down_codec.write_head(self.response, self.up_codec.body_done, cython.address(self.down.output)) != WRITTEN:
            account_failure(self, INTERNAL)
            self.drop = self.awaiting_head = True
            return ENDED
        self.down.written()
        self.response_begun = True
        self.tunnel = self.up_codec.tunnel
        self.download.clear()
        self.download.start(self.up, self.up_codec, self.down, self.down_codec)
        if not self.up_codec.body_done and (filters.has_response_data or filters.has_response_trailers):
            self.download.filters = filters
        self.download.raw = (self.response.framing == F_LENGTH or self.tunnel) and self.download.filters is None
        if self.tunnel:
            self.open_tunnel()
        elif self.request.framing == F_NONE:
            self.upload.ended = True
        return ENDED

    def pass_response_filters(self) -> cython.bint:
        """Does the response go on? If not, the answer that the filters want is on its way, or nothing is."""
        verdict: cython.int = self.runtime.filters.run_response(self)
        if verdict == CONTINUE:
            return True
        self.awaiting_head = True
        if verdict == TERMINATE:
            self.drop = True
        else:
            self.send_reply()
        return False

    def open_tunnel(self) -> cython.void:
        """Both sides agreed to talk another protocol (101, or 2xx to CONNECT): bytes pass both ways, without a total deadline."""
        self.upload.clear()
        self.upload.start(self.down, self.down_codec, self.up, self.up_codec)
        self.upload.raw = True
        self.global_at_ms = self.try_at_ms = 0
        self.counters[D_TUNNELS_ACTIVE] += 1
        self.listener.tunnels.add(self)

    def pass_half_close(self) -> cython.void:
        """The end of one direction of a tunnel is the FIN of the other side's."""
        if self.upload.ended:
            self.up.shut_write_when_flushed()
        if self.download.ended:
            self.down.shut_write_when_flushed()

    def move_on(self) -> cython.bint:
        """Has another process taken this tunnel?"""
        return False

    def departure(self) -> uint8_t:
        """What the client's connection is ready for when the client has left: of a tunnel both halves must be shut, and even that
        is none while its last words are still to be passed on; who wants no answer may leave at once."""
        if self.tunnel:
            return 0 if self.down.shut else HANGUP
        return HANGUP if self.one_way else self.runtime.departure

    def wait_for_progress(self, upload_stop: cython.int, download_stop: cython.int) -> cython.int:
        """Wait for what stopped both flows, for the client's going away, or for the next deadline."""
        down: Connection = self.down
        up: Connection = self.up
        departure: uint8_t = self.departure()
        down_interest: uint8_t = departure
        up_interest: uint8_t = 0
        self.task.expired = False
        if upload_stop == YIELD or download_stop == YIELD:
            self.reactor.serve_again(down)
            return self.reactor.wait(self.task, down, 0, up, 0)
        if upload_stop == BLOCKED_READ:
            down_interest |= READ
        elif upload_stop == BLOCKED_WRITE:
            up_interest |= WRITE
        if download_stop == BLOCKED_READ:
            up_interest |= READ
        elif download_stop == BLOCKED_WRITE:
            down_interest |= WRITE
        # who found the arena empty is woken by the next tick, not by a socket that is ready all the time
        if down.starved:
            down_interest = departure
        if up.starved:
            up_interest = 0
        # time is the client's only while it is the client that we wait for
        began_ms: uint64_t = self.reactor.now_ms
        has_room: cython.bint = not down.starved
        self.reactor.wheel.arm(self.task, self.next_deadline(upload_stop, download_stop))
        self.reactor.wait(self.task, down, down_interest, up, up_interest)
        self.reactor.wheel.arm(self.task, 0)
        if download_stop == BLOCKED_WRITE:
            if has_room:
                self.read_wait_ms += self.reactor.now_ms - began_ms
        elif upload_stop == BLOCKED_READ and has_room:
            self.body_wait_ms += self.reactor.now_ms - began_ms
        return 0

    def next_deadline(self, upload_stop: cython.int, download_stop: cython.int) -> uint64_t:
        """The earliest of: the whole exchange, this try, the wait for body bytes, the wait for a reader; 0 = none."""
        deadline: uint64_t = self.global_at_ms
        wait_ms: uint64_t = 0
        if self.try_at_ms and (deadline == 0 or self.try_at_ms < deadline):
            deadline = self.try_at_ms
        if self.tunnel:
            wait_ms = self.runtime.idle_timeout_ms
        elif download_stop == BLOCKED_WRITE:
            wait_ms = rest_of(self.runtime.write_look_ms, self.read_wait_ms)
        elif upload_stop == BLOCKED_WRITE:
            wait_ms = self.runtime.write_timeout_ms
        elif upload_stop == BLOCKED_READ:
            wait_ms = rest_of(self.runtime.body_look_ms, self.body_wait_ms)
        if wait_ms and (deadline == 0 or self.reactor.now_ms + wait_ms < deadline):
            deadline = self.reactor.now_ms + wait_ms
        return deadline

    def on_upload_stop(self, stop: cython.int) -> cython.int:
        """The request body cannot go on: 1 = the stream is done, 0 = the response may still come."""
        if stop == REPLIED:
            self.send_reply()
            return 1
        if stop == TERMINATED:
            self.drop = True
            return 1
        if stop == WRITE_FAILED:
            # the upstream closed while we were sending; it may have answered first (413, 401): read on
            self.upload.broken_off = True
            self.upload.ended = True
            return 0
        if self.upload.reason:
            self.fail(self.upload.reason)
        else:
            account_failure(self, DOWNSTREAM_GONE)
            self.drop = True
        return 1

    def on_download_stop(self, stop: cython.int) -> cython.int:
        """The response body cannot go on: the client must not take what it has for the whole."""
        if stop == TERMINATED:
            pass
        elif stop == WRITE_FAILED:
            account_failure(self, DOWNSTREAM_GONE)
        elif self.download.reason:
            account_failure(self, self.download.reason)
        else:
            account_failure(self, UPSTREAM_RESET if self.up.broken else UPSTREAM_CLOSED)
        self.drop = True
        return DONE

    def on_deadline(self, upload_stop: cython.int, download_stop: cython.int) -> cython.int:
        """Which deadline was it? 1 = the stream is done."""
        now: uint64_t = self.reactor.now_ms
        if self.global_at_ms and now >= self.global_at_ms:
            self.fail(GLOBAL_TIMEOUT)
        elif self.try_at_ms and now >= self.try_at_ms:
            self.fail(TRY_TIMEOUT)
        elif self.tunnel:
            self.counters[D_TIMEOUT_IDLE] += 1
            self.drop = True
        elif download_stop == BLOCKED_WRITE:
            self.read_wait_ms = 0
            if self.down.is_taking():
                return 0
            account_failure(self, WRITE_TIMEOUT)
            self.drop = True
        elif upload_stop == BLOCKED_READ:
            self.body_wait_ms = 0
            if keeps_pace(cython.address(self.body_pace), self.upload.body_bytes, self.runtime.body_look_bytes):
                return 0
            self.fail(BODY_TIMEOUT)
        elif upload_stop == BLOCKED_WRITE:
            self.fail(GLOBAL_TIMEOUT)
        else:
            return 0
        return 1

    def on_upstream_lost(self) -> cython.int:
        """The upstream closed before any byte of a response. On a connection that had been idle this is the race with its idle
        timeout: the request is sent once more, if that is harmless (RFC 9110 section 9.2.2); else 502."""
        if self.may_resend() and self.upload.body_bytes == 0:
            self.resent = True
            return RETRY
        self.fail(UPSTREAM_RESET if self.up.broken else UPSTREAM_CLOSED)
        return DONE

    def may_resend(self) -> cython.bint:
        """An idempotent request that met a connection which had died while it was idle, for the first time."""
        return (
            self.reused
            and not self.resent
            and self.up.bytes_read == self.up_read_before
            and self.request.method_id in (M_GET, M_HEAD, M_PUT, M_DELETE, M_OPTIONS, M_TRACE)
        )
