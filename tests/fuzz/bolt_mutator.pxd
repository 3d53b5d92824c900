from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.buffer.head cimport Head
from mosn_mp.codec.bolt.codec cimport BoltCodec
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
    uint64_t message        # hash of what the next hop must understand of the message at hand
    uint64_t complete       # ... of all complete messages
    int heads
    int messages
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
    cdef Buf scratch
    cdef uint32_t out_complete
    cdef bint edit          # heads are written as if a filter had edited them
    cdef bint convert       # heads of requests are also written as HTTP/1.1
    cdef BoltCodec server
    cdef BoltCodec client
    cdef Http1Codec http_client
    cdef Http1Codec http_server
    cdef Head head
    cdef Head http_head
    cdef readonly uint64_t inputs
    cdef readonly uint64_t heads
    cdef readonly uint64_t converted
    cdef readonly uint64_t bytes_read
    cdef readonly uint64_t reasons[32]

    cdef uint32_t below(self, uint32_t limit) noexcept
    cdef void insert(self, uint32_t at, const char* text, uint32_t length) noexcept
    cdef void cut_out(self, uint32_t at, uint32_t length) noexcept
    cdef void mutate_once(self) noexcept
    cdef void change_number(self, uint32_t at) noexcept
    cdef void repair(self) noexcept
    cdef void make_input(self) noexcept
    cdef int read(self, BoltCodec codec, const char* text, uint32_t length, int cuts, BoltCodec other, Outcome* outcome) except -1
    cdef int pull(self, BoltCodec codec, Buf* buf, BoltCodec other, Outcome* outcome) except -1
    cdef int signal(self, BoltCodec codec, int event, Outcome* outcome) except -1
    cdef void note_head(self, BoltCodec codec, Outcome* outcome) noexcept
    cdef int forward(self, BoltCodec codec, int event, Buf* buf, BoltCodec other) except -1
    cdef int write_http(self, Head head) except -1
    cdef int check(self, bint responses) except -1
