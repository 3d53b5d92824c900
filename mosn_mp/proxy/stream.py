"""A stream: one request from its first byte to its last counter. Stream.run() is the story; read it first.

A Stream runs in a serving greenlet and serves the requests of one downstream connection in turn, until the connection has nothing
more to say and parks, or ends. The object is pooled: between requests clear_request() lets go of everything. Its parts,
each a class and a file of its own: what filters see of it (view.py), local replies (reply.py), both sides at work (exchange.py),
whole messages of shared connections (unary.py).

One piece: the story of a request, in its order.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.mosn_mp.buffer.head import K_GLOBAL_TIMEOUT, K_TRY_TIMEOUT
from cython.cimports.mosn_mp.codec.codec import ERROR, HEAD, HEARTBEAT
from cython.cimports.mosn_mp.filter.chain import CONTINUE, RE_CHOOSE, RE_MATCH, TERMINATE
from cython.cimports.mosn_mp.net.connection.connection import BLOCK_SMALL, EOF, LINGER_MS, RESET, S_PARKED, Connection
from cython.cimports.mosn_mp.net.connection.unfinished import KEPT_BYTES, keep
from cython.cimports.mosn_mp.net.multiplex.server_session import ServerSession
from cython.cimports.mosn_mp.net.multiplex.session import FRAME_ROOM
from cython.cimports.mosn_mp.net.pool.host_pool import HostPool
from cython.cimports.mosn_mp.net.reactor.reactor import READ, Pollable
from cython.cimports.mosn_mp.observe.metrics.metrics import (
    D_CONNECTION_PARKED,
    D_LIMIT_REQUESTS_PER_CONNECTION,
)
from cython.cimports.mosn_mp.proxy.account import (
    account_begin,
    account_end,
    account_refusal,
)
from cython.cimports.mosn_mp.proxy.exchange import DONE
from cython.cimports.mosn_mp.proxy.flow import BLOCKED_READ, ENDED, YIELD
from cython.cimports.mosn_mp.proxy.moving.tunnel import TunnelExchange
from cython.cimports.mosn_mp.proxy.runtime import PARTING_MS
from cython.cimports.mosn_mp.route.route import A_CLUSTER, A_DIRECT

from mosn_mp.errors import Reason
from mosn_mp.proxy.failures import tell_failure

# Requests of one connection served before others have their turn (a client that pipelines for ever).
SHARE_REQUESTS = cython.declare(cython.int, 32)
# Connect failures are tried on another host, as MOSN does without any retry policy.
MAX_ATTEMPTS = cython.declare(uint32_t, 3)
MAX_DISCARD = cython.declare(uint64_t, 1 << 18)  # as reply.py announces
DISCARD_MS = cython.declare(uint64_t, 2000)
RE_ENTRIES = cython.declare(cython.int, 10)  # MOSN's bound on phases entered again

NO_ROUTE = cython.declare(cython.int, int(Reason.NO_ROUTE))
NO_HOST = cython.declare(cython.int, int(Reason.NO_HEALTHY_UPSTREAM))
DOWNSTREAM_GONE = cython.declare(cython.int, int(Reason.DOWNSTREAM_GONE))
INTERNAL = cython.declare(cython.int, int(Reason.INTERNAL))
CONNECT_FAILED = cython.declare(cython.int, int(Reason.CONNECT_FAILED))
HEAD_TIMEOUT = cython.declare(cython.int, int(Reason.HEAD_TIMEOUT))
WRITE_TIMEOUT = cython.declare(cython.int, int(Reason.WRITE_TIMEOUT))


class Stream(TunnelExchange):
    """Serves downstream connections, one request at a time."""

    def serve(self, connection: Connection) -> cython.int:
        """Serve *connection* until it parks, ends or has had its share of this wake-up."""
        share: cython.int = SHARE_REQUESTS
        self.down = connection
        self.reactor.adopt(self.task)
        while self.read_head():
            self.begin()
            self.live()
            goes_on: cython.bint = self.finish()
            self.clear_request()
            if not goes_on:
                break
            share -= 1
            if share == 0:
                self.runtime = self.listener.runtime
                self.park()
                self.reactor.serve_again(connection)
                break
        self.down = None
        return 0

    def serve_message(self) -> cython.int:
        """Serve the one request that was put here, of a shared connection."""
        session: ServerSession = self.session
        self.reactor.adopt(self.task)
        self.begin()
        self.live()
        self.release_upstream()
        account_end(self)
        session.finished(self.message_id, self.message_bytes, self)
        self.clear_request()
        self.down = None
        self.home.append(self)
        return 0

    def resume(self) -> cython.int:
        """Go on with the tunnel that was put here, which began in another process."""
        self.reactor.adopt(self.task)
        self.live()
        self.finish()
        self.clear_request()
        self.down = None
        self.home.append(self)
        return 0

    def live(self) -> cython.int:
        """run(), or go on as a tunnel. What a filter raises, or we, fails this stream, loudly, and nothing else."""
        try:
            if self.tunnel:
                self.exchange()
            else:
                self.run()
        except Exception as error:  # noqa: BLE001 - it is told and counted
            tell_failure(self.listener.log, self.runtime.filters, self.runtime.name, self.request, error)
            self.crash()
        return 0

    def read_head(self) -> cython.bint:
        """Wait for the next request head; False: the connection parked or ended."""
        count: cython.int
        event: cython.int
        down: Connection = self.down
        self.runtime = self.listener.runtime
        self.down_codec.begin_message()
        self.task.expired = False
        if down.fragment != cython.NULL:
            self.record.start_at = down.fragment.began_us
        while True:
            if down.input.end > down.input.start:
                if self.record.start_at == 0:
                    self.record.start_at = self.reactor.now_us
                event = self.down_codec.next_event(cython.address(down.input))
                if event == HEAD:
                    if down.fragment != cython.NULL:
                        down.end_fragment()
                    self.request.own(down.input.base)
                    self.one_way = self.down_codec.one_way
                    self.frame_timeout_ms = self.down_codec.timeout_ms
                    return True
                if event == HEARTBEAT and down.reserve(FRAME_ROOM):
                    self.down_codec.write_heartbeat_reply(cython.address(down.output))
                    down.written()
                if HEARTBEAT <= event < ERROR or event > ERROR:
                    self.record.start_at = 0
                    continue
                if event == ERROR:
                    return self.refuse(self.down_codec.reason)
            count = down.fill(BLOCK_SMALL)
            if count <= 0 and not self.wait_head(count):
                return False

    def wait_head(self, count: cython.int) -> cython.bint:
        """fill() gave no bytes but *count*: wait for more of a head; False: the connection parked or ended."""
        down: Connection = self.down
        if count == EOF or count == RESET:
            self.forget_head()
            down.end_fragment()
            if count == EOF:
                down.close_when_flushed()  # the client sends no more; it may still be reading
            else:
                down.close()
            return False
        if down.input.end == down.input.start and down.fragment == cython.NULL:
            self.park()
            return False
        return self.await_head()

    def await_head(self) -> cython.bint:
        """The head has begun. True: there is more of it, or something else has happened; False: its beginning waits without this
        stream, or it is too late for the rest."""
        down: Connection = self.down
        due_ms: uint64_t = self.record.start_at // 1000
        due_ms += self.runtime.head_timeout_ms if self.spoken.is_dated else self.runtime.first_timeout_ms
        if self.reactor.now_ms >= due_ms:
            if down.input.base == cython.NULL and down.recall_fragment(BLOCK_SMALL) and down.input.end:
                return True  # the access log shows what there is of it
            return self.refuse(HEAD_TIMEOUT)
        if keep(down, self.record.start_at, KEPT_BYTES):
            down.fragment.due_ms = due_ms
            self.forget_head()
            self.park()
            return False
        if down.fragment != cython.NULL:
            self.reactor.fragments.hold(down.fragment, True)
        if self.task.deadline_ms == 0:
            self.reactor.arm(self.task, due_ms - self.reactor.now_ms)
        self.reactor.wait(self.task, down, 0 if down.starved else READ, None, 0)
        if down.fd < 0:
            self.forget_head()  # it made way for others
        return down.fd >= 0

    def forget_head(self) -> cython.void:
        """Of a head that is not complete nothing stays here: it is read anew, or never."""
        self.reactor.arm(self.task, 0)
        self.request.clear()
        self.record.start_at = 0

    def refuse(self, reason: cython.int) -> cython.bint:
        """Answer a head that is none, or came too late; always False: the connection ends with it."""
        self.down.end_fragment()
        self.begin()
        account_refusal(self, reason)
        try:
            self.fail(reason)
        except Exception as error:  # noqa: BLE001 - as in live()
            tell_failure(self.listener.log, self.runtime.filters, self.runtime.name, self.request, error)
            self.crash()
        if self.finish():
            self.down.linger(LINGER_MS)  # its codec would go on: it knows of no wrong
        self.clear_request()
        return False

    def begin(self) -> cython.int:
        self.reactor.arm(self.task, 0)
        self.task.expired = False
        self.down.requests += 1
        account_begin(self)
        return 0

    def run(self) -> cython.int:
        """The story of a request: filters, route, filters, host, filters, upstream, request up and response down."""
        if self.runtime.filters.has_request and not self.pass_filters(self.runtime.filters.run_request(self)):
            return 0
        if not self.find_route():
            return 0
        if self.route.action != A_CLUSTER:
            return self.answer_by_route()
        self.set_timeouts()
        if (self.variable_values is not None or self.route.upstream_protocol is not None) and not self.choose_protocol():
            return 0
        if self.session is None and self.down.ready & self.departure():
            return self.fail(DOWNSTREAM_GONE)  # it came and went: no host hears of it
        while self.choose_host():
            if not self.connect():
                if self.pool.failure == CONNECT_FAILED and self.attempts < MAX_ATTEMPTS and self.cluster.hosts.count > 1:
                    continue
                return self.fail(self.pool.failure)
            if not self.send_head():
                return self.fail(INTERNAL if self.unsendable else WRITE_TIMEOUT)
            if self.exchange() == DONE:
                return 0
            self.release_upstream()
        return 0  # no host, or a filter's word: answered already

    def pass_filters(self, verdict: cython.int) -> cython.bint:
        """Does the request go on? If not, the answer that the filters want is on its way."""
        if verdict == CONTINUE:
            return True
        if verdict == TERMINATE:
            self.drop = True
        else:
            self.send_reply()
        return False

    def find_route(self) -> cython.bint:
        verdict: cython.int
        tries: cython.int
        for tries in range(RE_ENTRIES):
            self.route = self.runtime.router.match(self.request)
            if self.route is None:
                self.fail(NO_ROUTE)
                return False
            if not self.runtime.filters.has_route:
                return True
            verdict = self.runtime.filters.run_route(self)
            if verdict != RE_MATCH:
                return self.pass_filters(verdict)
        self.fail(NO_ROUTE)
        return False

    def answer_by_route(self) -> cython.int:
        """A direct response or a redirect."""
        self.compose_reply(self.route.status, self.route.body if self.route.action == A_DIRECT else b"")
        if self.route.action == A_DIRECT:
            if self.reply_body:
                self.response.add_field(b"content-type", 12, b"text/plain", 10)
        else:
            self.response.add(b"location", self.route.location(self.request))
        return self.send_reply()

    def set_timeouts(self) -> cython.int:
        """The route's, or less if the request says so in its frame or its x-mosn-*-timeout (milliseconds).

        A try as long as the whole is no limit, as in MOSN.
        """
        wish: int64_t = self.route.timeout_ms
        if self.frame_timeout_ms:
            wish = self.frame_timeout_ms if self.frame_timeout_ms > 0 else 0  # negative: no timer, as MOSN
        if self.request.known_at[K_GLOBAL_TIMEOUT] >= 0:
            wish = header_number(self, self.request.known_at[K_GLOBAL_TIMEOUT], wish)
        self.global_timeout_ms = self.granted(wish, self.route.timeout_ms)
        self.try_timeout_ms = self.route.per_try_timeout_ms
        if self.request.known_at[K_TRY_TIMEOUT] >= 0:
            wish = header_number(self, self.request.known_at[K_TRY_TIMEOUT], self.try_timeout_ms)
            self.try_timeout_ms = self.granted(wish, self.try_timeout_ms)
        if self.global_timeout_ms > 0 and self.try_timeout_ms >= self.global_timeout_ms:
            self.try_timeout_ms = 0
        return 0

    def granted(self, wish_ms: int64_t, limit_ms: int64_t) -> int64_t:
        """The request's *wish_ms* if it is within the route's *limit_ms* or comes from who may ask for more; 0 = no timeout."""
        if limit_ms == 0 or 0 < wish_ms <= limit_ms:
            return wish_ms
        trusts = self.runtime.trusts
        return wish_ms if trusts is not None and trusts(self.remote_address[0]) else limit_ms

    def choose_host(self) -> cython.bint:
        verdict: cython.int
        tries: cython.int
        self.cluster = self.route.cluster
        if self.spoken.upstream_bound and self.down.mate is not None:
            self.pool = cython.cast(HostPool, self.down.mate.keeper)
            self.chosen = self.pool.host
            if self.route.has_request_edits:
                self.route.finish_request(self.request)
            return True
        for tries in range(RE_ENTRIES):
            self.chosen = self.cluster.pick(self.request, self.chosen)
            if self.chosen is None:
                self.fail(NO_HOST)
                return False
            if not self.runtime.filters.has_host:
                break
            verdict = self.runtime.filters.run_host(self)
            if verdict != RE_CHOOSE:
                if not self.pass_filters(verdict):
                    return False
                break
        if self.attempts == 0 and self.route.has_request_edits:
            self.route.finish_request(self.request)
        self.pool = self.listener.pools.of(self.chosen, self.cluster)
        return True

    def finish(self) -> cython.bint:
        """Let go of the upstream, account, and part from the client or not: True = the connection may carry another request."""
        down: Connection = self.down
        complete: cython.bint
        if self.moved:
            return False  # its end is another process's to see
        self.release_upstream()
        account_end(self)
        if self.drop or down.broken:
            down.abort()
            return False
        if self.tunnel:
            down.close_when_flushed()
            return False
        complete = self.request_complete()
        if not complete and self.down_codec.reason == 0:
            complete = self.drain_request()
        if complete and self.down_codec.keep_alive and not self.must_close():
            return True
        if self.runtime.max_requests != 0 and down.requests >= self.runtime.max_requests:
            self.counters[D_LIMIT_REQUESTS_PER_CONNECTION] += 1
        if complete and not self.request.keep_alive and down.input.end == down.input.start and not down.ready & READ:
            down.close_when_flushed()
        else:
            down.linger(LINGER_MS)
        return False

    def request_complete(self) -> cython.bint:
        """Has the request been read to its end?"""
        return self.down_codec.reason == 0 and (self.request.framing == 0 or (self.upload.ended and not self.upload.broken_off))

    def drain_request(self) -> cython.bint:
        """Throw away the rest of a body that nobody wants, within limits; True: the connection is at the next request."""
        stop: cython.int
        down: Connection = self.down
        if not self.may_drain():
            return False
        self.upload.clear()
        self.upload.discard = True
        self.upload.max_discard = MAX_DISCARD
        self.upload.start(down, self.down_codec, None, None)
        down.flush()
        self.task.expired = False
        self.reactor.arm(self.task, DISCARD_MS)
        while down.fd >= 0 and not self.task.expired:
            stop = self.upload.pump()
            if stop == ENDED:
                self.reactor.arm(self.task, 0)
                return True
            if stop == YIELD:
                self.reactor.serve_again(down)
                self.reactor.wait(self.task, down, 0, None, 0)
            elif stop == BLOCKED_READ:
                self.reactor.wait(self.task, down, 0 if down.starved else READ, None, 0)
            else:
                break
        self.reactor.arm(self.task, 0)
        return False

    def park(self) -> cython.void:
        """Between requests, or at the beginning of a head: the connection keeps neither greenlet nor (once it is empty) buffer,
        only a deadline."""
        down: Connection = self.down
        down.state = S_PARKED
        if down.input.end == down.input.start:
            down.drop_input()
        self.counters[D_CONNECTION_PARKED] += 1
        if down.fragment != cython.NULL:
            self.reactor.wheel.arm(down, down.fragment.due_ms)
        else:
            self.reactor.arm(down, PARTING_MS if self.listener.draining else self.runtime.idle_timeout_ms)

    def clear_request(self) -> cython.void:
        """Forget the request that ended."""
        self.request.clear()
        self.response.clear()
        self.upload.clear()
        self.download.clear()
        self.clear_filters()
        self.clear_call()
        self.record.clear()
        self.runtime = None
        self.route = None
        self.cluster = None
        self.chosen = None
        self.pool = None
        self.reply_body = None
        self.attempts = 0
        self.global_at_ms = self.try_at_ms = 0
        self.body_wait_ms = self.read_wait_ms = 0
        self.body_pace.seen = self.body_pace.spent = 0
        self.response_begun = self.drop = self.answering = self.tunnel = self.moved = False
        self.reused = self.resent = self.reusable = self.awaiting_head = False

    def dismantle(self) -> cython.void:
        """Nobody will use it again. Its parts let go of it, so that its memory goes back now: the garbage collector goes by what
        was allocated lately, and may not look for hours after a burst."""
        self.job.stream = None
        self.upload.stream = self.download.stream = None


class StreamJob(Pollable):
    """A stream as a job of the reactor."""

    def serve(self) -> cython.int:
        return self.stream.resume() if self.stream.tunnel else self.stream.serve_message()

    def on_failure(self) -> cython.int:
        if self.stream.down is not None:
            self.stream.down.abort()
        return 0


@cython.cfunc
@cython.exceptval(check=False)
def header_number(stream: Stream, index: cython.int, otherwise: int64_t) -> int64_t:
    """A field's value as milliseconds; *otherwise* when it is not a plain number below 2**31."""
    at: cython.p_char = stream.request.at(stream.request.fields[index].value_at)
    length: uint32_t = stream.request.fields[index].value_len
    value: int64_t = 0
    i: uint32_t
    if length == 0 or length > 9:
        return otherwise
    for i in range(length):
        if not 48 <= at[i] <= 57:
            return otherwise
        value = value * 10 + at[i] - 48
    return value
