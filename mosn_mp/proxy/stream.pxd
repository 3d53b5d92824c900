from libc.stdint cimport int64_t
from mosn_mp.net.connection.connection cimport Connection
from mosn_mp.net.reactor.reactor cimport Pollable
from mosn_mp.proxy.moving.tunnel cimport TunnelExchange

# What the reactor spawns for a stream whose request came on a shared connection.
cdef class StreamJob(Pollable):
    cdef Stream stream
    cdef int serve(self) except -1
    cdef int on_failure(self) except -1

cdef class Stream(TunnelExchange):
    cdef StreamJob job
    cdef list home                  # idle streams of its kind: where it goes afterwards

    cdef int serve_message(self) except -1
    cdef int resume(self) except -1
    cdef int live(self) except -1
    cdef int serve(self, Connection connection) except -1
    cdef bint read_head(self) except -1
    cdef bint wait_head(self, int count) except -1
    cdef bint await_head(self) except -1
    cdef void forget_head(self) noexcept
    cdef bint refuse(self, int reason) except -1
    cdef int begin(self) except -1
    cdef int run(self) except -1
    cdef bint pass_filters(self, int verdict) except -1
    cdef bint find_route(self) except -1
    cdef int answer_by_route(self) except -1
    cdef int set_timeouts(self) except -1
    cdef int64_t granted(self, int64_t wish_ms, int64_t limit_ms) except -1
    cdef bint choose_host(self) except -1
    cdef bint finish(self) except -1
    cdef bint request_complete(self) noexcept
    cdef bint drain_request(self) except -1
    cdef void park(self) noexcept
    cdef void clear_request(self) noexcept
    cdef void dismantle(self) noexcept
