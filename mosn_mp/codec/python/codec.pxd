from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.buffer.head cimport Head
from mosn_mp.codec.python.reader cimport PythonReader
from mosn_mp.codec.python_protocol cimport Frame

cdef class PythonCodec(PythonReader):
    cdef int _write_message(self, Head head, bint end_stream, Buf* out) except -1
    cdef bint _is_untouched(self, Head head, uint64_t length) noexcept
    cdef int _copy_head(self, Head head, Buf* out) noexcept
    cdef int _write_frame(self, Frame frame, uint32_t bound, Buf* out) except -1
    cdef int _write_control(self, int kind, Buf* out) except -1
    cdef int _refuse(self, str problem) except -1
    cdef int write_head(self, Head head, bint end_stream, Buf* out) except -1
    cdef int begin_data(self, uint64_t length, Buf* out) except -1
    cdef int write_end(self, Head trailers, Buf* out) except -1
    cdef int write_error(self, int reason, Buf* out) except -1
    cdef int write_heartbeat(self, Buf* out) except -1
    cdef int write_heartbeat_reply(self, Buf* out) except -1
    cdef int write_goaway(self, Buf* out) except -1
