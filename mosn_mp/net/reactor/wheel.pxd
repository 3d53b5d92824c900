from libc.stdint cimport uint32_t, uint64_t

cdef struct TimerNode:
    TimerNode* prev
    TimerNode* next

cdef class Timed:
    cdef TimerNode node         # prev NULL = not in the wheel
    cdef uint64_t deadline_ms   # 0 = no deadline
    cdef uint64_t linked_tick   # the tick whose slot holds the node
    cdef int on_timer(self) except -1

cdef class TimerWheel:
    cdef TimerNode* slots
    cdef TimerNode* due         # list head of the nodes being visited
    cdef uint64_t tick          # every slot up to this tick has been visited
    cdef uint64_t now_ms

    cdef void arm(self, Timed timed, uint64_t deadline_ms) noexcept
    cdef int advance(self, uint64_t now_ms) except -1
    cdef int _visit(self, TimerNode* slot, uint64_t now_ms) except -1

cdef void unlink(TimerNode* node) noexcept
cdef void link(TimerNode* node, TimerNode* slot) noexcept
