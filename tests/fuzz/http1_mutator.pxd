from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.buffer.head cimport Head
from mosn_mp.codec.codec cimport Codec
from mosn_mp.codec.http1.codec cimport Http1Codec
from mutator cimport Mutator, Outcome

cdef class Fuzzer(Mutator):
    cdef Http1Codec server
    cdef Http1Codec client
    cdef Head head
    cdef Head request
    cdef int method         # responses: of the request that is answered
    cdef readonly uint64_t refused

    cdef void mutate_once(self) noexcept
    cdef int ask(self, Http1Codec codec) except -1
    cdef int read(self, Http1Codec codec, const char* text, uint32_t length, int cuts, Http1Codec other, Outcome* outcome) except -1
    cdef int pull(self, Codec codec, Buf* buf, Codec other, Outcome* outcome) except -1
    cdef void note_head(self, Head head, Outcome* outcome) noexcept
    cdef void note_trailers(self, Head head, Outcome* outcome) noexcept
    cdef int forward(self, Codec codec, int event, Buf* buf, Codec other) except -1
    cdef int check(self, bint responses) except -1
    cdef str circumstances(self)
