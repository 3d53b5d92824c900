"""A listening socket: accepts in batches and hands each new connection to its acceptor.

The socket is the master's (one SO_REUSEPORT socket per worker slot); TCP_NODELAY and SO_KEEPALIVE are set on it and inherited by
what it accepts, so accept4 is the only system call a new connection costs beside its registration.
"""

import cython
from cython.cimports.libc.errno import EAGAIN, ECONNABORTED, EINTR, EINVAL, errno
from cython.cimports.mosn_mp.net.connection.connection import Connection, Keeper
from cython.cimports.mosn_mp.net.connection.descriptors import Descriptors, Taker
from cython.cimports.mosn_mp.net.libc import (
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    accept4,
    close,
    sockaddr,
    sockaddr_storage,
    socklen_t,
)
from cython.cimports.mosn_mp.net.reactor.reactor import READ, WRITE
from cython.cimports.mosn_mp.observe.access_log.record import take_sockaddr

# Connections accepted in one wake-up; the rest waits for the next batch, so that a SYN flood does not starve those being served.
ACCEPT_BATCH = cython.declare(cython.int, 64)


class Acceptor(Keeper):
    """The keeper of accepted connections."""

    def admit(self) -> cython.bint:
        """Is one more connection within the limits? A refused one is closed at once."""
        return True

    def accept_failed(self) -> cython.void:
        """The kernel had no descriptor or memory for one more; the listener looks again in a moment."""

    def accepted(self, connection: Connection) -> cython.int:
        """*connection* is open and registered; it parks until its first bytes come."""
        return 0


class Listener(Taker):
    """One listening descriptor in this worker. The descriptor belongs to whoever made the Listener until open()."""

    def open(self, fd: cython.int, descriptors: Descriptors, acceptor: Acceptor) -> None:
        """Start to accept on the non-blocking *fd*, which is the listener's from now on."""
        self.fd = fd
        self.reactor = descriptors.reactor
        self.descriptors = descriptors
        self.acceptor = acceptor
        try:
            self.reactor.register(self)
        except OSError:
            close(fd)
            self.fd = -1
            raise

    def finish(self) -> bool:
        """Accept everything that is in the queue, then close(): at once (True), or as descriptors are given back."""
        self.leaving = True
        self.ready |= READ
        while self.fd >= 0 and self.ready & READ and not self.paused:
            self._accept()
        return self.fd < 0

    @property
    def is_closed(self) -> bool:
        """Whether it accepts no more."""
        return self.fd < 0

    def close(self) -> cython.int:
        """Stop to accept; the master's copy of the socket, and the queue behind it, live on."""
        if self.fd >= 0:
            self.descriptors.at_end(self)
            self.reactor.unwatch(self)
            close(self.fd)
            self.fd = -1
        return 0

    def on_ready(self) -> cython.int:
        if self.ready & READ and not self.paused:
            self._accept()
        return 0

    def _accept(self) -> cython.int:
        storage: sockaddr_storage
        length: socklen_t
        fd: cython.int
        i: cython.int
        for i in range(ACCEPT_BATCH):
            if self.fd < 0:
                return 0
            if not self.descriptors.may_accept():
                return self.descriptors.pause(self)
            length = cython.sizeof(storage)
            fd = accept4(
                self.fd,
                cython.cast(cython.pointer(sockaddr), cython.address(storage)),
                cython.address(length),
                SOCK_NONBLOCK | SOCK_CLOEXEC,
            )
            if fd >= 0:
                self._take(fd, cython.address(storage))
            elif errno == EAGAIN:
                return self._end()
            elif errno == EINVAL:
                return self.close()  # the master has shut it for all
            elif errno != EINTR and errno != ECONNABORTED:
                self.reactor.is_shortage(errno)
                self.acceptor.accept_failed()
                return self.descriptors.pause(self)
        return self.reactor.serve_again(self)

    def _take(self, fd: cython.int, far: cython.pointer(sockaddr_storage)) -> cython.int:
        """A new connection *fd* from *far*."""
        connection: Connection
        if not self.acceptor.admit():
            close(fd)
            return 0
        connection = Connection.__new__(Connection)
        take_sockaddr(cython.address(connection.remote), far)
        try:
            connection.open(fd, self.reactor, self.acceptor)
        except OSError:
            self.acceptor.accept_failed()
            return 0
        connection.ready = WRITE
        return self.acceptor.accepted(connection)

    def _end(self) -> cython.int:
        """The queue is empty."""
        self.ready &= ~READ
        self.descriptors.at_end(self)
        if self.leaving:
            self.close()
        return 0
