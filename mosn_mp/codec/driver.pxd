from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.buffer.head cimport Head
from mosn_mp.codec.codec cimport Codec

cdef class CodecDriver:
    cdef readonly Codec codec
    cdef Buf input
    cdef Buf out
    cdef char* head_bytes       # what the head of the message at hand is bound to, so that the input may move
    cdef Head _head

    cdef int _grow(self, Buf* buffer, uint32_t room) except -1
    cdef int _keep_head(self) except -1
    cdef object _show(self, int event)
