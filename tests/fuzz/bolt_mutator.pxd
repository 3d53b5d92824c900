from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.buffer.head cimport Head
from mosn_mp.codec.bolt.codec cimport BoltCodec
from mosn_mp.codec.codec cimport Codec
from mosn_mp.codec.http1.codec cimport Http1Codec
from mutator cimport Mutator, Outcome

cdef class Fuzzer(Mutator):
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
    cdef readonly uint64_t converted

    cdef void mutate_once(self) noexcept
    cdef void change_number(self, uint32_t at) noexcept
    cdef void repair(self) noexcept
    cdef void make_input(self) noexcept
    cdef int read(self, BoltCodec codec, const char* text, uint32_t length, int cuts, BoltCodec other, Outcome* outcome) except -1
    cdef int pull(self, Codec codec, Buf* buf, Codec other, Outcome* outcome) except -1
    cdef int signal(self, Codec codec, int event, Outcome* outcome) except -1
    cdef void note_head(self, Codec codec, Outcome* outcome) noexcept
    cdef int forward(self, Codec codec, int event, Buf* buf, Codec other) except -1
    cdef int write_http(self, Head head) except -1
    cdef int check(self, bint responses) except -1
    cdef str circumstances(self)
