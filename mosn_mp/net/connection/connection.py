"""A connection: the one module where bytes meet a socket (accept aside): read, write, shutdown, close.

    S_SERVING   -> S_PARKED     request boundary, nothing to read        (downstream)
    S_SERVING   -> S_POOLED     response complete, may be used again     (upstream)
    S_PARKED    -> S_SERVING    readable: the keeper spawns a serving greenlet
    S_POOLED    -> S_SERVING    the pool hands it to a stream
    S_SERVING   -> S_BOUND      response complete, kept for the one client that it is bound to (upstream)
    S_PARKED    -> S_SHARED     a protocol that carries many streams at a time: a session has it until nothing is under way
    S_PARKED, S_SHARED -> S_MOVING      another process is to go on with it; back if it does not (moving.py)
    any         -> S_LINGERING  our half is shut, what still arrives is thrown away for a moment, so that the far side can
                                read our last words instead of a reset (RFC 9112 section 9.6)
    any         -> S_CLOSED

Reads are lazy: a recv that returns less than it could has drained the socket, the next one waits for an edge. Writes are put into
`output` and leave at the end of the event batch; a large payload leaves at once, behind what is pending, without being copied.
A block of the arena is held only while bytes are in it; the beginning of a message that has not come as a whole waits in a
fragment (net/reactor/fragments.py).

One piece: reading, writing and closing one descriptor share its flags, and a C class lies in one module.
"""

import cython
from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.errno import EAGAIN, EINTR, errno
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.string import memcpy, memmove, memset
from cython.cimports.mosn_mp.net.connection.pace import keeps_pace
from cython.cimports.mosn_mp.net.libc import (
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    MSG_PEEK,
    SHUT_WR,
    SO_LINGER,
    SOL_SOCKET,
    acknowledged_bytes,
    close,
    getsockname,
    iovec,
    linger,
    msghdr,
    recv,
    send,
    sendmsg,
    setsockopt,
    shutdown,
    sockaddr,
    sockaddr_storage,
    socklen_t,
)
from cython.cimports.mosn_mp.net.reactor.fragments import bytes_of
from cython.cimports.mosn_mp.net.reactor.reactor import FIN, HANGUP, READ, WRITE, Pollable, Reactor
from cython.cimports.mosn_mp.net.reactor.stock import OUTPUT, REQUEST_HEAD, RESPONSE_HEAD
from cython.cimports.mosn_mp.observe.access_log.record import Address, take_sockaddr

# A read into less room than this is not worth a system call: take a fresh block.
LEAST_ROOM = cython.declare(uint32_t, 2048)
# What of a lingering connection is thrown away in one wake-up.
LINGER_READS = cython.declare(cython.int, 16)
# Connection.close_after_flush
THEN_CLOSE = cython.declare(cython.int, 1)
THEN_LINGER = cython.declare(cython.int, 2)


class Keeper:
    """Who owns connections that no stream has: a listener's service, an upstream pool."""

    def connection_ready(self, connection: Connection) -> cython.int:
        """An event on a connection that nobody waits for (not in a greenlet: must not switch)."""
        return 0

    def serve_connection(self, connection: Connection) -> cython.int:
        """In a serving greenlet after Reactor.spawn(connection)."""
        return 0

    def connection_expired(self, connection: Connection) -> cython.int:
        """The connection's own deadline passed (parked too long, pooled too long)."""
        connection.close()
        return 0

    def connection_flushed(self, connection: Connection) -> cython.void:
        """A write that had stalled without a stream is through: the deadline of the connection's state counts again."""
        connection.watched = False

    def connection_stalled(self, connection: Connection) -> cython.void:
        """The far side does not take, or too slowly, what was written without a stream."""
        connection.abort()

    def connection_closed(self, connection: Connection) -> cython.void:
        """The descriptor is about to be closed; called once."""

    def make_way(self, connection: Connection, for_block: cython.bint) -> cython.void:
        """Blocks, or else the place for fragments, ran short, and *connection* has an unfinished message there for longest."""

    # What the worker's descriptors are budgeted by (descriptors.py).

    def spare(self) -> cython.int:
        """Connections at rest that nobody would miss."""
        return 0

    def owed(self) -> cython.int:
        """Descriptors that the connections here may yet want beside their own; negative: what they have of others' wants."""
        return 0

    def shed(self, count: cython.int) -> cython.int:
        """Close up to *count* of the spare ones, those that have been at rest for longest; returns how many."""
        return 0

    def is_idle(self, connection: Connection) -> cython.bint:
        """May the parked *connection* of a client be closed in favour of one that waits?"""
        return False

    def press(self, is_pressed: cython.bint) -> cython.void:
        """Descriptors are wanted: keep no connection that need not be, until told otherwise."""


@cython.no_gc
@cython.cclass
class Connection(Pollable):
    """A TCP connection of either side, plain bytes. Not traced by the garbage collector: nothing it refers to refers to it."""

    def open(self, fd: cython.int, reactor: Reactor, keeper: Keeper) -> cython.int:
        """Take over the non-blocking *fd* and register it; the fd is the connection's from now on, also when this raises."""
        reactor.last_id += 1
        self.id = reactor.last_id
        self.fd = fd
        self.reactor = reactor
        self.keeper = keeper
        try:
            reactor.register(self)
        except OSError:
            close(fd)
            self.fd = -1
            self.state = S_CLOSED
            raise
        return 0

    @property
    def number(self) -> int:
        """Unique in this process, as in the access log."""
        return self.id

    def __dealloc__(self) -> None:
        if self.fd >= 0:
            close(self.fd)
        if self.fragment != cython.NULL:
            self.end_fragment()
        if self.reactor is not None and self.reactor.arena is not None:
            if self.input.base != cython.NULL:
                self.reactor.arena.drop(self.input.base)
            if self.output.base != cython.NULL:
                self.reactor.arena.drop(self.output.base)

    # -- reading -------------------------------------------------------------------------------------------------------------

    def fill(self, block_size: uint32_t) -> cython.int:
        """Read once, behind input.end: the number of bytes, WOULD_BLOCK, EOF, RESET or STARVED.

        A block of *block_size* is taken when none is held or the one held has no room; bytes that heads are bound to are never
        moved: the old block then lives on by their references.
        """
        room: uint32_t
        count: cython.Py_ssize_t
        if not self.ready & READ:
            self.drop_empty()
            return WOULD_BLOCK
        if self.input.base == cython.NULL:
            if not (self._take_input(block_size) if self.fragment == cython.NULL else self.recall_fragment(block_size)):
                self._starve()
                return STARVED
        elif self.input.cap - self.input.end < LEAST_ROOM and not self._make_room(block_size):
            self._starve()
            return STARVED
        room = self.input.cap - self.input.end
        while True:
            count = recv(self.fd, self.input.base + self.input.end, room, 0)
            if count > 0:
                if cython.cast(uint32_t, count) < room and not self.ready & FIN:
                    self.ready &= ~READ
                self.input.end += cython.cast(uint32_t, count)
                self.bytes_read += count
                self.keeper.read_cell[0] += count
                return cython.cast(cython.int, count)
            if count == 0:
                self.ready |= FIN
                return EOF
            if errno == EAGAIN:
                self.ready &= ~READ
                self.drop_empty()
                return WOULD_BLOCK
            if errno != EINTR:
                if self.reactor.is_shortage(errno):
                    self.reactor.starve(self)
                    return STARVED
                self.broken = True
                return RESET

    def is_quiet(self) -> cython.bint:
        """Nothing waits to be read, no end and no error either. Asks the socket where the last read could not tell: splice(2) and
        a recv that filled its room leave READ set."""
        one: cython.char
        if self.ready & (HANGUP | FIN) or self.fd < 0:
            return False
        if self.ready & READ:
            if recv(self.fd, cython.address(one), 1, MSG_PEEK | MSG_DONTWAIT) >= 0:
                return False
            if errno != EAGAIN:
                self.reactor.is_shortage(errno)
                return False
            self.ready &= ~READ
        return True

    def _take_input(self, block_size: uint32_t) -> cython.bint:
        rank: uint32_t = self.keeper.rank
        if block_size != BLOCK_SMALL and (rank == REQUEST_HEAD or rank == RESPONSE_HEAD):
            rank -= 1  # that of the body
        block: cython.p_char = self.reactor.stock.take(block_size, rank)
        if block == cython.NULL:
            return False
        self.input.base = block
        self.input.cap = self.reactor.arena.size_of(block)
        self.input.start = self.input.end = 0
        return True

    def _make_room(self, block_size: uint32_t) -> cython.bint:
        """Compact the block, or go on in a new one that is larger when the unread bytes need it."""
        old: Buf = self.input
        unread: uint32_t = old.end - old.start
        if unread == 0:
            self.drop_input()
            return self._take_input(block_size)
        if old.cap >= block_size and self._compact():
            return True
        if unread + LEAST_ROOM > block_size:
            block_size = BLOCK_LARGE
        if unread + LEAST_ROOM > block_size:
            return True  # as large as blocks get; the codec's limits end this
        if not self._take_input(block_size):
            return self._compact()
        if self.input.cap < unread + LEAST_ROOM:
            self.reactor.arena.drop(self.input.base)  # smaller than asked for, and too small
            self.input = old
            return self._compact()
        memcpy(self.input.base, old.base + old.start, unread)
        self.input.end = unread
        self.reactor.arena.drop(old.base)
        return True

    def _compact(self) -> cython.bint:
        """Move the unread bytes to the front of their block, if no head is bound to it and that makes room."""
        unread: uint32_t = self.input.end - self.input.start
        if self.input.start == 0 or self.input.cap - unread < LEAST_ROOM or self.reactor.arena.refs(self.input.base) > 1:
            return False
        memmove(self.input.base, self.input.base + self.input.start, unread)
        self.input.start = 0
        self.input.end = unread
        return True

    def _starve(self) -> cython.void:
        me: cython.pointer(PyObject) = cython.cast(cython.pointer(PyObject), self)
        holder: cython.pointer(PyObject) = self.reactor.fragments.longest_holding(me)
        keeper: Keeper
        if holder != cython.NULL:
            keeper = cython.cast(Connection, holder).keeper  # as in on_ready()
            keeper.make_way(cython.cast(Connection, holder), True)
        self.reactor.starve(self)
        if self.keeper.starved_cell != cython.NULL:
            self.keeper.starved_cell[0] += 1

    def drop_empty(self) -> cython.void:
        """Who waits for input holds no block for it; but one that the messages of a shared connection hold anyway is filled up:
        many small requests under way would else hold a block each."""
        if self.input.start != self.input.end or self.input.base == cython.NULL:
            return
        if (
            self.state != S_SHARED
            or self.input.cap - self.input.end < LEAST_ROOM
            or self.reactor.arena.refs(self.input.base) < 2
        ):
            self.drop_input()

    def drop_input(self) -> cython.void:
        """Give the input block back; what it held is forgotten."""
        if self.input.base != cython.NULL:
            self.reactor.arena.drop(self.input.base)
            self.input.base = cython.NULL
            self.input.cap = self.input.start = self.input.end = 0

    # -- unfinished messages (unfinished.py) ----------------------------------------------------------------------------------

    def recall_fragment(self, block_size: uint32_t) -> cython.bint:
        """Have what waits in the fragment in a block again; False: there is none."""
        if not self._take_input(block_size):
            return False
        memcpy(self.input.base, bytes_of(self.fragment), self.fragment.length)
        self.input.end = self.fragment.length
        self.fragment.length = 0
        return True

    def end_fragment(self) -> cython.void:
        """The message is complete, or nobody waits for the rest of it."""
        if self.fragment != cython.NULL:
            self.reactor.fragments.end(self.fragment)
            self.fragment = cython.NULL

    # -- writing -------------------------------------------------------------------------------------------------------------

    def reserve(self, room: uint32_t) -> cython.bint:
        """Have *room* bytes behind output.end; False: the socket is full or the arena is empty, wait for WRITE and ask again."""
        size: uint32_t = BLOCK_SMALL
        block: cython.p_char
        if self.output.base != cython.NULL:
            if self.output.cap - self.output.end >= room:
                return True
            self.flush()
            if self.output.base != cython.NULL:
                if self.output.cap - self.output.end >= room:
                    return True
                if self.output.end - self.output.start + room <= self.output.cap:
                    memmove(self.output.base, self.output.base + self.output.start, self.output.end - self.output.start)
                    self.output.end -= self.output.start
                    self.output.start = 0
                    return True
                return False
        if room > size:
            size = room
        block = self.reactor.stock.take(size, OUTPUT)
        if block == cython.NULL:
            self._starve()
            return False
        self.output.base = block
        self.output.cap = self.reactor.arena.size_of(block)
        self.output.start = self.output.end = 0
        return True

    def written(self) -> cython.void:
        """output has grown: it leaves at the end of the batch."""
        if not self.dirty:
            self.reactor.mark_dirty(self)

    def is_stalled(self) -> cython.bint:
        """Bytes are pending and the socket takes no more."""
        return self.output.end > self.output.start and not self.ready & WRITE

    def is_taking(self) -> cython.bint:
        """The look at a stalled write: does the far side take bytes fast enough? What counts is what it acknowledged: the socket
        takes no byte of ours before a third of its buffer is free, which may be megabytes."""
        return keeps_pace(cython.address(self.pace), acknowledged_bytes(self.fd), self.keeper.look_bytes)

    def watch(self) -> cython.void:
        """A write has stalled and no stream watches over it: the connection's own deadline does."""
        if not self.watched and self.keeper.look_ms:
            self.watched = True
            self.reactor.arm(self, self.keeper.look_ms)

    def flush(self) -> cython.int:
        """Send what is pending as far as the socket takes it; never switches."""
        count: cython.Py_ssize_t
        if self.output.base == cython.NULL:
            return 0
        while self.output.start < self.output.end and self.ready & WRITE:
            count = send(self.fd, self.output.base + self.output.start, self.output.end - self.output.start, MSG_NOSIGNAL)
            if count >= 0:
                self._count_written(count)
                self.output.start += cython.cast(uint32_t, count)
            elif errno == EAGAIN:
                self.ready &= ~WRITE
            elif errno != EINTR and not self._may_try_later():
                self._break()
                return 0
        if self.output.start == self.output.end:
            self._drop_output()
            if self.close_after_flush:
                self._close_flushed()
            elif self.shut_after_flush:
                self.shut_write_when_flushed()
            elif self.watched:
                self.keeper.connection_flushed(self)
        elif self.state != S_SERVING:
            self.watch()
        return 0

    def _may_try_later(self) -> cython.bint:
        """A write failed: only because the kernel has no memory now?"""
        if not self.reactor.is_shortage(errno):
            return False
        self.ready &= ~WRITE
        self.reactor.starve(self)
        return True

    def send_through(self, payload: cython.pointer(cython.const[cython.char]), length: cython.size_t) -> cython.Py_ssize_t:
        """Send what is pending and *payload* behind it in one call, uncopied: how much of *payload* went, -1 = broken."""
        parts: iovec[2]
        message: msghdr
        count: cython.Py_ssize_t
        pending: cython.Py_ssize_t = self.output.end - self.output.start
        if self.broken:
            return -1
        if not self.ready & WRITE:
            return 0
        memset(cython.address(message), 0, cython.sizeof(message))
        parts[0].iov_base = self.output.base + self.output.start
        parts[0].iov_len = pending
        parts[1].iov_base = cython.cast(cython.p_void, cython.cast(cython.p_char, payload))
        parts[1].iov_len = length
        message.msg_iov = cython.address(parts[0 if pending else 1])
        message.msg_iovlen = 2 if pending else 1
        count = sendmsg(self.fd, cython.address(message), MSG_NOSIGNAL)
        while count < 0 and errno == EINTR:
            count = sendmsg(self.fd, cython.address(message), MSG_NOSIGNAL)
        if count < 0:
            if errno == EAGAIN or self._may_try_later():
                self.ready &= ~WRITE
                return 0
            self._break()
            return -1
        self._count_written(count)
        if count < pending + cython.cast(cython.Py_ssize_t, length):
            self.ready &= ~WRITE
        if count < pending:
            self.output.start += cython.cast(uint32_t, count)
            return 0
        self._drop_output()
        return count - pending

    def _count_written(self, count: cython.Py_ssize_t) -> cython.void:
        self.keeper.write_cell[0] += count

    def _drop_output(self) -> cython.void:
        if self.output.base != cython.NULL:
            self.reactor.arena.drop(self.output.base)
            self.output.base = cython.NULL
            self.output.cap = self.output.start = self.output.end = 0

    def _break(self) -> cython.void:
        """A send failed: forget what was pending; whoever waits sees READ and WRITE and finds it broken."""
        self.broken = True
        self.ready |= READ | WRITE | HANGUP
        self._drop_output()
        if self.state != S_SERVING:
            self.close()
        elif self.waiter != cython.NULL:
            self.reactor.serve_again(self)

    # -- events without a waiting stream -------------------------------------------------------------------------------------

    def on_ready(self) -> cython.int:
        keeper: Keeper
        if self.output.end > self.output.start and self.ready & WRITE:
            self.flush()
        if self.state == S_LINGERING:
            return self._drain_lingering()
        if self.state == S_PARKED or self.state == S_POOLED or self.state == S_SHARED or self.state == S_BOUND:
            keeper = self.keeper  # a session lives until it returns, whatever becomes of the connection
            return keeper.connection_ready(self)
        return 0

    def serve(self) -> cython.int:
        return self.keeper.serve_connection(self)

    def on_failure(self) -> cython.int:
        self.abort()
        return 0

    def on_timer(self) -> cython.int:
        keeper: Keeper = self.keeper  # as in on_ready()
        if self.watched and self.output.end > self.output.start and self.state != S_SHARED:
            if self.is_taking():
                self.reactor.arm(self, keeper.look_ms)
            else:
                keeper.connection_stalled(self)
        elif self.state == S_LINGERING or (self.output.end > self.output.start and self.state != S_SHARED):
            self.abort()
        elif self.state == S_PARKED or self.state == S_POOLED or self.state == S_SHARED:
            keeper.connection_expired(self)
        return 0

    # -- the end -------------------------------------------------------------------------------------------------------------

    def release_buffers(self) -> cython.void:
        self.drop_input()
        self._drop_output()

    def close(self) -> cython.void:
        """Close now; pending output is lost. Safe to call twice."""
        fd: cython.int = self.fd
        keeper: Keeper = self.keeper  # as in on_ready()
        if fd < 0:
            return
        keeper.connection_closed(self)
        self.state = S_CLOSED
        if self.mate is not None:
            self._part_from_mate()
        self.give_up_fd()
        close(fd)

    def give_up_fd(self) -> cython.void:
        """Nothing more is read or written here; whoever waits finds it broken. The caller closes the descriptor."""
        self.state = S_CLOSED
        self.reactor.arm(self, 0)
        self.release_buffers()
        self.end_fragment()
        self.ready = READ | WRITE | HANGUP
        self.broken = True
        self.reactor.forget(self)
        self.fd = -1

    def bind_to(self, mate: Connection) -> cython.void:
        """From now on neither this connection nor *mate* outlives the other."""
        self.mate = mate
        mate.mate = self

    def _part_from_mate(self) -> cython.void:
        """Close the other one as well; if a stream has it, behind the answer that is under way."""
        mate: Connection = self.mate
        self.mate = mate.mate = None
        mate.bereft = True
        if mate.state != S_SERVING:
            mate.close_when_flushed()

    def abort(self) -> cython.void:
        """Close with a reset, so that the far side cannot take what it has for the whole."""
        now: linger
        if self.fd >= 0:
            now.l_onoff = 1
            now.l_linger = 0
            setsockopt(self.fd, SOL_SOCKET, SO_LINGER, cython.address(now), cython.sizeof(now))
            self.close()

    def close_when_flushed(self) -> cython.void:
        """Close as soon as the pending output has left; a write that stalls is watched."""
        if self.output.end > self.output.start and not self.broken:
            self.state = S_LINGERING
            self.close_after_flush = THEN_CLOSE
            self.drop_input()
            self.written()
        else:
            self.close()

    def _close_flushed(self) -> cython.void:
        """The last words are in the socket: a close on top of unread input would be a reset and take them back."""
        lingers: cython.bint = self.close_after_flush == THEN_LINGER or self.ready & (READ | FIN) == READ
        self.close_after_flush = 0
        self.watched = False
        if lingers:
            self.linger(LINGER_MS)
        else:
            self.close()

    def shut_write_when_flushed(self) -> cython.void:
        """Send FIN behind what is pending; safe to call again."""
        if self.shut or self.fd < 0:
            return
        if self.output.end > self.output.start and not self.broken:
            self.shut_after_flush = True
            return
        self.shut = True
        shutdown(self.fd, SHUT_WR)

    def linger(self, timeout_ms: uint32_t) -> cython.void:
        """Say goodbye: flush, FIN, throw away what still arrives, close at the far side's FIN or after *timeout_ms*."""
        if self.fd < 0:
            return
        self.flush()
        if self.fd < 0:
            return
        if self.broken or self.output.end > self.output.start:
            self.close_when_flushed()
            if self.fd >= 0:
                self.close_after_flush = THEN_LINGER
            return
        self.state = S_LINGERING
        self.drop_input()
        shutdown(self.fd, SHUT_WR)
        self.reactor.arm(self, timeout_ms)
        self._drain_lingering()

    def _drain_lingering(self) -> cython.int:
        count: cython.Py_ssize_t = 1
        reads: cython.int = 0
        if self.close_after_flush:
            # the response is still on its way; input waits in the kernel until it has left
            if self.ready & HANGUP:
                self.close()
            return 0
        while reads < LINGER_READS and self.ready & READ:
            count = recv(self.fd, SINK, cython.sizeof(SINK), 0)
            if count <= 0:
                break
            reads += 1
        if count < 0 and errno == EAGAIN:
            self.ready &= ~READ
        elif count < 0 and self.reactor.is_shortage(errno):
            self.reactor.starve(self)
        elif count <= 0:
            self.close()
        else:
            self.reactor.serve_again(self)  # it sends fast; the deadline ends it
        return 0

    def local_address(self) -> cython.pointer(Address):
        """Our end's address; one system call, once a connection."""
        storage: sockaddr_storage
        length: socklen_t = cython.sizeof(storage)
        if self.local.family == 0 and self.fd >= 0:
            if getsockname(self.fd, cython.cast(cython.pointer(sockaddr), cython.address(storage)), cython.address(length)) == 0:
                take_sockaddr(cython.address(self.local), cython.address(storage))
        return cython.address(self.local)


SINK = cython.declare(cython.char[16384])
