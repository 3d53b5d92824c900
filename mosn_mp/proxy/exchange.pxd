from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from mosn_mp.net.connection.connection cimport Connection
from mosn_mp.net.multiplex.server_session cimport ServerSession
from mosn_mp.net.connection.pace cimport Pace
from mosn_mp.proxy.reply cimport LocalReply

# Exchange.exchange()
cdef enum:
    DONE = 0
    RETRY = 1

cdef uint64_t rest_of(uint64_t look_ms, uint64_t waited_ms) noexcept

cdef class Exchange(LocalReply):
    cdef ServerSession session      # the request came on a shared connection; None = it has a connection of its own
    cdef uint64_t global_at_ms      # deadline of the whole exchange; 0 = none
    cdef uint64_t try_at_ms         # deadline of this attempt
    cdef int64_t global_timeout_ms  # 0 = none
    cdef int64_t try_timeout_ms
    cdef uint64_t sent_at_us        # the request's last byte was handed over; 0 = not yet
    cdef uint64_t up_read_before    # up.bytes_read when the attempt began
    cdef uint32_t attempts
    cdef Pace body_pace             # of the client's body
    cdef uint64_t body_wait_ms      # for body bytes since it was looked at last
    cdef uint64_t read_wait_ms      # for the client to read, likewise
    cdef bint reused                # this attempt runs on a connection that carried others before
    cdef bint resent                # the request was sent a second time
    cdef bint tunnel
    cdef bint awaiting_head
    cdef bint one_way               # the request takes no response
    cdef bint unsendable            # the upstream's protocol cannot say what the request says
    cdef bint reusable              # the upstream connection may carry another request

    cdef bint connect(self) except -1
    cdef Connection dial(self)
    cdef bint connect_bound(self) except -1
    cdef void release_upstream(self) noexcept
    cdef bint send_head(self) except -1
    cdef bint may_resend(self) noexcept
    cdef int exchange(self) except -1
    cdef bint wait_or_end(self, int upload_stop, int download_stop) except -1
    cdef void on_request_sent(self) noexcept
    cdef int receive_head(self) except -1
    cdef int forward_interim(self) except -1
    cdef int begin_response(self) except -1
    cdef bint pass_response_filters(self) except -1
    cdef void open_tunnel(self) noexcept
    cdef void pass_half_close(self) noexcept
    cdef bint move_on(self) except -1
    cdef uint8_t departure(self) noexcept
    cdef int wait_for_progress(self, int upload_stop, int download_stop) except -1
    cdef uint64_t next_deadline(self, int upload_stop, int download_stop) noexcept
    cdef int on_upload_stop(self, int stop) except -1
    cdef int on_download_stop(self, int stop) except -1
    cdef int on_deadline(self, int upload_stop, int download_stop) except -1
    cdef int on_upstream_lost(self) except -1
