from libc.stdint cimport uint64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.buffer.head cimport Head
from mosn_mp.codec.http1.limits cimport Http1Limits
from mosn_mp.codec.http1.reader cimport Http1Reader
from mosn_mp.codec.http1.write cimport Plan

cdef class Http1Codec(Http1Reader):
    cdef Head reply             # of write_error

    cdef void _out_done(self) noexcept
    cdef int _write_request(self, Head head, bint end_stream, Buf* out) noexcept
    cdef int _write_response(self, Head head, bint end_stream, Buf* out) noexcept
    cdef int _write_interim(self, Head head, Buf* out) noexcept
    cdef void _plan_body(self, Head head, Plan* plan, bint end_stream) noexcept
    cdef int write_head(self, Head head, bint end_stream, Buf* out) except -1
    cdef int begin_data(self, uint64_t length, Buf* out) except -1
    cdef int end_data(self, Buf* out) except -1
    cdef int write_end(self, Head trailers, Buf* out) except -1
    cdef int write_error(self, int reason, Buf* out) except -1
