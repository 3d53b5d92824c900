from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.buffer.head cimport Head

cdef enum Event:
    NEED_MORE = 0   # feed more bytes
    HEAD = 1        # codec.head holds a message head
    DATA = 2        # codec.data_at/data_len: a piece of the body inside the input
    TRAILERS = 3    # codec.trailers holds trailer fields; END follows
    END = 4         # the message is complete
    HEARTBEAT = 5   # a heartbeat request of stream_id: answer with write_heartbeat_reply
    GOAWAY = 6      # the other side takes no new streams
    RESET = 7       # the other side gave up stream_id
    ERROR = 8       # the wire rules were broken: codec.reason, codec.detail; the connection is lost
    HEARTBEAT_REPLY = 9     # the other side answered our heartbeat of stream_id

cdef enum Role:
    SERVER = 0      # parses requests, writes responses
    CLIENT = 1      # writes requests, parses responses

cdef enum:
    WRITTEN = 0
    NO_ROOM = 1         # out has too little room; nothing was written
    UNSUPPORTED = 2     # the protocol has no such message; nothing was written

# Head.raw_protocol: the families of protocols that write each other's heads as they came; numbers from 64 on are free for plug-ins
cdef enum:
    FAMILY_NONE = 0
    FAMILY_BOLT = 1     # bolt v1 and v2

# In a pool word: messages are converted to the upstream's protocol; without it those of its family leave as they came.
cdef enum:
    CONVERTS = 0x80000000

cdef class Codec:
    cdef Head head
    cdef Head trailers
    cdef uint64_t stream_id     # of the event at hand; set by the caller before it writes a message of another stream
    cdef uint32_t data_at
    cdef uint32_t data_len
    cdef int reason             # ERROR: int(Reason)
    cdef const char* detail     # ERROR: what was wrong, for the log
    cdef bint keep_alive        # after END and write_end: the connection may carry another message
    cdef bint close_after       # set by the proxy: the next final head says that the connection ends with this message
    cdef bint tunnel            # the message turned the connection into a two-way stream of raw DATA
    cdef bint body_done         # HEAD or DATA was returned and nothing but END follows
    cdef bint data_refused      # the head written last takes no body (HEAD, 204, 304): write no data, only write_end
    cdef int32_t timeout_ms     # the request's own timeout; 0 = default, -1 = none
    cdef bint one_way           # the request takes no response
    cdef bint checksums         # the message being written carries a checksum: pass its body through checksum()

    cdef int next_event(self, Buf* input) except -1
    cdef int end_of_input(self, Buf* input) except -1
    cdef int write_head(self, Head head, bint end_stream, Buf* out) except -1
    cdef int begin_data(self, uint64_t length, Buf* out) except -1
    cdef int end_data(self, Buf* out) except -1
    cdef int write_end(self, Head trailers, Buf* out) except -1
    cdef int write_error(self, int reason, Buf* out) except -1
    cdef int write_reset(self, int reason, Buf* out) except -1
    cdef int write_heartbeat(self, Buf* out) except -1
    cdef int write_heartbeat_reply(self, Buf* out) except -1
    cdef int write_goaway(self, Buf* out) except -1
    cdef void begin_message(self) noexcept
    cdef uint64_t splice_length(self) noexcept
    cdef void spliced(self, uint64_t length) noexcept
    cdef bint resume_tunnel(self) noexcept
    cdef int fail(self, int reason, const char* detail) noexcept
    cdef void checksum(self, const char* payload, size_t length) noexcept
    cdef uint32_t pool_word(self, Head head) noexcept
    cdef uint32_t answer_word(self, Head request) noexcept
    cdef void write_as(self, uint32_t word) noexcept
    cdef uint32_t state_word(self) noexcept
    cdef void restore(self, uint32_t word) noexcept
