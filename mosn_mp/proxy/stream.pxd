from libc.stdint cimport uint64_t
from mosn_mp.net.connection cimport Connection
from mosn_mp.proxy.exchange cimport Exchange

cdef class Stream(Exchange):
    cdef int serve(self, Connection connection) except -1
    cdef bint read_head(self) except -1
    cdef int begin(self) except -1
    cdef int run(self) except -1
    cdef bint pass_filters(self, int verdict) except -1
    cdef bint find_route(self) except -1
    cdef int answer_by_route(self) except -1
    cdef void set_timeouts(self) noexcept
    cdef bint choose_host(self) except -1
    cdef bint connect(self) except -1
    cdef void release_upstream(self) noexcept
    cdef bint finish(self) except -1
    cdef bint request_complete(self) noexcept
    cdef bint drain_request(self) except -1
    cdef void park(self) noexcept
    cdef void clear_request(self) noexcept
