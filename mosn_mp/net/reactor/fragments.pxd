from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from mosn_mp.net.reactor.wheel cimport TimerNode

cdef enum:
    IN_NONE = 0
    IN_WAITING = 1
    IN_HOLDING = 2

# A message that has not come as a whole; its bytes follow the struct.
cdef struct Fragment:
    TimerNode node          # its place in one of the two lists; prev NULL = in none
    PyObject* owner         # the connection; borrowed: it ends its fragment before it is gone
    uint64_t began_us       # when the message's first byte was read; 0 = its time begins with the next look
    uint64_t due_ms         # when the message must have gone on
    uint32_t length         # bytes that wait here; 0 = they are in the connection's block, if anywhere
    uint32_t room           # bytes that fit in here
    uint8_t has_head        # its head is complete: what is awaited is body
    uint8_t list            # IN_NONE, IN_WAITING, IN_HOLDING

cdef class Fragments:
    cdef TimerNode waiting      # list heads
    cdef TimerNode holding
    cdef readonly uint64_t bytes
    cdef public uint64_t limit  # of bytes

    # A fragment for *owner*, in no list, without bytes; NULL = no memory.
    cdef Fragment* begin(self, object owner, uint64_t began_us) noexcept
    # Let *length* bytes wait in *fragment*, which may move; NULL = no memory, and nothing has changed.
    cdef Fragment* keep(self, Fragment* fragment, const char* data, uint32_t length) noexcept
    # The bytes of *fragment* are in a block of the arena, which others may want; not *may_go*: it stays there all the same.
    cdef void hold(self, Fragment* fragment, bint may_go) noexcept
    cdef void end(self, Fragment* fragment) noexcept
    # Is there place for *length* bytes more?
    cdef bint has_place(self, uint32_t length) noexcept
    # Who has waited, or held a block, for longest, *other* left aside; NULL = nobody.
    cdef PyObject* longest_waiting(self, PyObject* other) noexcept
    cdef PyObject* longest_holding(self, PyObject* other) noexcept

cdef char* bytes_of(Fragment* fragment) noexcept
