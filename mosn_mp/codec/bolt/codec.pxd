from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.buffer.head cimport Head
from mosn_mp.codec.bolt.reader cimport BoltReader

cdef class BoltCodec(BoltReader):
    cdef uint64_t out_left      # bytes of content still to be announced
    cdef uint32_t out_crc
    cdef uint32_t wanted        # form of what is written, WITH_CRC or not; 0 = as it came

    cdef inline uint32_t _own_form(self) noexcept
    cdef int _refuse(self, const char* detail) noexcept
    cdef uint32_t _put_converted(self, char* at, const char* raw) noexcept
    cdef int _write_again(self, Head head, uint64_t length, Buf* out) noexcept
    cdef int _write_new(self, Head head, uint64_t length, Buf* out) noexcept
    cdef int _finish(self, char* at, uint32_t size, uint64_t length, Buf* out) noexcept
    cdef int _write_signal(self, uint32_t form, int type, int command, int status, Buf* out) noexcept
    cdef void restore(self, uint32_t word) noexcept
    cdef uint32_t pool_word(self, Head head) noexcept
    cdef uint32_t answer_word(self, Head request) noexcept
    cdef void write_as(self, uint32_t word) noexcept
    cdef int write_head(self, Head head, bint end_stream, Buf* out) except -1
    cdef int begin_data(self, uint64_t length, Buf* out) except -1
    cdef void checksum(self, const char* payload, size_t length) noexcept
    cdef int write_end(self, Head trailers, Buf* out) except -1
    cdef int write_error(self, int reason, Buf* out) except -1
    cdef int write_heartbeat(self, Buf* out) except -1
    cdef int write_heartbeat_reply(self, Buf* out) except -1
    cdef int write_goaway(self, Buf* out) except -1
