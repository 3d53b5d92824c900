from libc.stdint cimport uint32_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.codec.bolt.frame cimport Frame
from mosn_mp.codec.bolt.limits cimport BoltLimits
from mosn_mp.codec.codec cimport Codec

# What is read next; the table is in codec.py.
cdef enum:
    FRAME = 0
    CONTENT
    FINISH
    FAILED

cdef class BoltReader(Codec):
    cdef int role
    cdef BoltLimits limits
    cdef uint32_t usual         # form of frames of our own on a connection that has not seen one yet
    cdef uint32_t form          # form of the connection's first frame, 0 = none yet
    # reading
    cdef int state
    cdef uint32_t left          # bytes of content still to come
    cdef bint in_has_crc
    cdef uint32_t in_crc
    cdef uint32_t beat_form     # form of the heartbeat returned last

    cdef int _break(self, int reason, const char* detail) noexcept
    cdef int _read_frame(self, Buf* input) except -1
    cdef int _check_lengths(self, Frame* frame) noexcept
    cdef int _read_signal(self, Buf* input, Frame* frame) noexcept
    cdef int _read_message(self, Buf* input, Frame* frame) except -1
    cdef int _fill_head(self, Buf* input, Frame* frame) except -1
    cdef int _read_content(self, Buf* input) noexcept
    cdef uint32_t state_word(self) noexcept
    cdef void restore(self, uint32_t word) noexcept
    cdef int next_event(self, Buf* input) except -1
    cdef int end_of_input(self, Buf* input) except -1
