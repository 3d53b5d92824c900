from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.buf cimport Buf
from mosn_mp.buffer.head cimport Head
from mosn_mp.codec.codec cimport Codec
from mosn_mp.codec.http1.chunks cimport Chunks
from mosn_mp.codec.http1.limits cimport Http1Limits
from mosn_mp.codec.http1.scan cimport Scan

# What is read next; the table is in reader.py. The head states come first, the raw ones last.
cdef enum:
    START = 0
    LINE
    FIELDS
    CHUNKED
    TRAILER
    COMPLETE
    IDLE
    FAILED
    LENGTH
    CLOSE
    TUNNEL

cdef class Http1Reader(Codec):
    cdef int role
    cdef Http1Limits limits
    # reading
    cdef int state
    cdef Scan scan
    cdef Chunks chunks
    cdef uint64_t left          # bytes of a body by length that are still to come
    cdef uint32_t head_at       # where the head or trailer section at hand began: the bytes may move between calls
    cdef bint blank_seen        # the one empty line that may stand before a request
    cdef int interim            # 1xx heads of this message so far
    # the request, for the response's sake
    cdef bint asked             # a request was parsed (SERVER) or written (CLIENT)
    cdef int method_id
    cdef int version
    cdef bint upgrade
    cdef bint head_keep_alive   # what the head that was read allows
    # writing
    cdef int framing
    cdef uint64_t out_left      # F_LENGTH: body bytes still to be announced
    cdef bint chunk_open
    cdef bint closing           # what was written ends the connection
    cdef bint in_done
    cdef bint out_done

    cdef int _next_event(self, Buf* input) except -1
    cdef int _read_head(self, Buf* input) except -1
    cdef int _begin_head(self, Buf* input) except -1
    cdef int _begin_scan(self, Buf* input, uint32_t limit) noexcept
    cdef void _rebase(self, Head head, uint32_t start) noexcept
    cdef int _scanned(self, Buf* input) except -1
    cdef int _enter_request(self) noexcept
    cdef int _enter_response(self) noexcept
    cdef void _enter_body(self) noexcept
    cdef int _read_raw(self, Buf* input) noexcept
    cdef int _read_chunked(self, Buf* input) except -1
    cdef int _read_trailers(self, Buf* input) except -1
    cdef int _complete(self) noexcept
    cdef void _in_done(self) noexcept
    cdef void _enter_tunnel(self) noexcept
    cdef void begin_message(self) noexcept
    cdef int next_event(self, Buf* input) except -1
    cdef int end_of_input(self, Buf* input) except -1
    cdef int fail(self, int reason, const char* detail) noexcept
    cdef bint resume_tunnel(self) noexcept
    cdef uint64_t splice_length(self) noexcept
    cdef void spliced(self, uint64_t length) noexcept
