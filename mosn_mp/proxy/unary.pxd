from libc.stdint cimport int32_t, uint32_t, uint64_t
from mosn_mp.buffer.body cimport Body
from mosn_mp.buffer.head cimport Head
from mosn_mp.net.connection.connection cimport Connection
from mosn_mp.net.multiplex.client_session cimport Call, ClientSession
from mosn_mp.net.multiplex.server_session cimport ServerSession
from mosn_mp.net.pool.shared_pool cimport SharedPool
from mosn_mp.proxy.exchange cimport Exchange
from mosn_mp.proxy.runtime cimport SpokenProtocol

cdef class UnaryExchange(Exchange):
    cdef uint64_t message_id
    cdef uint64_t message_bytes     # as the session counts them
    cdef Body request_body          # whole, when one side is shared
    cdef Body response_body
    cdef Call call
    cdef ClientSession client
    cdef SharedPool shared_pool
    cdef bint departed              # the client does not want the answer any more
    cdef int32_t frame_timeout_ms   # the request's own; 0 = none given
    cdef SpokenProtocol usual       # what spoken is unless route or filter want another upstream protocol
    cdef object up_codec_protocol   # what up_codec was made for

    cdef bint choose_protocol(self) except -1
    cdef uint32_t pool_word(self) noexcept
    cdef void take_codec(self) noexcept
    cdef bint collect_request(self) except -1
    cdef bint wait_body(self) except -1
    cdef int call_shared(self) except -1
    cdef int call_serial(self) except -1
    cdef int collect_response(self) except -1
    cdef int return_response(self) except -1
    cdef bint filter_body(self, Body body, bint is_response) except -1
    cdef int wait_answer(self, uint64_t deadline_ms) except -1
    cdef uint64_t answer_deadline(self) noexcept
    cdef bint wait_bytes(self, Connection up) except -1
    cdef void clear_call(self) noexcept
    cdef bint connect(self) except -1
    cdef void release_upstream(self) noexcept
    cdef bint send_head(self) except -1
    cdef int exchange(self) except -1
    cdef int deliver(self, const char* body, uint64_t length) except -1
    cdef int fail(self, int reason) except -1
