from libc.stdint cimport uint8_t, uint32_t, uint64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.buffer.head cimport Head, Slice
from mosn_mp.codec.http1.codec cimport Http1Codec

cdef enum:
    ROOM = 8192         # of an input
    OUT_ROOM = 262144   # of what is forwarded

cdef struct Text:
    const char* at
    uint32_t length

# What one reading of an input came to.
cdef struct Outcome:
    uint64_t everything     # hash of every event and fact
    uint64_t end_to_end     # hash of what the next hop must understand as well
    uint64_t body
    int heads
    int reason

cdef class Fuzzer:
    cdef uint64_t random
    cdef list keep
    cdef Text samples[1024]
    cdef Text words[1024]
    cdef uint32_t sample_count
    cdef uint32_t word_count
    cdef char* input
    cdef uint32_t length
    cdef char* places[2]    # where the bytes at hand lie, in turn
    cdef Buf out
    cdef Http1Codec server
    cdef Http1Codec client
    cdef Head head
    cdef Head request
    cdef int method         # responses: of the request that is answered
    cdef readonly uint64_t inputs
    cdef readonly uint64_t refused
    cdef readonly uint64_t heads
    cdef readonly uint64_t bytes_read
    cdef readonly uint64_t reasons[32]

    cdef uint32_t below(self, uint32_t limit) noexcept
    cdef void insert(self, uint32_t at, const char* text, uint32_t length) noexcept
    cdef void cut_out(self, uint32_t at, uint32_t length) noexcept
    cdef void mutate_once(self) noexcept
    cdef void make_input(self) noexcept
    cdef int ask(self, Http1Codec codec) except -1
    cdef int read(self, Http1Codec codec, const char* text, uint32_t length, int cuts, Http1Codec other, Outcome* outcome) except -1
    cdef int pull(self, Http1Codec codec, Buf* buf, Http1Codec other, Outcome* outcome) except -1
    cdef void note_head(self, Head head, Outcome* outcome) noexcept
    cdef void note_trailers(self, Head head, Outcome* outcome) noexcept
    cdef int forward(self, Http1Codec codec, int event, Buf* buf, Http1Codec other) except -1
    cdef int check(self, bint responses) except -1
