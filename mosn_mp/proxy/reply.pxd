from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.codec.codec cimport Codec
from mosn_mp.net.connection.connection cimport Connection
from mosn_mp.proxy.view cimport StreamView

cdef class LocalReply(StreamView):
    cdef bint drop                  # end without another byte to the client
    cdef bint answering             # a local reply is under way: a filter cannot start another

    cdef int fail(self, int reason) except -1
    cdef int send_reply(self) except -1
    cdef int crash(self) except -1
    cdef int deliver(self, const char* body, uint64_t length) except -1
    cdef int date_response(self) except -1
    cdef int give_up_writing(self) except -1
    cdef bint write_body(self, Connection target, Codec codec, const char* body, uint64_t length) except -1
    cdef bint make_room(self, Connection connection, uint32_t room) except -1
    cdef bint must_close(self) noexcept
    cdef bint may_drain(self) noexcept
