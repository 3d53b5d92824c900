from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.buffer.head cimport Head
from mosn_mp.codec.codec cimport Codec
from mosn_mp.codec.python_protocol cimport Frame, PythonProtocol

# Where the reading side of a connection is.
cdef enum State:
    BETWEEN = 0     # a frame begins at input.start
    BODY = 1        # left bytes of the body follow
    COMPLETE = 2    # END is due
    SKIP = 3        # left bytes follow that belong to a frame which is no message
    LOST = 4        # an ERROR was given

# What all connections of a protocol share; one object per listener or cluster.
cdef class PythonLimits:
    cdef readonly PythonProtocol protocol
    cdef readonly int family        # Head.raw_protocol of its heads
    cdef readonly int id_bytes      # of an id on the wire; 0 = none
    cdef readonly int id_at         # where in a head the id is; -1 = only encode() knows
    cdef readonly uint32_t max_head
    cdef readonly uint64_t max_frame
    cdef readonly int max_fields
    cdef object log                 # logging.Logger
    cdef uint64_t mistakes          # of the user's code

cdef class PythonCodec(Codec):
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
    cdef bint _skip(self, Buf* input) noexcept
    cdef int _blame(self, int reason, str problem) except -1
    cdef int _lose(self, int reason, str problem) except -1
    cdef int _write_message(self, Head head, bint end_stream, Buf* out) except -1
    cdef bint _is_untouched(self, Head head, uint64_t length) noexcept
    cdef int _copy_head(self, Head head, Buf* out) noexcept
    cdef int _write_frame(self, Frame frame, uint32_t bound, Buf* out) except -1
    cdef int _write_control(self, int kind, Buf* out) except -1
    cdef int _refuse(self, str problem) except -1
    cdef int next_event(self, Buf* input) except -1
    cdef int end_of_input(self, Buf* input) except -1
    cdef void restore(self, uint32_t word) noexcept
    cdef int write_head(self, Head head, bint end_stream, Buf* out) except -1
    cdef int begin_data(self, uint64_t length, Buf* out) except -1
    cdef int write_end(self, Head trailers, Buf* out) except -1
    cdef int write_error(self, int reason, Buf* out) except -1
    cdef int write_heartbeat(self, Buf* out) except -1
    cdef int write_heartbeat_reply(self, Buf* out) except -1
    cdef int write_goaway(self, Buf* out) except -1
