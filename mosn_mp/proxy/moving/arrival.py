"""Connections that come from another process (giving.py sends them), up to the moment when they are served here."""

import os

import cython
from cython.cimports.mosn_mp.cluster.cluster import Cluster
from cython.cimports.mosn_mp.cluster.host import Host
from cython.cimports.mosn_mp.codec.codec import CLIENT, Codec
from cython.cimports.mosn_mp.net.connection.connection import (
    S_PARKED,
    S_SERVING,
    Connection,
    Keeper,
)
from cython.cimports.mosn_mp.net.connection.moving import (
    leave,
    put_unread,
    put_unsent,
)
from cython.cimports.mosn_mp.net.libc import getpeername, sockaddr, sockaddr_storage, socklen_t
from cython.cimports.mosn_mp.net.multiplex.relay import open_relay
from cython.cimports.mosn_mp.net.multiplex.server_session import ServerSession
from cython.cimports.mosn_mp.net.pool.host_pool import HostPool
from cython.cimports.mosn_mp.net.reactor.reactor import WRITE
from cython.cimports.mosn_mp.net.reactor.stock import REQUEST_HEAD
from cython.cimports.mosn_mp.observe.access_log.record import take_sockaddr
from cython.cimports.mosn_mp.observe.metrics.metrics import D_CONNECTION_DESTROY, D_CONNECTION_PARKED
from cython.cimports.mosn_mp.proxy.service import Kind, Service
from cython.cimports.mosn_mp.proxy.stream import Stream

from mosn_mp.ipc.frames import Transfer


def arrive(service: Service, clusters: object, frame: Transfer, fds: list[int]) -> object:
    """A connection from another process: what starts it, once Taken is said; None if it cannot go on here, and *fds* are closed.

    What is returned has start() and forget(), one of which is to be called before the hub runs.
    """
    kind: Kind = find_kind(service, frame.protocol)
    host: Host = None
    if not is_spoken(frame, kind) or not service.has_room():
        close_all(fds)
        return None
    if frame.tunnel is not None:
        host = find_host(clusters, frame.tunnel)
        if host is None:
            close_all(fds)
            return None
        service.listener.pools.of(host, clusters[frame.tunnel.cluster])
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
def is_spoken(frame: object, kind: Kind = None) -> cython.bint:
    """Whether connections of *kind* (None: it is not known before the first bytes) can be in the state that *frame* tells of."""
    if kind is None:
        return not frame.protocol and frame.tunnel is None and not frame.waiting
    if frame.tunnel is not None:
        return not kind.spoken.is_shared and not kind.spoken.upstream_shared
    return kind.spoken.is_shared or not frame.waiting


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
        """Register the connections and give them their bytes; False: no room, or no such tunnel; everything is closed."""
        state = self.frame.tunnel
        self.rest = list(fds)
        if state is not None:
            self.stream = self.service.take_stream(self.kind)
            if not self.stream.restore(state):
                close_all(self.rest)
                return self.refuse()
        self.down = self.adopt(self, self.frame.unread, self.frame.unsent if state is None else state.to_down)
        if self.down is None:
            return self.refuse()
        if state is not None:
            self.up = self.adopt(cython.cast(HostPool, self.host.pool), state.unread_up, state.to_up)
            if self.up is None:
                leave(self.down)
                return self.refuse()
        return True

    def refuse(self) -> cython.bint:
        """It is not served here: the stream of a tunnel, if there is one, waits for another request. False."""
        stream: Stream = self.stream
        if stream is not None:
            stream.clear_request()
            stream.home.append(stream)
            self.stream = None
        if self.down is not None:
            self.down.keeper = self.service  # else they would keep each other for ever
            self.down = None
        return False

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
        self.refuse()

    def start(self) -> None:
        """Serve it."""
        service: Service = self.service
        service.listener.count(1)
        try:
            self.go_on()
        except Exception:
            service.listener.count(-1)
            raise

    def go_on(self) -> cython.int:
        down: Connection = self.down
        service: Service = self.service
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
        return 0

    def start_session(self) -> cython.int:
        service: Service = self.service
        session: ServerSession = service.make_session(self.down, self.kind)
        reader: Codec = self.kind.spoken.protocol.make_codec(CLIENT, self.kind.spoken.limits)
        reader.restore(self.frame.word)
        fd: cython.int = self.rest.pop(0)
        open_relay(fd, session, reader, self.frame.waiting)
        return service.reactor.serve_again(self.down)

    def start_tunnel(self) -> cython.int:
        # its greenlet starts from the hub
        self.down.keeper = self
        self.down.state = S_PARKED
        return self.service.reactor.serve_again(self.down)

    def connection_ready(self, connection: Connection) -> cython.int:
        """The hub runs: let the tunnel's stream go on."""
        stream: Stream = self.stream
        stream.chosen = self.host
        stream.pool = cython.cast(HostPool, self.host.pool)
        stream.pool.count_moved(1)
        stream.arrive(connection, self.up, self.frame, self.rest)
        connection.state = S_SERVING
        connection.keeper = self.service  # nobody else refers to this object: it is gone from here on
        return stream.reactor.spawn(stream.job)

    def connection_closed(self, connection: Connection) -> cython.void:
        """The client of a tunnel left before the hub ran: the tunnel is over."""
        leave(self.up)
        close_all(self.rest)
        self.refuse()
        self.service.listener.count(-1)
        self.service.listener.counters[D_CONNECTION_DESTROY] += 1
