"""The timer wheel: every deadline of a worker, O(1) to arm, to move and to cancel, without an object per timeout.

A hashed wheel (Varghese and Lauck, scheme 6) with lazy deadlines: a later deadline only overwrites `deadline_ms`, the node stays
where it is and moves on when that slot comes round; cancelling writes 0. So arming and cancelling a request's timeout is two
stores in nearly every case (gevent.Timeout costs 3.5 us).

    Timed.deadline_ms    what is wanted
    Timed.linked_tick    where the node is: never later than the deadline while armed
"""

import cython
from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.stdlib import calloc, free

TICK_MS = cython.declare(uint64_t, 16)
# 4096 slots of 16 ms: 65 s a turn, so nearly every network timeout is linked once; longer ones are looked at once a turn.
SLOTS = cython.declare(uint64_t, 4096)


def unlink(node: cython.pointer(TimerNode)) -> cython.void:
    """Take *node* out of its slot; a node that is in none stays so."""
    if node.prev != cython.NULL:
        node.prev.next = node.next
        node.next.prev = node.prev
        node.prev = cython.NULL
        node.next = cython.NULL


def link(node: cython.pointer(TimerNode), slot: cython.pointer(TimerNode)) -> cython.void:
    """Put *node*, which is in no slot, last into *slot*."""
    node.prev = slot.prev
    node.next = slot
    slot.prev.next = node
    slot.prev = node


class Timed:
    """Something with one deadline; the wheel calls on_timer() at or up to two ticks after it."""

    def __dealloc__(self) -> None:
        unlink(cython.address(self.node))

    def on_timer(self) -> cython.int:
        """Called once when the deadline has passed; the deadline is already 0."""
        return 0


class TimerWheel:
    """The deadlines of one worker; holds no references: a Timed unlinks itself when it is deallocated."""

    def __cinit__(self) -> None:
        self.slots = cython.cast(cython.pointer(TimerNode), calloc(SLOTS + 1, cython.sizeof(TimerNode)))
        if self.slots == cython.NULL:
            raise MemoryError()
        i: uint64_t
        self.due = cython.address(self.slots[SLOTS])
        for i in range(SLOTS + 1):
            self.slots[i].prev = cython.address(self.slots[i])
            self.slots[i].next = cython.address(self.slots[i])

    def __dealloc__(self) -> None:
        i: uint64_t
        if self.slots == cython.NULL:
            return
        for i in range(SLOTS + 1):
            while self.slots[i].next != cython.address(self.slots[i]):
                unlink(self.slots[i].next)
        free(self.slots)

    def arm(self, timed: Timed, deadline_ms: uint64_t) -> cython.void:
        """on_timer() of *timed* shall be called at *deadline_ms* (0 = never)."""
        timed.deadline_ms = deadline_ms
        if deadline_ms == 0:
            return
        tick: uint64_t = deadline_ms // TICK_MS + 1
        if timed.node.prev != cython.NULL:
            if timed.linked_tick <= tick:
                return
            unlink(cython.address(timed.node))
        if tick <= self.tick:
            tick = self.tick + 1
        elif tick >= self.tick + SLOTS:
            tick = self.tick + SLOTS - 1
        timed.linked_tick = tick
        link(cython.address(timed.node), cython.address(self.slots[tick % SLOTS]))

    def advance(self, now_ms: uint64_t) -> cython.int:
        """Call what is due at *now_ms*."""
        target: uint64_t = now_ms // TICK_MS
        self.now_ms = now_ms
        if self.tick == 0 or target > self.tick + SLOTS:
            # the first call, or the process was stopped for more than a turn: one whole turn visits every node
            self.tick = target - SLOTS if self.tick else target
        while self.tick < target:
            self.tick += 1
            self._visit(cython.address(self.slots[self.tick % SLOTS]), now_ms)
        return 0

    def _visit(self, slot: cython.pointer(TimerNode), now_ms: uint64_t) -> cython.int:
        # The nodes move to self.due first: what is re-armed meanwhile may land in this slot again. The list head must lie on the
        # heap: on_timer() switches greenlets, and greenlet moves C stacks away while others run.
        due: cython.pointer(TimerNode) = self.due
        node: cython.pointer(TimerNode)
        timed: Timed
        if slot.next != slot:
            slot.next.prev = due.prev
            due.prev.next = slot.next
            slot.prev.next = due
            due.prev = slot.prev
            slot.next = slot
            slot.prev = slot
        while due.next != due:
            node = due.next
            unlink(node)
            timed = cython.cast(Timed, cython.cast(cython.pointer(PyObject), cython.cast(cython.p_char, node) - NODE_AT))
            if timed.deadline_ms == 0:
                continue
            if timed.deadline_ms > now_ms:
                self.arm(timed, timed.deadline_ms)
                continue
            timed.deadline_ms = 0
            timed.on_timer()
        return 0


@cython.cfunc
def node_offset() -> cython.Py_ssize_t:
    """Where a Timed holds its node."""
    probe: Timed = Timed()
    return cython.cast(cython.p_char, cython.address(probe.node)) - cython.cast(cython.p_char, cython.cast(cython.p_void, probe))


NODE_AT = cython.declare(cython.Py_ssize_t, node_offset())
