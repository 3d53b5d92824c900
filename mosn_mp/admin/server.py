"""The admin API over HTTP/1.1: a gevent server with limits and deadlines, parsed by the same codec as the proxy's own traffic.

It speaks to operators and scrapers, yet it may face anything: every connection has a deadline for each request and each answer,
heads and bodies are bounded, and when all places are taken the connection that has idled longest makes room. Sockets are
gevent's own; nothing is monkey-patched.
"""

import logging
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, NamedTuple, cast

import gevent
from gevent import Greenlet, Timeout
from gevent.server import StreamServer
from gevent.socket import SHUT_WR, socket

from mosn_mp.admin.api import AdminApi, Reply, text_reply
from mosn_mp.buffer.head import Head
from mosn_mp.codec.driver import CodecDriver, facts
from mosn_mp.codec.http1.codec import Http1Codec
from mosn_mp.codec.http1.limits import Http1Limits
from mosn_mp.errors import Reason

LOG = logging.getLogger("mosn_mp.admin")

# codec.pxd: Role, Event
SERVER = 0
HEAD, END = 1, 4

READ_BYTES = 16384
LINGER_S = 1.0
LINGER_READS = 64

if TYPE_CHECKING:
    Place = Greenlet[..., None]  # gevent's Greenlet takes no parameters at run time
else:
    Place = Greenlet


class AdminLimits(NamedTuple):
    """What one client of the admin API may take."""

    connections: int = 64
    head_bytes: int = 16384
    body_bytes: int = 65536  # the largest body is a log path, unless it may change the configuration
    idle_s: float = 60.0  # between two requests; scrapers come every 15 s to 60 s
    request_s: float = 10.0  # first byte to last
    reply_s: float = 30.0  # a config dump of megabytes over a slow line


class AdminConnection:
    """One client, one request after the other."""

    def __init__(self, api: AdminApi, sock: socket, limits: AdminLimits) -> None:
        self._api = api
        self._sock = sock
        self._limits = limits
        self._driver = CodecDriver(Http1Codec(SERVER, Http1Limits(limits.head_bytes, max_body=limits.body_bytes)))
        self._method = self._target = ""
        self._body = bytearray()

    def wait_first_byte(self) -> bool:
        """Whether a request begins within the idle time."""
        if self._driver.unread:
            return True
        return gevent.with_timeout(self._limits.idle_s, self._read, timeout_value=False)

    def serve_request(self) -> bool:
        """Read one request and answer it; whether the connection may carry another."""
        self._body.clear()
        self._method = ""
        reason = gevent.with_timeout(self._limits.request_s, self._read_request, timeout_value=Reason.HEAD_TIMEOUT)
        if reason is not Reason.NONE:
            if reason is not Reason.DOWNSTREAM_GONE:
                self._driver.write_error(reason)
                self._send()
                gevent.with_timeout(LINGER_S, self._drain, timeout_value=None)
            return False
        self._write_reply(self._answer())
        self._send()
        if not self._driver.keep_alive:
            return False
        self._driver.begin_message()
        return True

    def _read_request(self) -> Reason:
        """Read up to the end of the request; NONE, or why it cannot be served."""
        while True:
            for event, shown in self._driver.pull():
                match shown:
                    case bytes():
                        self._body += shown
                    case Head() if event == HEAD:
                        self._take_head(shown)
                    case (Reason() as reason, _):
                        return reason
                if event == END or self._method == "CONNECT":
                    return Reason.NONE
            if not self._read():
                return Reason.DOWNSTREAM_GONE

    def _drain(self) -> None:
        """Read on after a refusal: closing with bytes unread would reset the connection and destroy the answer."""
        self._sock.shutdown(SHUT_WR)
        for _ in range(LINGER_READS):
            if not self._sock.recv(READ_BYTES):
                return

    def _take_head(self, head: Head) -> None:
        self._method = head.method.decode("latin-1")
        self._target = head.path.decode("latin-1")
        if facts(head).expect_continue and not self._driver.body_done:
            self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _read(self) -> bool:
        data = self._sock.recv(READ_BYTES)
        if data:
            self._driver.feed(data)
        return bool(data)

    def _answer(self) -> Reply:
        path, _, query = self._target.partition("?")
        if self._method == "CONNECT":
            return text_reply("this is no proxy\n", 405)._replace(allow="GET, POST")
        try:
            reply = self._api.answer(self._method, path, query, bytes(self._body))
        except Exception:  # the greenlet's wrapper: a slip of ours costs this answer, not the server
            LOG.exception("admin: %s %s failed", self._method, path)
            return text_reply("internal error\n", 500)
        if self._method == "POST":
            LOG.info("admin: POST %s: %d", path, reply.status)
        return reply

    def _write_reply(self, reply: Reply) -> None:
        fields = [
            ("Content-Type", reply.content_type),
            ("Cache-Control", "no-store"),
            ("Date", formatdate(time.time(), usegmt=True)),
        ]
        if reply.allow:
            fields.append(("Allow", reply.allow))
        if self._method == "CONNECT":
            self._driver.close_after()
        self._driver.write_message(reply.status, fields, reply.body)

    def _send(self) -> None:
        with Timeout(self._limits.reply_s):
            self._sock.sendall(self._driver.take_output())


class AdminServer:
    """`AdminServer(api, ("127.0.0.1", 8080))`; a listening gevent socket may stand for the address."""

    def __init__(self, api: AdminApi, listen: tuple[str, int] | socket, limits: AdminLimits | None = None) -> None:
        self._api = api
        self.limits = limits or AdminLimits()  # of connections that begin from now on
        self._server = StreamServer(listen, self._serve)
        self._places: dict[Place, bool] = {}  # connection -> is it idle; the one that idles longest stands first
        self.refused = 0

    def start(self) -> None:
        """Listen and serve in the background; raises OSError when the address cannot be had."""
        self._server.start()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._server.socket.getsockname()[:2]
        return host, port

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._places)

    def stop(self, timeout_s: float = 1.0) -> None:
        """Stop listening; requests under way have *timeout_s* to end, idle connections are closed at once."""
        self._server.close()
        gevent.killall([place for place, idle in self._places.items() if idle])
        gevent.joinall(list(self._places), timeout=timeout_s)
        gevent.killall(list(self._places))

    def _serve(self, sock: socket, address: object) -> None:
        """The greenlet of one connection."""
        me = cast("Place", gevent.getcurrent())
        if not self._make_room():
            self.refused += 1
            return
        connection = AdminConnection(self._api, sock, self.limits)
        try:
            more = True
            while more:
                self._set_idle(me, True)
                more = connection.wait_first_byte()
                self._set_idle(me, False)
                more = more and connection.serve_request()
        except (OSError, Timeout) as e:
            LOG.debug("admin: client %s: %s", address, e)
        finally:
            self._places.pop(me, None)

    def _make_room(self) -> bool:
        """Whether there is a place for one more connection; the longest idle one gives up its own if need be."""
        if len(self._places) < self.limits.connections:
            return True
        oldest = next((place for place, idle in self._places.items() if idle), None)
        if oldest is None:
            return False
        self._places.pop(oldest)
        oldest.kill(block=False)
        return True

    def _set_idle(self, place: Place, idle: bool) -> None:
        """Note that the connection idles from now on (it goes to the end of the line) or works."""
        self._places.pop(place, None)
        self._places[place] = idle
