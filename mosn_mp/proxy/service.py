"""The service of a listener in one worker: admits connections, gives each readable one a stream, keeps the parked ones.

One piece: connections and requests of a listener count in the same places, and hand each other over.
"""

import cython
from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.mosn_mp.buffer.body import Body
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import Head
from cython.cimports.mosn_mp.buffer.heap import Allocator, allocate_apart, allocate_as_usual
from cython.cimports.mosn_mp.codec.codec import SERVER, WRITTEN, Codec
from cython.cimports.mosn_mp.net.connection.connection import BLOCK_SMALL, EOF, RESET, S_PARKED, S_SERVING, S_SHARED, Connection
from cython.cimports.mosn_mp.net.connection.descriptors import Descriptors
from cython.cimports.mosn_mp.net.connection.listener import Acceptor
from cython.cimports.mosn_mp.net.connection.splice import PipePool
from cython.cimports.mosn_mp.net.connection.unfinished import KEPT_BYTES, keep
from cython.cimports.mosn_mp.net.libc import MSG_DONTWAIT, MSG_PEEK, recv
from cython.cimports.mosn_mp.net.multiplex.client_session import Call
from cython.cimports.mosn_mp.net.multiplex.server_session import Inbox, ServerSession
from cython.cimports.mosn_mp.net.reactor.reactor import HANGUP, READ, Task
from cython.cimports.mosn_mp.net.reactor.stock import REQUEST_HEAD
from cython.cimports.mosn_mp.observe.access_log.record import Record
from cython.cimports.mosn_mp.observe.metrics.metrics import (
    D_ARENA_EXHAUSTED,
    D_BYTES_READ_TOTAL,
    D_BYTES_WRITE_TOTAL,
    D_CONNECTION_ACTIVE,
    D_CONNECTION_DESTROY,
    D_CONNECTION_PARKED,
    D_CONNECTION_TOTAL,
    D_LIMIT_CONNECTIONS,
    D_LIMIT_UNFINISHED,
    D_PROTOCOL_ERROR,
    D_TIMEOUT_BODY,
    D_TIMEOUT_GOAWAY,
    D_TIMEOUT_HEADER,
    D_TIMEOUT_IDLE,
    D_TIMEOUT_WRITE,
    W_ACCEPT_ERRORS,
    W_ACCEPTED,
    W_CONNECTIONS,
    Metrics,
)
from cython.cimports.mosn_mp.proxy.flow import Flow
from cython.cimports.mosn_mp.proxy.runtime import PARTING_MS, ListenerRuntime, ListenerState, SpokenProtocol
from cython.cimports.mosn_mp.proxy.stream import Stream, StreamJob

from mosn_mp.codec.protocol import Match

# Idle streams kept for the next burst; about 5 KB each.
IDLE_STREAMS = cython.declare(cython.int, 512)
# Idle ones given up at a time: half a millisecond.
TRIMMED = cython.declare(cython.int, 256)
# Which protocol it is must be clear by then.
DETECT_BYTES = cython.declare(cython.int, 64)
GOODBYE_ROOM = cython.declare(uint32_t, 64)
# Who asked for nothing more for so long gives way to those that wait.
SHED_IDLE_MS = cython.declare(uint64_t, 3000)

MATCH_AGAIN = cython.declare(cython.int, int(Match.AGAIN))
MATCH_NO = cython.declare(cython.int, int(Match.NO))
MATCH_YES = cython.declare(cython.int, int(Match.YES))


class Service(Acceptor):
    """Where a listener's connections live."""

    def __init__(
        self, listener: ListenerState, descriptors: Descriptors, metrics: Metrics, pipes: PipePool, bases: tuple[int, int]
    ) -> None:
        self.listener = listener
        self.reactor = descriptors.reactor
        self.descriptors = descriptors
        self.metrics = metrics
        self.pipes = pipes
        self.spoken = []
        self.requests = Requests(self)
        self.read_cell = listener.counters + D_BYTES_READ_TOTAL
        self.write_cell = listener.counters + D_BYTES_WRITE_TOTAL
        self.starved_cell = listener.counters + D_ARENA_EXHAUSTED
        self.rank = REQUEST_HEAD
        self.active_cell = bases[0] + D_CONNECTION_ACTIVE
        self.worker_cell = bases[1] + W_CONNECTIONS

    def change(self, runtime: ListenerRuntime) -> None:
        """New requests begin with *runtime*; a protocol that is not spoken any more goes on for the connections that speak it."""
        kind: Kind
        for spoken in runtime.protocols:
            for item in self.spoken:
                kind = item
                if kind.spoken.protocol is spoken.protocol:
                    break
            else:
                kind = Kind()
                self.spoken.append(kind)
            # what is at rest was made for the old limits
            kind.spoken = spoken
            kind.streams = []
            kind.sessions = []
        self.look_ms = runtime.write_look_ms
        self.look_bytes = runtime.write_look_bytes
        self.listener.change(runtime)

    def limit(self, max_in_all: int) -> None:
        """At most *max_in_all* (0 = unlimited) connections over all workers and listeners."""
        self.max_in_all = max_in_all

    def admit(self) -> cython.bint:
        limit: cython.ulonglong = self.listener.runtime.max_connections
        if (
            limit and self.metrics.sum(self.active_cell) >= limit
            or self.max_in_all and self.metrics.sum(self.worker_cell) >= self.max_in_all
        ):
            self.listener.counters[D_LIMIT_CONNECTIONS] += 1
            self.refused += 1
            return False
        return True

    def has_room(self) -> cython.bint:
        """Have this process's descriptors room for another connection?"""
        return self.descriptors.may_accept()

    def owed(self) -> cython.int:
        """A client may want a host's connection of its own, but where all clients share them."""
        for spoken in self.listener.runtime.protocols:
            if not cython.cast(SpokenProtocol, spoken).upstream_shared:
                return self.listener.open_count
        return 0

    def press(self, is_pressed: cython.bint) -> cython.void:
        self.listener.press(is_pressed)

    def is_idle(self, connection: Connection) -> cython.bint:
        """Silent since its last request for SHED_IDLE_MS, or so long in a head, or without any for as long as a head may take.
        Never one of an RPC protocol between requests: its client counts on it."""
        parked_until_ms: uint64_t = connection.deadline_ms
        silent_ms: uint64_t = SHED_IDLE_MS if connection.requests else self.listener.runtime.head_timeout_ms
        kind: Kind = self.kind_of(connection)
        if connection.fragment != cython.NULL:
            return connection.fragment.began_us // 1000 + SHED_IDLE_MS <= self.reactor.now_ms
        if parked_until_ms == 0 or self.listener.draining or (kind is not None and kind.spoken.is_shared):
            return False
        if parked_until_ms + silent_ms > self.reactor.now_ms + self.listener.runtime.idle_timeout_ms:
            return False
        return connection.output.end == connection.output.start and connection.is_quiet()

    def accepted(self, connection: Connection) -> cython.int:
        self.listener.count(1)
        self.listener.worker[W_ACCEPTED] += 1
        self.listener.counters[D_CONNECTION_TOTAL] += 1
        self.listener.counters[D_CONNECTION_PARKED] += 1
        connection.state = S_PARKED
        self.reactor.arm(connection, self.idle_ms(connection))
        return 0

    def accept_failed(self) -> cython.void:
        self.listener.worker[W_ACCEPT_ERRORS] += 1

    def connection_flushed(self, connection: Connection) -> cython.void:
        connection.watched = False
        if connection.state == S_PARKED:
            self.reactor.arm(connection, self.idle_ms(connection))

    def connection_stalled(self, connection: Connection) -> cython.void:
        self.listener.counters[D_TIMEOUT_WRITE] += 1
        connection.abort()

    def connection_ready(self, connection: Connection) -> cython.int:
        kind: Kind = self.kind_of(connection)
        unread: cython.bint = connection.fragment != cython.NULL and connection.fragment.due_ms == 0
        if not connection.ready & (READ | HANGUP) and connection.input.base == cython.NULL and not unread:
            return 0
        if unread and connection.input.base == cython.NULL and not connection.recall_fragment(BLOCK_SMALL):
            return self.reactor.starve(connection)
        self.reactor.arm(connection, 0)
        connection.watched = False
        self.listener.counters[D_CONNECTION_PARKED] -= 1
        if kind is not None and kind.spoken.is_shared:
            return self.open_session(connection, kind)
        connection.state = S_SERVING
        return self.reactor.spawn(connection)

    def serve_connection(self, connection: Connection) -> cython.int:
        kind: Kind
        stream: Stream
        if connection.protocol == 0 and not self.detect(connection):
            return 0
        kind = self.kind_of(connection)
        if kind.spoken.is_shared:
            # sessions are the hub's: it takes over in the next turn of the loop, and nobody holds a block until then
            if keep(connection, self.reactor.now_us, KEPT_BYTES):
                connection.fragment.due_ms = 0  # nobody has read it yet
            connection.state = S_PARKED
            self.listener.counters[D_CONNECTION_PARKED] += 1
            return self.reactor.serve_again(connection)
        stream = self.take_stream(kind)
        stream.serve(connection)
        if len(stream.home) < IDLE_STREAMS:
            stream.home.append(stream)
        else:
            stream.dismantle()
        return 0

    def kind_of(self, connection: Connection) -> Kind:
        """The protocol of *connection*, None while it is unknown."""
        if connection.protocol == 0:
            if len(self.listener.runtime.protocols) > 1:
                return None
            connection.protocol = self.place_of(self.kind_for(self.listener.runtime.protocols[0]))
        return self.spoken[connection.protocol - 1]

    def kind_for(self, spoken: SpokenProtocol) -> Kind:
        """The Kind of *spoken*, which is one of the runtime's."""
        for item in self.spoken:
            if cython.cast(Kind, item).spoken is spoken:
                return item
        return None

    def place_of(self, kind: Kind) -> cython.int:
        """What Connection.protocol is for connections of *kind*."""
        place: cython.int
        for place in range(len(self.spoken)):
            if self.spoken[place] is kind:
                return place + 1
        return 0

    def detect(self, connection: Connection) -> cython.bint:
        """Tell the protocol by the first bytes; False: there are too few yet, or nobody could, and the connection is closed."""
        count: cython.int
        verdict: cython.int = MATCH_AGAIN
        while verdict == MATCH_AGAIN:
            if connection.input.end > connection.input.start:
                verdict = self.tell_protocol(connection)
                if verdict == MATCH_YES:
                    return True
                if verdict != MATCH_AGAIN:
                    break
            count = connection.fill(BLOCK_SMALL)
            if count == EOF or count == RESET:
                break
            if count <= 0:
                if not self.await_bytes(connection):
                    self.make_way(connection, False)
                return False
        self.listener.counters[D_PROTOCOL_ERROR] += 1
        connection.close()
        return False

    def tell_protocol(self, connection: Connection) -> cython.int:
        """Whose are the first bytes of *connection*?"""
        place: cython.int
        verdict: cython.int
        answer: cython.int = MATCH_NO
        first_bytes: bytes = connection.input.base[connection.input.start : connection.input.end]
        for place in range(len(self.spoken)):
            verdict = cython.cast(Kind, self.spoken[place]).spoken.protocol.match(first_bytes)
            if verdict == MATCH_YES:
                connection.protocol = place + 1
                return MATCH_YES
            if verdict == MATCH_AGAIN and len(first_bytes) < DETECT_BYTES:
                answer = MATCH_AGAIN
        return answer

    def await_bytes(self, connection: Connection) -> cython.bint:
        """Park *connection*, whose protocol is not clear yet; False: there is no place for its first bytes."""
        runtime: ListenerRuntime = self.listener.runtime
        if connection.input.end > connection.input.start or connection.fragment != cython.NULL:
            if not keep(connection, self.reactor.now_us, KEPT_BYTES):
                return False
            connection.fragment.due_ms = connection.fragment.began_us // 1000 + runtime.first_timeout_ms
        connection.state = S_PARKED
        self.listener.counters[D_CONNECTION_PARKED] += 1
        self.reactor.arm(connection, self.idle_ms(connection))
        return True

    def open_session(self, connection: Connection, kind: Kind) -> cython.int:
        """*connection* has messages of many streams: a session has it until nothing is under way."""
        session: ServerSession = self.make_session(connection, kind)
        session.read()
        if connection.parting and connection.keeper is session and not self.may_stay():
            return self.send_away(session)
        return 0

    def make_session(self, connection: Connection, kind: Kind) -> ServerSession:
        """A session for *connection*, which has nothing read yet."""
        session: ServerSession
        codec: Codec
        usual: Allocator
        if kind.sessions:
            session = kind.sessions.pop()
            codec = session.codec
            if len(kind.sessions) < kind.low_sessions:
                kind.low_sessions = len(kind.sessions)
        else:
            allocate_apart(cython.address(usual))
            try:
                session = ServerSession.__new__(ServerSession, self.requests)
                codec = kind.spoken.protocol.make_codec(SERVER, kind.spoken.limits)
            finally:
                allocate_as_usual(cython.address(usual))
            session.kind = kind
        codec.restore(connection.slot)
        session.head_timeout_ms = self.listener.runtime.first_timeout_ms
        session.message_timeout_ms = self.listener.runtime.body_timeout_ms
        session.counters = self.listener.counters
        session.attach(connection, codec)
        return session

    def connection_expired(self, connection: Connection) -> cython.int:
        byte: cython.char
        if connection.fragment != cython.NULL:
            return self.head_expired(connection)
        if not self.listener.draining:
            self.listener.counters[D_TIMEOUT_IDLE] += 1
            connection.close()
        elif recv(connection.fd, cython.address(byte), 1, MSG_PEEK | MSG_DONTWAIT) <= 0:
            self.part_from(connection)
        return 0  # a request that has just arrived is served yet: its event is on the way

    def head_expired(self, connection: Connection) -> cython.int:
        """The message that *connection* began did not go on in time."""
        kind: Kind = self.kind_of(connection)
        if kind is not None and not kind.spoken.is_shared:
            self.listener.counters[D_CONNECTION_PARKED] -= 1
            connection.state = S_SERVING
            return self.reactor.spawn(connection)  # it says so
        is_body: cython.bint = connection.fragment != cython.NULL and connection.fragment.has_head
        self.listener.counters[D_TIMEOUT_BODY if is_body else D_TIMEOUT_HEADER] += 1
        connection.close()
        return 0

    def make_way(self, connection: Connection, for_block: cython.bint) -> cython.void:
        """Close *connection*; its stream, if it has one, finds that out."""
        waiter: cython.pointer(PyObject) = connection.waiter
        if connection.state == S_PARKED or connection.state == S_SERVING:
            self.listener.counters[D_LIMIT_UNFINISHED] += 1
            connection.abort()
            if waiter != cython.NULL:
                self.reactor.wake_soon(cython.cast(Task, waiter))

    def connection_closed(self, connection: Connection) -> cython.void:
        self.listener.count(-1)
        self.listener.counters[D_CONNECTION_DESTROY] += 1
        if connection.state == S_PARKED:
            self.listener.counters[D_CONNECTION_PARKED] -= 1

    def take_stream(self, kind: Kind) -> Stream:
        """An idle stream for *kind*, or a new one."""
        stream: Stream
        usual: Allocator
        if kind.streams:
            stream = kind.streams.pop()
            if len(kind.streams) < kind.low:
                kind.low = len(kind.streams)
            return stream
        allocate_apart(cython.address(usual))
        try:
            return self.make_stream(kind)
        finally:
            allocate_as_usual(cython.address(usual))

    def make_stream(self, kind: Kind) -> Stream:
        """A new stream for *kind*."""
        spoken: SpokenProtocol = kind.spoken
        stream: Stream = Stream.__new__(Stream)
        stream.home = kind.streams
        stream.job = StreamJob()
        stream.job.stream = stream
        stream.spoken = stream.usual = spoken
        stream.reactor = self.reactor
        stream.task = Task()
        stream.listener = self.listener
        stream.counters = self.listener.counters
        stream.request = Head(self.reactor.arena)
        stream.response = Head(self.reactor.arena)
        stream.record = Record()
        stream.request_body = Body(self.reactor.arena)
        stream.response_body = Body(self.reactor.arena)
        stream.call = Call()
        stream.call.head = Head(self.reactor.arena)
        stream.call.body = Body(self.reactor.arena)
        if not spoken.is_shared:
            stream.down_codec = spoken.protocol.make_codec(SERVER, spoken.limits)
            stream.down_codec.head = stream.request
        if not spoken.upstream_shared:
            stream.take_codec()
        stream.upload = Flow(self.pipes, stream, False)
        stream.download = Flow(self.pipes, stream, True)
        return stream

    def trim(self) -> None:
        """Drop streams and sessions that were idle all the time since the last trim, few at a time: requests wait meanwhile."""
        kind: Kind
        stream: Stream
        for item in self.spoken:
            kind = item
            unused: list = kind.streams[: min(kind.low, TRIMMED)]
            del kind.streams[: len(unused)]
            for idle in unused:
                stream = idle
                stream.dismantle()
            kind.low = len(kind.streams)
            del kind.sessions[: min(kind.low_sessions, TRIMMED)]
            kind.low_sessions = len(kind.sessions)

    def part_from(self, connection: Connection) -> cython.void:
        """The listener drains and *connection* waits between requests: say goodbye, once, if its protocol has one and the config
        wants it. Then the client may close, and what it had sent before is served until the drain's deadline. Else close."""
        kind: Kind = self.kind_of(connection) if connection.protocol else None
        codec: Codec
        if kind is not None and kind.spoken.is_shared and not connection.parting and connection.reserve(GOODBYE_ROOM):
            codec = kind.spoken.protocol.make_codec(SERVER, kind.spoken.limits)
            codec.restore(connection.slot)
            connection.parting = codec.write_goaway(cython.address(connection.output)) == WRITTEN
            if connection.parting:
                connection.written()
                self.reactor.arm(connection, self.idle_ms(connection))
                return
        if connection.parting:
            self.listener.counters[D_TIMEOUT_GOAWAY] += 1
        connection.close_when_flushed()

    def may_stay(self) -> cython.bint:
        """Has who was told to go still time for it?"""
        return self.reactor.now_ms < self.part_by_ms

    def send_away(self, session: ServerSession) -> cython.int:
        """Its client was told to go and has not; it gets the answers to what is under way."""
        self.listener.counters[D_TIMEOUT_GOAWAY] += 1
        return session.end()

    def idle_ms(self, connection: Connection) -> uint64_t:
        """How long *connection* may wait for its next request, or for the rest of one."""
        if connection.fragment != cython.NULL:
            return connection.fragment.due_ms - self.reactor.now_ms if connection.fragment.due_ms > self.reactor.now_ms else 1
        if not self.listener.draining:
            return self.listener.runtime.idle_timeout_ms
        if not connection.parting:
            return PARTING_MS
        # who is told late, by a connection that came late, has a moment too
        return max(self.part_by_ms - self.reactor.now_ms, PARTING_MS) if self.may_stay() else PARTING_MS

    def part(self, within_ms: int, goaway_ms: int) -> int:
        """Drain: every response is the last one of its connection, those that wait between requests are closed *within_ms*.

        Not at once: the next request of a busy client is on its way already, and learns by its answer that the connection ends.
        And each at a moment of its own: who comes back does not come with all others. Who was told to go may take *goaway_ms*
        for it, then end_parting() is due. Returns how many wait.
        """
        fd: cython.int
        parted: cython.int = 0
        spread_ms: cython.int = max(1, within_ms // 2)
        connection: Connection
        part_by_ms: uint64_t = self.reactor.now_ms + cython.cast(uint64_t, goaway_ms)
        self.part_by_ms = min(part_by_ms, self.part_by_ms) if self.listener.draining else part_by_ms
        self.listener.drain()
        for fd in range(self.reactor.table_size):
            if self.reactor.table[fd] == cython.NULL:
                continue
            found = cython.cast(object, self.reactor.table[fd])
            if isinstance(found, Connection):
                connection = cython.cast(Connection, found)
                if connection.keeper is self and connection.state == S_PARKED:
                    if not connection.parting and connection.fragment == cython.NULL:
                        self.reactor.arm(connection, spread_ms + fd * 7919 % spread_ms)
                    parted += 1
                elif connection.state == S_SHARED and isinstance(connection.keeper, ServerSession):
                    self.say_goodbye(cython.cast(ServerSession, connection.keeper))
        return parted

    def end_parting(self) -> None:
        """The time is over for who was told to go: connections between requests have a deadline of their own, those with requests
        under way are read no more and close behind the answers."""
        fd: cython.int
        session: ServerSession
        for fd in range(self.reactor.table_size):
            if self.reactor.table[fd] == cython.NULL:
                continue
            found = cython.cast(object, self.reactor.table[fd])
            if isinstance(found, Connection) and isinstance(cython.cast(Connection, found).keeper, ServerSession):
                session = cython.cast(ServerSession, cython.cast(Connection, found).keeper)
                if session.inbox is self.requests and session.connection.parting and not (session.ended or session.moving):
                    self.send_away(session)

    def say_goodbye(self, session: ServerSession) -> cython.void:
        """Streams are under way: the client shall send no new ones (if its protocol can be told so)."""
        out: cython.pointer(Buf)
        if session.inbox is self.requests and not session.connection.parting:
            out = session.room_for(GOODBYE_ROOM)
            if out != cython.NULL and session.codec.write_goaway(out) == WRITTEN:
                session.connection.parting = True
                session.connection.written()


class Kind:
    """A protocol of a listener: its streams and sessions at rest."""


class Requests(Inbox):
    """Makes a stream of every request that comes on a shared connection, and parks the connection when none is under way."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def request_arrived(self, session: ServerSession) -> cython.int:
        stream: Stream = self.service.take_stream(cython.cast(Kind, session.kind))
        head: Head = stream.request
        stream.request = session.head
        session.head = head
        session.codec.head = head
        stream.request_body.move_from(session.body)
        stream.session = session
        stream.down = session.connection
        stream.message_id = session.message_id
        stream.message_bytes = session.message_bytes
        stream.runtime = self.service.listener.runtime
        stream.frame_timeout_ms = session.codec.timeout_ms
        stream.one_way = session.codec.one_way
        if not stream.one_way:
            session.remember(stream.message_id, stream)
        return self.service.reactor.spawn(stream.job)

    def request_reset(self, session: ServerSession, call: object) -> cython.int:
        stream: Stream = cython.cast(Stream, call)
        stream.departed = True
        self.service.reactor.wake_soon(stream.task)
        return 0

    def session_idle(self, session: ServerSession) -> cython.int:
        connection: Connection = session.connection
        kind: Kind = cython.cast(Kind, session.kind)
        if connection.output.end > connection.output.start and connection.is_stalled():
            return 0
        connection.slot = session.codec.state_word()
        kind.sessions.append(session)  # first: the connection's may be the only reference to it
        connection.keeper = self.service
        connection.state = S_PARKED
        session.connection = None
        self.service.listener.counters[D_CONNECTION_PARKED] += 1
        connection.drop_input()
        self.service.reactor.arm(connection, self.service.idle_ms(connection))
        return 0

    def session_closed(self, session: ServerSession) -> cython.void:
        for call in (*session.calls.values(), *session.twins):
            self.request_reset(session, call)
        session.calls.clear()
        session.twins.clear()

    def connection_expired(self, connection: Connection) -> cython.int:
        return self.service.head_expired(connection)

    def make_way(self, connection: Connection, for_block: cython.bint) -> cython.void:
        self.service.listener.counters[D_LIMIT_UNFINISHED] += 1
        connection.abort()

    def connection_closed(self, connection: Connection) -> cython.void:
        self.service.connection_closed(connection)
