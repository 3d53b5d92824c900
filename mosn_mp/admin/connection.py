"""One client of the admin API: HTTP/1.1, one request after the other, parsed by the same codec as the proxy's own traffic.

    half-open --- head, then body ---> replying (changing) ---> idle --- first byte ---> half-open ...

Every stage has a deadline; head and body are bounded. Who may not ask is refused when the head is there, before its body is read.
"""

import logging
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import NamedTuple

import gevent
from gevent import Timeout
from gevent.socket import SHUT_WR, socket

from mosn_mp.admin.access import Caller, Question
from mosn_mp.admin.api import AdminApi, Reply, error_reply, text_reply
from mosn_mp.admin.places import Stage
from mosn_mp.buffer.head import Head
from mosn_mp.codec.driver import CodecDriver, facts
from mosn_mp.codec.http1.codec import Http1Codec
from mosn_mp.codec.http1.limits import Http1Limits
from mosn_mp.errors import Reason

LOG = logging.getLogger("mosn_mp.admin")

# codec.pxd: Role, Event
SERVER = 0
NEED_MORE, HEAD, DATA, END, ERROR = 0, 1, 2, 4, 8

READ_BYTES = 16384
LINGER_S = 1.0
LINGER_READS = 64


class AdminLimits(NamedTuple):
    """What clients of the admin API may take."""

    connections: int = 64  # from other machines
    local_connections: int = 32  # from this one, or by the Unix socket: places that others cannot take
    head_bytes: int = 16384
    body_bytes: int = 65536  # the largest body is a log path, unless it may change the configuration
    head_s: float = 5.0  # from the connection, or from the first byte of a later request, to the end of its head
    body_s: float = 10.0
    idle_s: float = 60.0  # between two requests; scrapers come every 15 s to 60 s
    reply_s: float = 30.0  # a config dump of megabytes over a slow line, or a piece of /metrics


class AdminConnection:
    """One client. *moves* hears of each stage that the connection comes to."""

    def __init__(self, api: AdminApi, sock: socket, caller: Caller, limits: AdminLimits, moves: Callable[[Stage], None]) -> None:
        self._api = api
        self._sock = sock
        self._caller = caller
        self._limits = limits
        self._moves = moves
        self._driver = CodecDriver(Http1Codec(SERVER, Http1Limits(limits.head_bytes, max_body=limits.body_bytes)))
        self._method = self._target = ""
        self._body = bytearray()
        self.refused = 0  # requests of whom may not ask

    def serve(self) -> None:
        """Answer requests until the client, a limit or a deadline ends it; OSError or Timeout: the client is as good as gone."""
        while self._serve_request() and self._wait_next():
            pass

    def _wait_next(self) -> bool:
        """Whether another request begins within the idle time."""
        if not self._driver.unread:
            self._moves(Stage.IDLE)
            if not gevent.with_timeout(self._limits.idle_s, self._read, timeout_value=False):
                return False
        self._moves(Stage.HALF_OPEN)
        return True

    def _serve_request(self) -> bool:
        """Read one request and answer it; whether the connection may carry another."""
        self._body.clear()
        self._method = ""
        reason = gevent.with_timeout(self._limits.head_s, self._read_head, timeout_value=Reason.HEAD_TIMEOUT)
        reply = self._refusal() if reason is Reason.NONE else None
        if reason is Reason.NONE and reply is None:
            reason = gevent.with_timeout(self._limits.body_s, self._read_body, timeout_value=Reason.HEAD_TIMEOUT)
        if reason is not Reason.NONE:
            return self._fail(reason)
        if reply is not None:
            self._driver.close_after()
        self._write_reply(reply or self._answer())
        self._send()
        if reply is not None:
            self._linger()
        if not self._driver.keep_alive:
            return False
        self._driver.begin_message()
        return True

    def _read_head(self) -> Reason:
        """Read up to the end of the head; NONE, or why it cannot be served."""
        while True:
            event, shown = self._driver.next_event()
            if event == HEAD:
                assert isinstance(shown, Head)
                self._take_head(shown)
                return Reason.NONE
            if event == ERROR:
                return _reason_of(shown)
            if not self._read():
                return Reason.DOWNSTREAM_GONE

    def _take_head(self, head: Head) -> None:
        self._method = head.method.decode("latin-1")
        self._target = head.path.decode("latin-1")
        self._awaits_go = facts(head).expect_continue and not self._driver.body_done
        self._question = Question(
            method=self._method,
            authority=(head.authority or b"").decode("latin-1"),
            origin=_field(head, "origin"),
            fetch_site=_field(head, "sec-fetch-site"),
            content_type=_field(head, "content-type"),
            authorization=_field(head, "authorization"),
        )

    def _refusal(self) -> Reply | None:
        """The answer to a client that may not ask this."""
        refusal = self._api.judge(self._question, self._caller)
        if refusal is None:
            return None
        self.refused += 1
        LOG.debug("admin: %s %s of %s refused: %s", self._method, self._target, self._caller.name, refusal.problem)
        return error_reply(refusal.status, refusal.problem)

    def _read_body(self) -> Reason:
        """Read up to the end of the request; NONE, or why it cannot be served."""
        if self._method == "CONNECT":
            return Reason.NONE
        if self._awaits_go:
            self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while True:
            event, shown = self._driver.next_event()
            if event == DATA:
                assert isinstance(shown, bytes)
                self._body += shown
            elif event == END:
                return Reason.NONE
            elif event == ERROR:
                return _reason_of(shown)
            elif event == NEED_MORE and not self._read():
                return Reason.DOWNSTREAM_GONE

    def _read(self) -> bool:
        data = self._sock.recv(READ_BYTES)
        if data:
            self._driver.feed(data)
        return bool(data)

    def _fail(self, reason: Reason) -> bool:
        """Say why a request cannot be served, if there is one, and anybody hears it; False."""
        has_begun = bool(self._method or self._driver.unread)
        if has_begun and reason is not Reason.DOWNSTREAM_GONE:
            self._driver.write_error(reason)
            self._send()
            self._linger()
        return False

    def _linger(self) -> None:
        self._moves(Stage.HALF_OPEN)
        gevent.with_timeout(LINGER_S, self._drain, timeout_value=None)

    def _drain(self) -> None:
        """Read on after a refusal: closing with bytes unread would reset the connection and destroy the answer."""
        self._sock.shutdown(SHUT_WR)
        for _ in range(LINGER_READS):
            if not self._sock.recv(READ_BYTES):
                return

    def _answer(self) -> Reply:
        path, _, query = self._target.partition("?")
        if self._method == "CONNECT":
            return text_reply("this is no proxy\n", 405)._replace(allow="GET, POST")
        if self._method == "POST":
            self._moves(Stage.CHANGING)
        try:
            reply = self._api.answer(self._method, path, query, bytes(self._body))
        except Exception:  # the greenlet's wrapper: a slip of ours costs this answer, not the server
            LOG.exception("admin: %s %s failed", self._method, path)
            return text_reply("internal error\n", 500)
        if self._method == "POST":
            LOG.info("admin: POST %s of %s: %d", path, self._caller.name, reply.status)
        return reply

    def _write_reply(self, reply: Reply) -> None:
        fields = [
            ("Content-Type", reply.content_type),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),  # answers quote what was asked for: nothing of that is a page or a script
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Date", formatdate(time.time(), usegmt=True)),
        ]
        if reply.allow:
            fields.append(("Allow", reply.allow))
        if reply.status == 401:
            fields.append(("WWW-Authenticate", "Bearer"))
        if self._method == "CONNECT":
            self._driver.close_after()
        if isinstance(reply.body, bytes):
            self._driver.write_message(reply.status, fields, reply.body)
            return
        self._driver.begin_response(reply.status, fields)
        for piece in reply.body:
            self._driver.write_data(piece)
            self._send()
            gevent.sleep(0)  # others have their turn between two pieces, however fast this client reads
        self._driver.write_end()

    def _send(self) -> None:
        self._moves(Stage.REPLYING)
        with Timeout(self._limits.reply_s):
            self._sock.sendall(self._driver.take_output())


def _reason_of(shown: object) -> Reason:
    assert isinstance(shown, tuple)
    reason: Reason = shown[0]
    return reason


def _field(head: Head, name: str) -> str:
    """What all fields of that name say: one that is there twice is none that anybody allows."""
    return b", ".join(head.get_all(name)).decode("latin-1")
