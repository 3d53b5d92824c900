from libc.stdint cimport uint64_t
from mosn_mp.net.connection cimport Keeper
from mosn_mp.net.session cimport Session

cdef class ServerSession(Session):
    cdef Inbox inbox
    cdef object kind            # the inbox's own use
    cdef dict calls             # stream id -> what serves it
    cdef int in_flight
    cdef bint held_back         # did not read because of its limits
    cdef bint ended             # the client sends no more
    cdef Session relay          # brings the answers that the process owes which the client came from; None = it owes none
    cdef uint64_t message_timeout_ms    # from the first byte of a message to its last

    cdef int finished(self, uint64_t stream_id) except -1
    cdef int rest(self) except -1

cdef class Inbox(Keeper):
    cdef int request_arrived(self, ServerSession session) except -1
    cdef int request_reset(self, ServerSession session, object call) except -1
    cdef int session_idle(self, ServerSession session) except -1
    cdef void session_closed(self, ServerSession session) noexcept
