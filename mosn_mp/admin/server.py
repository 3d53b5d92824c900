"""A server of the admin API: gevent greenlets with limits and deadlines; it is for operators and scrapers, but faces anybody.

When all places are taken the connection that has done nothing for longest makes room (places.py), and other machines cannot take
the places of this one. Sockets are gevent's own; nothing is monkey-patched.
"""

import logging
import time
from typing import cast

import gevent
from gevent import Timeout
from gevent.server import StreamServer
from gevent.socket import socket

from mosn_mp.admin.access import Caller, tcp_caller
from mosn_mp.admin.api import AdminApi
from mosn_mp.admin.connection import AdminConnection, AdminLimits
from mosn_mp.admin.counts import AdminCounts
from mosn_mp.admin.places import Place, Places, Stage
from mosn_mp.admin.unix_socket import SocketFile, UnixSocket
from mosn_mp.config.decoding.address import Address

LOG = logging.getLogger("mosn_mp.admin")

# Connections taken before those taken so far have their turn: whoever sends its request at once is read before it is the oldest.
ACCEPTED_AT_ONCE = 8
STOP_POLL_S = 0.02

Where = Address | SocketFile


class AdminServer:
    """`AdminServer(api, Address("127.0.0.1", 8080))`, or a SocketFile."""

    def __init__(
        self, api: AdminApi, where: Where, limits: AdminLimits | None = None, counts: AdminCounts | None = None
    ) -> None:
        self._api = api
        self._where = where
        self.limits = limits or AdminLimits()  # of connections that begin from now on
        self.counts = counts or AdminCounts()
        self._local = Places(self.limits.local_connections, self.counts)
        self._remote = Places(self.limits.connections, self.counts)
        self._unix: UnixSocket | None = None
        self._server: StreamServer | None = None

    def start(self) -> None:
        """Listen and serve in the background; raises OSError when the address cannot be had."""
        if isinstance(self._where, SocketFile):
            self._unix = UnixSocket(self._where)
            server = StreamServer(self._unix.sock, self._serve)
        else:
            server = StreamServer((self._where.ip, self._where.port), self._serve)
        server.max_accept = ACCEPTED_AT_ONCE
        server.start()
        self._server = server

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: IP address and port."""
        assert self._server is not None
        host, port = self._server.socket.getsockname()[:2]
        return host, port

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._local) + len(self._remote)

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        if self._unix is not None:
            self._unix.close()

    def stop(self, timeout_s: float = 1.0) -> None:
        """Stop listening; requests under way have *timeout_s* to end, idle connections are closed at once."""
        self.close()
        until = time.monotonic() + timeout_s
        while self.connections and time.monotonic() < until:
            gevent.killall(self._at_stages(Stage.IDLE))  # those that have become idle too
            gevent.sleep(STOP_POLL_S)
        gevent.killall(self._at_stages(*Stage))

    def _at_stages(self, *stages: Stage) -> list[Place]:
        return self._local.at_stages(*stages) + self._remote.at_stages(*stages)

    def _serve(self, sock: socket, address: object) -> None:
        """The greenlet of one connection."""
        me = cast("Place", gevent.getcurrent())
        caller = self._caller(sock, address)
        if caller is None:
            self.counts.refused_connections += 1
            return
        places = self._local if caller.is_local else self._remote
        if not places.enter(me):
            self.counts.refused_connections += 1
            return
        connection = AdminConnection(self._api, sock, caller, self.limits, lambda stage: places.move(me, stage))
        try:
            connection.serve()
        except (OSError, Timeout) as e:
            LOG.debug("admin: %s: %s", caller.name, e)
        finally:
            places.leave(me)
            self.counts.refused_requests += connection.refused

    def _caller(self, sock: socket, address: object) -> Caller | None:
        """Who connected; None if he may not, or is gone already."""
        try:
            if self._unix is not None:
                return self._unix.caller(sock)
            ip, port, *_ = cast("tuple[str, int]", address)
            local_ip = sock.getsockname()[0]
        except OSError:
            return None
        return tcp_caller(ip, port, local_ip)
