"""Where the beginning of a message waits for its rest: see net/reactor/fragments.py, whose bounds are kept here."""

import cython
from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.mosn_mp.net.connection.connection import Connection, Keeper
from cython.cimports.mosn_mp.net.reactor.fragments import Fragment, Fragments


def keep(connection: Connection, began_us: uint64_t, most: uint32_t) -> cython.bint:
    """The rest of the message in the input of *connection* is awaited; *began_us* counts if nothing was awaited before.

    True: its bytes wait in the fragment, and the block is given back. False: they are more than *most*, or there is no place or
    memory for them.
    """
    kept: cython.pointer(Fragment) = cython.NULL
    fragments: Fragments = connection.reactor.fragments
    unread: uint32_t = connection.input.end - connection.input.start
    if connection.fragment == cython.NULL:
        connection.fragment = fragments.begin(connection, began_us)
        if connection.fragment == cython.NULL:
            return False
    if unread == 0:
        return True
    if unread <= most and has_place(connection, unread):
        kept = fragments.keep(connection.fragment, connection.input.base + connection.input.start, unread)
    if kept == cython.NULL:
        return False
    connection.fragment = kept
    connection.drop_input()
    return True


@cython.cfunc
@cython.exceptval(check=False)
def has_place(connection: Connection, length: uint32_t) -> cython.bint:
    """Is there place for *length* bytes more in fragments? Others whose message has been unfinished for longest go for it."""
    oldest: Connection
    keeper: Keeper
    fragments: Fragments = connection.reactor.fragments
    while not fragments.has_place(length):
        waiter: cython.pointer(PyObject) = fragments.longest_waiting(cython.cast(cython.pointer(PyObject), connection))
        if waiter == cython.NULL:
            return False
        oldest = cython.cast(Connection, waiter)
        keeper = oldest.keeper  # it may let go of it
        keeper.make_way(oldest, False)
        if oldest.fragment != cython.NULL:
            return False  # it is on its way to another process
    return True
