# What the access log of one request shows: written by the stream while the request runs, read once by the log steps at its end.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from mosn_mp.buffer.head cimport Head

# A socket address in 20 bytes, as the kernel gave it; text is made only when a log step asks for it.
# family AF_UNSPEC (0) = not known. IPv4: addr[0:4]; IPv6: addr[0:16]; AF_UNIX: addr unused, text is "@" as in Go.
cdef struct Address:
    uint16_t family
    uint16_t port       # host byte order
    uint8_t addr[16]    # network byte order

# Listener type (listeners[].type)
cdef enum ListenerType:
    L_UNSET = 0
    L_INGRESS = 1
    L_EGRESS = 2

# MOSN's response flag bits (mosn-reference 5.2)
cdef enum ResponseFlag:
    RF_NO_HEALTHY_UPSTREAM = 0x2
    RF_UPSTREAM_REQUEST_TIMEOUT = 0x4
    RF_UPSTREAM_LOCAL_RESET = 0x8
    RF_UPSTREAM_REMOTE_RESET = 0x10
    RF_UPSTREAM_CONNECTION_FAILURE = 0x20
    RF_UPSTREAM_CONNECTION_TERMINATION = 0x40
    RF_UPSTREAM_OVERFLOW = 0x80
    RF_NO_ROUTE_FOUND = 0x100
    RF_DELAY_INJECTED = 0x200
    RF_FAULT_INJECTED = 0x400
    RF_RATE_LIMITED = 0x800
    RF_REQUEST_TOO_LARGE = 0x1000
    RF_DOWNSTREAM_TERMINATE = 0x2000

cdef class Record:
    # Wall clock (CLOCK_REALTIME) at the request's first byte, microseconds since 1970.
    cdef int64_t start_us
    # Monotonic microseconds; 0 = this moment never came.
    cdef int64_t start_at               # the same moment as start_us
    cdef int64_t request_head_at        # the request head was complete
    cdef int64_t request_finished_at    # the request's last byte was read
    cdef int64_t response_head_at       # the upstream's response head was complete
    cdef int64_t upstream_finished_at   # the upstream's last byte was read
    cdef int64_t end_at                 # the last byte was handed to the downstream socket, or the stream failed
    # Body bytes, as in MOSN.
    cdef uint64_t bytes_received        # from downstream
    cdef uint64_t bytes_sent            # to downstream
    cdef uint64_t connection_id         # downstream connection; 0 = none
    cdef uint64_t upstream_connection_id
    cdef uint64_t stream_id
    cdef int status                     # the response status sent downstream; 0 = none was sent
    cdef int reason                     # int(errors.Reason)
    cdef uint32_t response_flags        # OR of ResponseFlag bits
    cdef uint32_t attempts              # upstream tries begun
    cdef uint16_t listener_port
    cdef uint8_t listener_type          # ListenerType
    cdef Address downstream_remote
    cdef Address downstream_local
    cdef Address upstream_local
    # Heads: borrowed from the stream, bound until the log steps have run; None = there is none.
    cdef Head request
    cdef Head response
    # Shared immutable text, assigned by reference, never made per request; None = not known.
    cdef bytes protocol                 # b"Http1"
    cdef bytes upstream_protocol
    cdef bytes listener_name
    cdef bytes route_name
    cdef bytes cluster_name
    cdef bytes upstream_host            # "host:port" of the chosen host
    cdef bytes server_name              # TLS SNI

    # Everything as before the first request: zeros and None.
    cdef void clear(self) noexcept

# The text of *address* (Go net.Addr form: 10.0.0.1:80, [::1]:80) at *out*; its length, at most 56, 0 = not known.
cdef int format_address(const Address* address, char* out) noexcept nogil
