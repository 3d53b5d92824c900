from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.codec.codec cimport Codec

cdef enum:
    ROOM = 8192         # of an input
    OUT_ROOM = 262144   # of what is forwarded
    MOST_TEXTS = 1024

cdef struct Text:
    const char* at
    uint32_t length

# What one reading of an input came to; each protocol uses the hashes that it has a meaning for.
cdef struct Outcome:
    uint64_t everything     # of every event and fact
    uint64_t message        # of what the next hop must understand as well
    uint64_t body
    uint64_t complete       # of all complete messages
    int heads
    int messages
    int reason

cdef class Mutator:
    cdef uint64_t random
    cdef list keep
    cdef Text[1024] samples
    cdef Text[1024] words
    cdef uint32_t sample_count
    cdef uint32_t word_count
    cdef char* input
    cdef uint32_t length
    cdef char* places[2]    # where the bytes at hand lie, in turn
    cdef Buf out
    cdef readonly uint64_t inputs
    cdef readonly uint64_t heads
    cdef readonly uint64_t bytes_read
    cdef readonly uint64_t reasons[32]

    cdef void mutate_once(self) noexcept
    cdef int pull(self, Codec codec, Buf* buf, Codec other, Outcome* outcome) except -1
    cdef int check(self, bint responses) except -1
    cdef str circumstances(self)
    cdef uint32_t below(self, uint32_t limit) noexcept
    cdef void insert(self, uint32_t at, const char* text, uint32_t length) noexcept
    cdef void cut_out(self, uint32_t at, uint32_t length) noexcept
    cdef void repeat_run(self, uint32_t at) noexcept
    cdef void make_input(self) noexcept
    cdef int feed(self, Codec codec, const char* text, uint32_t length, int cuts, Codec other, Outcome* outcome) except -1
