"""A connection on its way into another process, byte for byte: its descriptor by SCM_RIGHTS, what is unread and unsent beside it.

    giver       hide_unsent(), unread_of()   it rests: nobody reads it, nothing is sent
                leave()                      the receiver has it: our descriptor is closed, and the far side sees nothing of that
                show_unsent()                the receiver did not take it: it goes on here as if nothing had been
    receiver    put_unsent(), put_unread()   goes on where the giver stopped
"""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.string import memcpy
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.net.connection.connection import BLOCK_LARGE, BLOCK_SMALL, Connection
from cython.cimports.mosn_mp.net.libc import close
from cython.cimports.mosn_mp.net.reactor.fragments import bytes_of
from cython.cimports.mosn_mp.net.reactor.reactor import WRITE
from cython.cimports.mosn_mp.net.reactor.stock import REQUEST_BODY


def unread_of(connection: Connection) -> bytes:
    """What was read from the socket and by no codec yet."""
    if connection.fragment != cython.NULL and connection.fragment.length:
        return bytes_of(connection.fragment)[: connection.fragment.length]
    if connection.input.base == cython.NULL:
        return b""
    return connection.input.base[connection.input.start : connection.input.end]


def hide_unsent(connection: Connection, hidden: cython.pointer(Buf)) -> bytes:
    """What was written and not sent yet, after a last try. Its buffer moves to *hidden*: nothing of it is sent meanwhile."""
    connection.flush()
    hidden[0] = connection.output
    connection.output.base = cython.NULL
    connection.output.cap = connection.output.start = connection.output.end = 0
    return hidden.base[hidden.start : hidden.end] if hidden.base != cython.NULL else b""


def show_unsent(connection: Connection, hidden: cython.pointer(Buf)) -> cython.void:
    """Take hide_unsent() back."""
    if hidden.base != cython.NULL:
        connection.output = hidden[0]
        hidden.base = cython.NULL
        connection.written()


def drop_hidden(connection: Connection, hidden: cython.pointer(Buf)) -> cython.void:
    """The receiver sends what was hidden."""
    if hidden.base != cython.NULL:
        connection.reactor.arena.drop(hidden.base)
        hidden.base = cython.NULL


def put_unsent(connection: Connection, unsent: bytes) -> cython.bint:
    """Send *unsent* before anything else; False: the arena has no buffer for it."""
    length: uint32_t = cython.cast(uint32_t, len(unsent))
    if length == 0:
        return True
    if not connection.reserve(length):
        return False
    memcpy(connection.output.base + connection.output.end, cython.cast(cython.p_char, unsent), length)
    connection.output.end += length
    connection.written()
    return True


def put_unread(connection: Connection, unread: bytes) -> cython.bint:
    """Let codecs read *unread* before anything else; False: the arena has no buffer for it."""
    block: cython.p_char
    length: uint32_t = cython.cast(uint32_t, len(unread))
    if length == 0:
        return True
    block = connection.reactor.stock.take(BLOCK_SMALL if length <= BLOCK_SMALL else BLOCK_LARGE, REQUEST_BODY)
    if block == cython.NULL:
        return False
    connection.input.base = block
    connection.input.cap = connection.reactor.arena.size_of(block)
    if connection.input.cap < length:
        connection.drop_input()
        return False
    memcpy(block, cython.cast(cython.p_char, unread), length)
    connection.input.start = 0
    connection.input.end = length
    return True


def go_on_with(connection: Connection, fd: cython.int) -> cython.int:
    """*connection* goes on with the non-blocking descriptor *fd* instead of its own, which another process has now. If the
    kernel has no memory to watch it, it is closed, and the process that awaits something from it says so."""
    old: cython.int = connection.fd
    connection.reactor.unwatch(connection)
    close(old)
    connection.fd = fd
    connection.ready = WRITE
    try:
        connection.reactor.register(connection)
    except OSError:
        connection.close()
    return 0


def leave(connection: Connection) -> cython.void:
    """Another process has the connection: close() without a word to the far side, and without its keeper's accounts."""
    fd: cython.int = connection.fd
    connection.reactor.unwatch(connection)
    connection.give_up_fd()
    close(fd)
