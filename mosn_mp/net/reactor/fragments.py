"""The first bytes of messages that have not come as a whole, each in a piece of the heap that is as large as they are.

A connection that waits for the rest of a message would hold a block of the arena for it, 16 KiB for what may be one byte. So what
has come waits here, and a block is taken again with the next bytes. All pieces of a worker have one bound; who began first goes
first when it is reached. What is too long to be read anew each time stays in its block, and is the first to go when blocks run
short.

    waiting    bytes in a piece of the heap, in the order in which the messages began
    holding    bytes in a block of the arena, in the order in which they came to hold it
    neither    a message with a deadline, whose block goes with something else that its connection has under way

Source: FreeBSD's accf_http(9) for the idea that whoever serves hears of a request when its head is there.
"""

import cython
from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc, realloc
from cython.cimports.libc.string import memcpy
from cython.cimports.mosn_mp.net.reactor.wheel import TimerNode, link, unlink

# What malloc keeps beside what is asked for, and rounds it up by (glibc: 8 bytes, and to 16).
BESIDE = cython.declare(uint64_t, 16)


def bytes_of(fragment: cython.pointer(Fragment)) -> cython.p_char:
    """Where the bytes of *fragment* lie."""
    return cython.cast(cython.p_char, fragment + 1)


@cython.cfunc
@cython.exceptval(check=False)
def first_but(head: cython.pointer(TimerNode), other: cython.pointer(PyObject)) -> cython.pointer(PyObject):
    """The owner of the first fragment of a list that is not *other*'s."""
    node: cython.pointer(TimerNode) = head.next
    while node != head:
        owner: cython.pointer(PyObject) = cython.cast(cython.pointer(Fragment), node).owner
        if owner != other:
            return owner
        node = node.next
    return cython.NULL


class Fragments:
    """All fragments of one worker."""

    def __cinit__(self) -> None:
        self.waiting.prev = self.waiting.next = cython.address(self.waiting)
        self.holding.prev = self.holding.next = cython.address(self.holding)
        self.limit = 16 << 20

    def begin(self, owner: object, began_us: uint64_t) -> cython.pointer(Fragment):
        fragment: cython.pointer(Fragment) = cython.cast(cython.pointer(Fragment), malloc(cython.sizeof(Fragment)))
        if fragment == cython.NULL:
            return cython.NULL
        fragment.node.prev = fragment.node.next = cython.NULL
        fragment.owner = cython.cast(cython.pointer(PyObject), owner)
        fragment.began_us = began_us
        fragment.due_ms = 0
        fragment.length = fragment.room = 0
        fragment.has_head = False
        fragment.list = IN_NONE
        self.bytes += cython.sizeof(Fragment) + BESIDE
        return fragment

    def keep(
        self, fragment: cython.pointer(Fragment), data: cython.p_const_char, length: uint32_t
    ) -> cython.pointer(Fragment):
        before: cython.pointer(TimerNode) = fragment.node.prev
        after: cython.pointer(TimerNode) = fragment.node.next
        moved: cython.pointer(Fragment) = fragment
        if length != fragment.room:
            moved = cython.cast(cython.pointer(Fragment), realloc(fragment, cython.sizeof(Fragment) + length))
            if moved == cython.NULL:
                return cython.NULL
            self.bytes += length
            self.bytes -= moved.room
            moved.room = length
        if before != cython.NULL:
            before.next = after.prev = cython.address(moved.node)
        if moved.list != IN_WAITING:
            unlink(cython.address(moved.node))
            link(cython.address(moved.node), cython.address(self.waiting))
            moved.list = IN_WAITING
        memcpy(bytes_of(moved), data, length)
        moved.length = length
        return moved

    def hold(self, fragment: cython.pointer(Fragment), may_go: cython.bint) -> cython.void:
        if fragment.list == (IN_HOLDING if may_go else IN_NONE):
            return
        unlink(cython.address(fragment.node))
        fragment.list = IN_NONE
        if may_go:
            link(cython.address(fragment.node), cython.address(self.holding))
            fragment.list = IN_HOLDING

    def end(self, fragment: cython.pointer(Fragment)) -> cython.void:
        unlink(cython.address(fragment.node))
        self.bytes -= cython.sizeof(Fragment) + BESIDE + fragment.room
        free(fragment)

    def has_place(self, length: uint32_t) -> cython.bint:
        return self.bytes + length <= self.limit

    def longest_waiting(self, other: cython.pointer(PyObject)) -> cython.pointer(PyObject):
        return first_but(cython.address(self.waiting), other)

    def longest_holding(self, other: cython.pointer(PyObject)) -> cython.pointer(PyObject):
        return first_but(cython.address(self.holding), other)
