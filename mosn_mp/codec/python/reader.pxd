from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.codec.codec cimport Codec
from mosn_mp.codec.python.limits cimport PythonLimits
from mosn_mp.codec.python_protocol cimport Frame

# The length that a head came with is kept first in its overlay: a head whose body was changed cannot go out as it came.
cdef enum:
    LENGTH_BYTES = 8

# Where the reading side of a connection is.
cdef enum State:
    BETWEEN = 0     # a frame begins at input.start
    BODY = 1        # left bytes of the body follow
    COMPLETE = 2    # END is due
    LOST = 4        # an ERROR was given

cdef class PythonReader(Codec):
    cdef PythonLimits limits
    cdef int role
    cdef int state
    cdef uint64_t left              # bytes of the frame being read that are still to come
    cdef uint64_t out_left          # bytes of the body being written that are still to come
    cdef bint refused               # the head written last could not be encoded
    cdef bytes problem              # what detail points into

    cdef Frame _decode(self, Buf* input)
    cdef int _take(self, Frame frame, Buf* input) except -1
    cdef int _check(self, Frame frame) except -1
    cdef int _take_message(self, Frame frame, Buf* input) except -1
    cdef int _fill_head(self, Frame frame, Buf* input) except -1
    cdef int _read_body(self, Buf* input) noexcept
    cdef int _blame(self, int reason, str problem) except -1
    cdef int _lose(self, int reason, str problem) except -1
    cdef int next_event(self, Buf* input) except -1
    cdef int end_of_input(self, Buf* input) except -1
    cdef void restore(self, uint32_t word) noexcept
