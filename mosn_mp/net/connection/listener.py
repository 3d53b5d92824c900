"""A listening socket: accepts in batches and hands each new connection to its acceptor.

The socket is the master's (one SO_REUSEPORT socket per worker slot); TCP_NODELAY and SO_KEEPALIVE are set on it and inherited by
what it accepts, so accept4 is the only system call a new connection costs beside its registration.
"""

import cython
from cython.cimports.libc.errno import EAGAIN, ECONNABORTED, EINTR, errno
from cython.cimports.mosn_mp.net.connection.connection import Connection, Keeper
from cython.cimports.mosn_mp.net.libc import (
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    accept4,
    close,
    sockaddr,
    sockaddr_storage,
    socklen_t,
)
from cython.cimports.mosn_mp.net.reactor.reactor import READ, WRITE, Pollable, Reactor
from cython.cimports.mosn_mp.observe.access_log.record import take_sockaddr

# Connections accepted in one wake-up; the rest waits for the next batch, so that a SYN flood does not starve those being served.
ACCEPT_BATCH = cython.declare(cython.int, 64)
# Out of descriptors or kernel memory: look again after this long.
PAUSE_MS = cython.declare(cython.int, 100)


class Acceptor(Keeper):
    """The keeper of accepted connections."""

    def admit(self) -> cython.bint:
        """Is one more connection within the limits? A refused one is closed at once."""
        return True

    def accept_failed(self) -> cython.void:
        """Descriptors or kernel memory are used up; the listener looks again in a moment."""

    def accepted(self, connection: Connection) -> cython.int:
        """*connection* is open and registered; it parks until its first bytes come."""
        return 0


class Listener(Pollable):
    """One listening descriptor in this worker. The descriptor belongs to whoever made the Listener until open()."""

    def open(self, fd: cython.int, reactor: Reactor, acceptor: Acceptor) -> None:
        """Start to accept on the non-blocking *fd*, which is the listener's from now on."""
        self.fd = fd
        self.reactor = reactor
        self.acceptor = acceptor
        reactor.register(self)

    def accept_queued(self) -> None:
        """Accept everything that is in the queue now."""
        self.ready |= READ
        while self.fd >= 0 and self.ready & READ and not self.paused:
            self._accept()

    def close(self) -> None:
        """Stop to accept; the master's copy of the socket, and the queue behind it, live on."""
        if self.fd >= 0:
            self.reactor.arm(self, 0)
            self.reactor.unwatch(self)
            close(self.fd)
            self.fd = -1

    def on_ready(self) -> cython.int:
        if self.ready & READ and not self.paused:
            self._accept()
        return 0

    def on_timer(self) -> cython.int:
        self.paused = False
        return self._accept()

    def _accept(self) -> cython.int:
        storage: sockaddr_storage
        length: socklen_t
        fd: cython.int
        i: cython.int
        connection: Connection
        for i in range(ACCEPT_BATCH):
            if self.fd < 0:
                return 0
            length = cython.sizeof(storage)
            fd = accept4(
                self.fd,
                cython.cast(cython.pointer(sockaddr), cython.address(storage)),
                cython.address(length),
                SOCK_NONBLOCK | SOCK_CLOEXEC,
            )
            if fd < 0:
                if errno == EINTR or errno == ECONNABORTED:
                    continue
                if errno == EAGAIN:
                    self.ready &= ~READ
                    return 0
                self.acceptor.accept_failed()
                self.paused = True
                self.reactor.arm(self, PAUSE_MS)
                return 0
            if not self.acceptor.admit():
                close(fd)
                continue
            connection = Connection.__new__(Connection)
            take_sockaddr(cython.address(connection.remote), cython.address(storage))
            try:
                connection.open(fd, self.reactor, self.acceptor)
            except OSError:
                self.acceptor.accept_failed()
                continue
            connection.ready = WRITE
            self.acceptor.accepted(connection)
        return self.reactor.serve_again(self)
