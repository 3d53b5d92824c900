"""Tunnels (WebSocket, CONNECT) that move into another process: both connections, and every byte between them, in order.

A direction's bytes lie, from its target to its source: written and not sent (the target's output, then the rest of the piece
being written), in a pipe, unread (the source's input). The pipe moves as it is, the rest beside it. The stream's own greenlet
packs all this between two waits, sends it off and sleeps until the other process has said whether it takes it.
"""

import cython
import msgspec
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.mosn_mp.buffer.head import Head
from cython.cimports.mosn_mp.net.connection.connection import BLOCK_LARGE, Connection
from cython.cimports.mosn_mp.net.connection.moving import (
    MOST_MOVED,
    drop_hidden,
    hide_unsent,
    leave,
    show_unsent,
    unread_of,
)
from cython.cimports.mosn_mp.net.pool.host_pool import HostPool
from cython.cimports.mosn_mp.observe.access_log.record import Record
from cython.cimports.mosn_mp.observe.metrics.metrics import D_REQUEST_ACTIVE, D_TUNNELS_ACTIVE, U_REQUEST_ACTIVE
from cython.cimports.mosn_mp.proxy.flow import NO_PIECE, SUFFIX, Flow
from cython.cimports.mosn_mp.proxy.moving.departure import Departure
from cython.cimports.mosn_mp.proxy.unary import UnaryExchange

from mosn_mp.ipc.frames import HeadState, Transfer, TunnelState

PSEUDO = cython.declare(tuple, ("method", "path", "authority", "scheme"))


@cython.cfunc
def head_state(head: Head) -> HeadState:
    """What the access log may want of *head*."""
    pseudo: dict = {name: getattr(head, name) for name in PSEUDO}
    return HeadState(fields=head.items(), status=head.status, version=head.version, **pseudo)


@cython.cfunc
@cython.exceptval(-1, check=False)
def restore_head(head: Head, state: object) -> cython.int:
    """Make *head* what head_state() was of, also with the fields that no filter may write (Upgrade, Content-Length)."""
    field: bytes
    value: bytes
    head.clear()
    for field, value in state.fields:
        head.add_field(PyBytes_AS_STRING(field), PyBytes_GET_SIZE(field), PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    for name in PSEUDO:
        if getattr(state, name):
            setattr(head, name, getattr(state, name))
    head.status = state.status
    head.version = state.version
    return 0


@cython.cfunc
def rest_of_piece(flow: Flow) -> bytes:
    """What is left to write of the piece at hand."""
    return flow.payload[: flow.length] if flow.stage != NO_PIECE and flow.stage != SUFFIX else b""


class TunnelExchange(UnaryExchange):
    """The part of a stream that takes a tunnel elsewhere."""

    def move_on(self) -> cython.bint:
        """Somebody wants this tunnel in another process; True: it is there now."""
        departure: TunnelDeparture
        give = self.mover
        self.mover = None
        if give is None:
            return False
        departure = self.depart()
        if departure is None:
            return False
        give(departure)
        while not departure.decided:
            self.reactor.sleep(self.task)
        return self.moved

    def depart(self) -> TunnelDeparture:
        """The tunnel at rest, or None: filters hold something of it, or more bytes are on their way than one frame holds."""
        departure: TunnelDeparture
        down: Connection = self.down
        up: Connection = self.up
        to_down: bytes
        to_up: bytes
        variables: bytes = self.movable_variables()
        if variables is None or up is None or self.upload.filters is not None or self.download.filters is not None:
            return None
        down.flush()
        up.flush()
        if down.broken or up.broken:
            return None
        to_down = rest_of_piece(self.download)
        to_up = rest_of_piece(self.upload)
        down_bytes: uint64_t = (down.output.end - down.output.start) + len(to_down)
        up_bytes: uint64_t = (up.output.end - up.output.start) + len(to_up)
        unread: uint64_t = (down.input.end - down.input.start) + (up.input.end - up.input.start)
        if down_bytes > BLOCK_LARGE or up_bytes > BLOCK_LARGE or down_bytes + up_bytes + unread > MOST_MOVED:
            return None
        departure = TunnelDeparture.__new__(TunnelDeparture)
        departure.stream = self
        departure.listener = self.listener
        to_down = hide_unsent(down, cython.address(departure.hidden_down)) + to_down
        to_up = hide_unsent(up, cython.address(departure.hidden_up)) + to_up
        departure.fds = [down.fd, up.fd, *self.filled_pipes()]
        departure.frame = Transfer(
            serial=0,
            listener=self.runtime.name,
            protocol=self.spoken.protocol.name,
            word=0,
            requests=down.requests,
            idle_ms=0,
            unread=unread_of(down),
            tunnel=self.describe(variables, to_up, to_down),
        )
        return departure

    def filled_pipes(self) -> list:
        """Descriptors of the pipes that have bytes in them, up before down."""
        fds: list = []
        for flow in (self.upload, self.download):
            if cython.cast(Flow, flow).in_pipe:
                fds.extend((cython.cast(Flow, flow).pipe_read, cython.cast(Flow, flow).pipe_write))
        return fds

    def movable_variables(self) -> bytes:
        """What filters keep of this stream, as it can travel; None: it cannot."""
        if self.filter_objects is not None and self.runtime.filters.has_end:
            return None
        if self.variable_values is None:
            return b""
        try:
            return msgspec.msgpack.encode(self.variable_values)
        except (TypeError, ValueError, OverflowError):
            return None

    def describe(self, variables: bytes, to_up: bytes, to_down: bytes) -> TunnelState:
        """Everything but the client's connection."""
        up: Connection = self.up
        down: Connection = self.down
        return TunnelState(
            cluster=self.chosen.cluster_name,
            host=self.chosen.address,
            request=head_state(self.request),
            response=head_state(self.response),
            times=self._times(),
            counts=(self.upload.body_bytes, self.download.body_bytes, self.record.stream_id, self.record.attempts),
            variables=variables,
            to_up=to_up,
            to_down=to_down,
            unread_up=unread_of(up),
            pipes=(self.upload.in_pipe, self.download.in_pipe),
            ended=(self.upload.end_seen, self.download.end_seen),
            shut=(bool(up.shut or up.shut_after_flush), bool(down.shut or down.shut_after_flush)),
        )

    def _times(self) -> tuple:
        record: Record = self.record
        return (record.start_at, record.request_head_at, record.request_finished_at, record.response_head_at)

    def restore(self, state: object) -> cython.bint:
        """Take what stands beside a tunnel's connections; False: it is no state of one, and this stream of no use any more."""
        self.runtime = self.listener.runtime
        try:
            restore_head(self.request, state.request)
            restore_head(self.response, state.response)
            if state.variables:
                self.variable_values = msgspec.msgpack.decode(state.variables)
        except (ValueError, TypeError, RecursionError):
            return False
        return True

    def arrive(self, down: Connection, up: Connection, frame: object, fds: list) -> cython.int:
        """Become the tunnel of *frame* between both connections, after restore(); *fds* are its pipes, this stream's now."""
        state = frame.tunnel
        self.down = down
        self.up = up
        self.route = self.runtime.router.match(self.request)
        record: Record = self.record
        record.start_at, record.request_head_at, record.request_finished_at, record.response_head_at = state.times
        self.record.connection_id = down.id
        self.record.upstream_connection_id = up.id
        self.down_codec.resume_tunnel()
        self.up_codec.head = self.response
        self.up_codec.resume_tunnel()
        self.tunnel = True
        self.open_tunnel()
        self.download.start(up, self.up_codec, down, self.down_codec)
        self.download.raw = True
        self.upload.body_bytes, self.download.body_bytes, self.record.stream_id, self.record.attempts = state.counts
        self.upload.end_seen, self.download.end_seen = state.ended
        pipes: list = list(fds)
        for flow, length in ((self.upload, state.pipes[0]), (self.download, state.pipes[1])):
            if length:
                cython.cast(Flow, flow).in_pipe = length
                cython.cast(Flow, flow).pipe_read = pipes.pop(0)
                cython.cast(Flow, flow).pipe_write = pipes.pop(0)
                cython.cast(Flow, flow).is_pipe_foreign = True
                self.upload.pipes.adopt()
        up.shut, down.shut = state.shut
        self.awaiting_head = False
        self.response_begun = True
        self.attempts = 1
        self.counters[D_REQUEST_ACTIVE] += 1
        self.chosen.up[U_REQUEST_ACTIVE] += 1
        return 0


class TunnelDeparture(Departure):
    """A tunnel on its way; its greenlet sleeps meanwhile."""

    def taken(self) -> None:
        """Both connections are elsewhere: undo what counts them here."""
        stream: TunnelExchange = self.stream
        up: Connection = stream.up
        stream.moved = True
        self.decided = True
        stream.counters[D_REQUEST_ACTIVE] -= 1
        stream.counters[D_TUNNELS_ACTIVE] -= 1
        stream.listener.tunnels.discard(stream)
        stream.chosen.up[U_REQUEST_ACTIVE] -= 1
        drop_hidden(stream.down, cython.address(self.hidden_down))
        drop_hidden(up, cython.address(self.hidden_up))
        cython.cast(HostPool, up.keeper).count_moved(-1)
        self.listener.count(-1)
        leave(stream.down)
        leave(up)
        stream.up = None
        stream.reactor.wake_soon(stream.task)

    def kept(self) -> None:
        """Send on what was hidden."""
        stream: TunnelExchange = self.stream
        self.decided = True
        show_unsent(stream.down, cython.address(self.hidden_down))
        show_unsent(stream.up, cython.address(self.hidden_up))
        stream.reactor.wake_soon(stream.task)
