"""Live connections of a service that move into another process, and those that come from one (MOSN pkg/network/transfer.go).

    between requests    any protocol: descriptor, unread and unsent bytes, what its codec remembers
    streams under way   of a protocol with many of them: as above, at a moment when no message is half read or half written; the
                        answers that are owed come by a socket pair (net/multiplex/relay.py)
    a tunnel            both descriptors (tunnel.py)

What is none of these, or just now is not, stays where it is and is served on.
"""

import os
import socket

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.mosn_mp.cluster.cluster import Cluster
from cython.cimports.mosn_mp.cluster.host import Host
from cython.cimports.mosn_mp.codec.codec import CLIENT, Codec
from cython.cimports.mosn_mp.net.connection.connection import (
    BLOCK_LARGE,
    S_MOVING,
    S_PARKED,
    S_SERVING,
    S_SHARED,
    Connection,
    Keeper,
)
from cython.cimports.mosn_mp.net.connection.moving import (
    MOST_MOVED,
    drop_hidden,
    go_on_with,
    hide_unsent,
    leave,
    put_unread,
    put_unsent,
    show_unsent,
    unread_of,
)
from cython.cimports.mosn_mp.net.libc import getpeername, sockaddr, sockaddr_storage, socklen_t
from cython.cimports.mosn_mp.net.multiplex.relay import Between, open_relay
from cython.cimports.mosn_mp.net.multiplex.server_session import ServerSession
from cython.cimports.mosn_mp.net.pool.host_pool import HostPool
from cython.cimports.mosn_mp.net.reactor.reactor import WRITE
from cython.cimports.mosn_mp.net.reactor.stock import REQUEST_HEAD
from cython.cimports.mosn_mp.observe.access_log.record import take_sockaddr
from cython.cimports.mosn_mp.observe.metrics.metrics import D_CONNECTION_PARKED
from cython.cimports.mosn_mp.proxy.moving.departure import Departure
from cython.cimports.mosn_mp.proxy.moving.tunnel import TunnelExchange
from cython.cimports.mosn_mp.proxy.service import Kind, Requests, Service
from cython.cimports.mosn_mp.proxy.stream import Stream

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
    if session.in_flight:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        departure.relay_fd = ours.detach()
        departure.own_fds = [theirs.detach()]
        departure.fds.extend(departure.own_fds)
    unsent = hide_unsent(connection, cython.address(departure.hidden))
    departure.frame = describe(service, connection, kind, session.codec.state_word(), unsent, waiting)
    session.moving = True
    connection.state = S_MOVING
    connection.watched = False
    service.reactor.arm(connection, 0)
    return departure


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


# -- the receiver ------------------------------------------------------------------------------------------------------------


def arrive(service: Service, clusters: object, frame: Transfer, fds: list[int]) -> object:
    """A connection from another process: what starts it, once Taken is said; None if it cannot go on here, and *fds* are closed.

    What is returned has start() and forget(), one of which is to be called before the hub runs.
    """
    kind: Kind = find_kind(service, frame.protocol)
    host: Host = None
    if (frame.protocol and kind is None) or not service.has_room():
        close_all(fds)
        return None
    if frame.tunnel is not None:
        host = find_host(clusters, frame.tunnel)
        if host is None or host.pool is None or kind.spoken.is_shared or kind.spoken.upstream_shared:
            close_all(fds)
            return None
    arrival: Arrival = Arrival(service, frame, kind, host)
    return arrival if arrival.open(fds) else None


@cython.cfunc
def find_kind(service: Service, name: str) -> Kind:
    """What new connections of the protocol *name* are here; None: it is not spoken."""
    for item in service.listener.runtime.protocols:
        if item.protocol.name == name:
            return service.kind_for(item)
    return None


@cython.cfunc
def find_host(clusters: object, state: object) -> Host:
    """The host of a tunnel, if it is configured here."""
    cluster: Cluster = clusters.get(state.cluster)
    if cluster is not None:
        for host in cluster.hosts.hosts:
            if host.address == state.host:
                return host
    return None


@cython.cfunc
def close_all(fds: list) -> object:
    """Close descriptors; None."""
    for fd in fds:
        os.close(fd)
    return None


class Arrival(Keeper):
    """A connection that came from another process, up to the moment when it is served."""

    def __init__(self, service: Service, frame: Transfer, kind: Kind = None, host: Host = None) -> None:
        self.service = service
        self.kind = kind
        self.frame = frame
        self.host = host
        self.read_cell = service.read_cell
        self.write_cell = service.write_cell
        self.rank = REQUEST_HEAD

    def open(self, fds: list) -> cython.bint:
        """Register the connections and give them their bytes; False: no room for it, everything is closed."""
        state = self.frame.tunnel
        self.rest = list(fds)
        self.down = self.adopt(self, self.frame.unread, self.frame.unsent if state is None else state.to_down)
        if self.down is None:
            return False
        if state is not None:
            self.up = self.adopt(cython.cast(HostPool, self.host.pool), state.unread_up, state.to_up)
            if self.up is None:
                leave(self.down)
                return False
        return True

    def adopt(self, keeper: Keeper, unread: bytes, unsent: bytes) -> Connection:
        """The next descriptor as a connection; None, and all descriptors closed, if that cannot be."""
        storage: sockaddr_storage
        length: socklen_t = cython.sizeof(storage)
        connection: Connection = Connection.__new__(Connection)
        fd: cython.int = self.rest.pop(0)
        try:
            connection.open(fd, self.service.reactor, keeper)
        except OSError:
            close_all(self.rest)
            return None
        connection.ready = WRITE
        if getpeername(fd, cython.cast(cython.pointer(sockaddr), cython.address(storage)), cython.address(length)) == 0:
            take_sockaddr(cython.address(connection.remote), cython.address(storage))
        if put_unread(connection, unread) and put_unsent(connection, unsent):
            return connection
        leave(connection)
        close_all(self.rest)
        return None

    def forget(self) -> None:
        """The giver has it after all."""
        leave(self.down)
        if self.up is not None:
            leave(self.up)
        close_all(self.rest)

    def start(self) -> None:
        """Serve it."""
        down: Connection = self.down
        service: Service = self.service
        service.listener.count(1)
        down.requests = self.frame.requests
        down.slot = self.frame.word
        down.keeper = service
        if self.kind is not None:
            down.protocol = service.place_of(self.kind)
        if self.frame.tunnel is not None:
            self.start_tunnel()
        elif self.frame.waiting:
            self.start_session()
        else:
            down.state = S_PARKED
            service.listener.counters[D_CONNECTION_PARKED] += 1
            service.reactor.arm(down, self.frame.idle_ms or service.idle_ms(down))
            if down.input.base != cython.NULL:
                service.reactor.serve_again(down)

    def start_session(self) -> cython.int:
        service: Service = self.service
        session: ServerSession = service.make_session(self.down, self.kind)
        reader: Codec = self.kind.spoken.protocol.make_codec(CLIENT, self.kind.spoken.limits)
        reader.restore(self.frame.word)
        fd: cython.int = self.rest.pop(0)
        open_relay(fd, session, reader, self.frame.waiting)
        return service.reactor.serve_again(self.down)

    def start_tunnel(self) -> cython.int:
        stream: Stream = self.service.take_stream(self.kind)
        up: Connection = self.up
        stream.chosen = self.host
        stream.pool = cython.cast(HostPool, self.host.pool)
        stream.pool.count_moved(1)
        stream.arrive(self.down, up, self.frame, self.rest)
        self.stream = stream
        # its greenlet starts from the hub
        self.down.keeper = self
        self.down.state = S_PARKED
        return self.service.reactor.serve_again(self.down)

    def connection_ready(self, connection: Connection) -> cython.int:
        """The hub runs: let the tunnel's stream go on."""
        stream: Stream = self.stream
        connection.state = S_SERVING
        connection.keeper = self.service  # nobody else refers to this object: it is gone from here on
        return stream.reactor.spawn(stream.job)
