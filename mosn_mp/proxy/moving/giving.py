"""Live connections of a service that move into another process (MOSN pkg/network/transfer.go).

    between requests    any protocol: descriptor, unread and unsent bytes, what its codec remembers
    streams under way   of a protocol with many of them: as above, at a moment when no message is half read or half written; the
                        answers that are owed come by a socket pair (net/multiplex/relay.py)
    a tunnel            both descriptors (tunnel.py)

What is none of these, or just now is not, stays where it is and is served on. arrival.py is the other end.
"""

import os
import socket

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.mosn_mp.net.connection.connection import (
    BLOCK_LARGE,
    S_MOVING,
    S_PARKED,
    S_SHARED,
    Connection,
)
from cython.cimports.mosn_mp.net.connection.moving import (
    MOST_MOVED,
    drop_hidden,
    go_on_with,
    hide_unsent,
    leave,
    show_unsent,
    unread_of,
)
from cython.cimports.mosn_mp.net.multiplex.relay import Between
from cython.cimports.mosn_mp.net.multiplex.server_session import ServerSession
from cython.cimports.mosn_mp.observe.metrics.metrics import D_CONNECTION_PARKED
from cython.cimports.mosn_mp.proxy.moving.departure import Departure
from cython.cimports.mosn_mp.proxy.moving.tunnel import TunnelExchange
from cython.cimports.mosn_mp.proxy.service import Kind, Requests, Service

from mosn_mp.ipc.frames import Transfer


def departures(service: Service, most: int) -> list[Departure]:
    """At most *most* connections of *service* that can move now, each at rest until its taken() or kept()."""
    fd: cython.int
    connection: Connection
    departure: Departure
    found: list = []
    for fd in range(service.reactor.table_size):
        if service.reactor.table[fd] == cython.NULL:
            continue
        pollable: object = cython.cast(object, service.reactor.table[fd])
        if not isinstance(pollable, Connection):
            continue
        if len(found) >= most:
            break
        connection = cython.cast(Connection, pollable)
        departure = None
        if connection.state == S_PARKED and connection.keeper is service:
            departure = depart_idle(service, connection)
        elif connection.state == S_SHARED and isinstance(connection.keeper, ServerSession):
            departure = depart_session(service, cython.cast(ServerSession, connection.keeper))
        if departure is not None:
            found.append(departure)
    return found


def ask_tunnels(service: Service, most: int, give: object) -> int:
    """Let at most *most* tunnels of *service* call *give* with their Departure, each as soon as it can; returns how many."""
    stream: TunnelExchange
    asked: cython.int = 0
    for item in list(service.listener.tunnels):
        if asked >= most:
            break
        stream = cython.cast(TunnelExchange, item)
        if stream.mover is None and stream.task.waiting and stream.spoken.protocol.movable:
            stream.mover = give
            stream.reactor.wake_soon(stream.task)
            asked += 1
    return asked


@cython.cfunc
def depart_idle(service: Service, connection: Connection) -> Departure:
    """A connection between requests; None if it cannot move just now."""
    departure: IdleDeparture
    unsent: bytes
    kind: Kind = service.kind_of(connection) if connection.protocol else None
    if (kind is not None and not kind.spoken.protocol.movable) or connection.mate is not None:
        return None
    connection.flush()
    if connection.fd < 0 or connection.output.end - connection.output.start > BLOCK_LARGE // 2:
        return None
    departure = IdleDeparture.__new__(IdleDeparture)
    departure.listener = service.listener
    departure.connection = connection
    unsent = hide_unsent(connection, cython.address(departure.hidden))
    departure.fds = [connection.fd]
    departure.frame = describe(service, connection, kind, connection.slot, unsent, [])
    connection.state = S_MOVING
    connection.watched = False
    service.reactor.arm(connection, 0)
    return departure


@cython.cfunc
def depart_session(service: Service, session: ServerSession) -> Departure:
    """A connection with streams under way; None if a message is half read or half written, or others owe it answers already."""
    departure: SessionDeparture
    unsent: bytes
    connection: Connection = session.connection
    kind: Kind = cython.cast(Kind, session.kind)
    if cython.cast(Requests, session.inbox).service is not service or not kind.spoken.protocol.movable:
        return None
    if session.moving or session.reading or session.backlog.end or session.body_left >= 0:
        return None
    if session.ended or session.relay is not None or session.twins:
        return None
    connection.flush()
    if connection.fd < 0 or connection.output.end - connection.output.start > BLOCK_LARGE // 2:
        return None
    if connection.input.end - connection.input.start > MOST_MOVED - BLOCK_LARGE // 2:
        return None
    departure = SessionDeparture.__new__(SessionDeparture)
    departure.listener = service.listener
    departure.connection = connection
    departure.session = session
    departure.relay_fd = -1
    departure.fds = [connection.fd]
    waiting: list = list(session.calls)
    if session.in_flight and not open_relay_pair(service, departure):
        return None
    unsent = hide_unsent(connection, cython.address(departure.hidden))
    departure.frame = describe(service, connection, kind, session.codec.state_word(), unsent, waiting)
    session.moving = True
    connection.state = S_MOVING
    connection.watched = False
    service.reactor.arm(connection, 0)
    return departure


@cython.cfunc
@cython.exceptval(-1, check=False)
def open_relay_pair(service: Service, departure: SessionDeparture) -> cython.bint:
    """The socket pair for the answers that are owed; False: there are no descriptors for it now."""
    if not service.descriptors.may_connect():
        return False
    try:
        ours, theirs = socket.socketpair()
    except OSError as error:
        service.reactor.is_shortage(error.errno)
        return False
    ours.setblocking(False)
    departure.relay_fd = ours.detach()
    departure.own_fds = [theirs.detach()]
    departure.fds.extend(departure.own_fds)
    return True


@cython.cfunc
def describe(service: Service, connection: Connection, kind: Kind, word: uint32_t, unsent: bytes, waiting: list) -> Transfer:
    """The frame of a connection that is no tunnel."""
    idle_ms: uint64_t = 0
    if connection.deadline_ms > service.reactor.now_ms:
        idle_ms = connection.deadline_ms - service.reactor.now_ms
    return Transfer(
        serial=0,
        listener=service.listener.runtime.name,
        protocol=kind.spoken.protocol.name if kind is not None else "",
        word=word,
        requests=connection.requests,
        idle_ms=idle_ms,
        unread=unread_of(connection),
        unsent=unsent,
        waiting=waiting,
    )


class IdleDeparture(Departure):
    """A connection between requests."""

    def taken(self) -> None:
        """The receiver has it."""
        drop_hidden(self.connection, cython.address(self.hidden))
        self.listener.counters[D_CONNECTION_PARKED] -= 1
        self.listener.count(-1)
        leave(self.connection)

    def kept(self) -> None:
        """Wait for its next request here."""
        connection: Connection = self.connection
        show_unsent(connection, cython.address(self.hidden))
        connection.state = S_PARKED
        connection.reactor.arm(connection, max(self.frame.idle_ms, 1))
        connection.reactor.serve_again(connection)  # what it became ready for meanwhile


class SessionDeparture(Departure):
    """A connection with streams under way."""

    def taken(self) -> None:
        """The receiver has the client; streams under way go on here, and answer by the relay."""
        session: ServerSession = self.session
        connection: Connection = self.connection
        drop_hidden(connection, cython.address(self.hidden))
        connection.drop_input()
        connection.end_fragment()
        session.moving = False
        self.close_own()
        self.listener.count(-1)
        if self.relay_fd < 0:
            session.head.clear()
            leave(connection)
            return
        self.listener.open_count += 1  # this process has something to finish
        session.inbox = MovedRequests(cython.cast(Requests, session.inbox).service)
        session.read_cell = session.write_cell = Between().read_cell
        session.ended = True
        session.look_ms = 0  # whoever reads it is of this program, and watches the client
        go_on_with(connection, self.relay_fd)
        connection.state = S_SHARED
        connection.reactor.serve_again(connection)

    def kept(self) -> None:
        """Go on here."""
        connection: Connection = self.connection
        self.close_own()
        if self.relay_fd >= 0:
            os.close(self.relay_fd)
        show_unsent(connection, cython.address(self.hidden))
        self.session.moving = False
        connection.state = S_SHARED
        connection.reactor.serve_again(connection)


class MovedRequests(Requests):
    """As before, but that the client is counted elsewhere."""

    def connection_closed(self, connection: Connection) -> cython.void:
        self.service.listener.open_count -= 1
