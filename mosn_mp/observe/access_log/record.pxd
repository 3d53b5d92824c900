# What the access log of one request shows: written by the stream while the request runs, read once by the log steps at its end.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from mosn_mp.buffer.head cimport Head

# A socket address in 20 bytes, as the kernel gave it; text is made only when a log step asks for it.
# family AF_UNSPEC (0) = not known. IPv4: addr[0:4]; IPv6: addr[0:16]; AF_UNIX: addr unused, the text is "@" as in Go.
cdef struct Address:
    uint16_t family
    uint16_t port       # host byte order
    uint8_t addr[16]    # network byte order

# Longest text of an Address: "[" + 45 + "]:65535"
cdef enum:
    ADDRESS_TEXT = 56

# Record.listener_type (listeners[].type)
cdef enum:
    L_UNSET = 0
    L_INGRESS = 1
    L_EGRESS = 2

# Record.response_flags: MOSN's bits (api.ResponseFlag)
cdef enum:
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
    cdef public int64_t start_us
    # Monotonic microseconds; 0 = this moment never came.
    cdef public int64_t start_at                # the same moment as start_us
    cdef public int64_t request_head_at         # the request head was complete
    cdef public int64_t request_finished_at     # the request's last byte was read (and handed to the upstream, if there is one)
    cdef public int64_t response_head_at        # the upstream's response head was complete
    cdef public int64_t upstream_finished_at    # the upstream's last byte was read
    cdef public int64_t end_at                  # the last byte was handed to the downstream socket, or the stream failed
    cdef public uint64_t bytes_received         # body bytes from downstream
    cdef public uint64_t bytes_sent             # body bytes to downstream
    cdef public uint64_t connection_id          # downstream connection; 0 = none
    cdef public uint64_t upstream_connection_id # 0 = none
    cdef public uint64_t stream_id              # 0 = none
    cdef public int status                      # the response status sent downstream; 0 = none was sent
    cdef public int reason                      # int(errors.Reason)
    cdef public uint32_t response_flags         # OR of RF_ bits
    cdef public uint32_t attempts               # upstream tries begun
    cdef public uint16_t listener_port
    cdef public uint8_t listener_type           # L_
    cdef Address downstream_remote
    cdef Address downstream_local
    cdef Address upstream_local
    # Heads: borrowed from the stream, bound until the log steps have run; None = there is none.
    cdef public Head request
    cdef public Head response
    # Shared immutable text, assigned by reference, never made per request; None = not known.
    cdef public bytes protocol                  # b"Http1"
    cdef public bytes upstream_protocol
    cdef public bytes listener_name
    cdef public bytes route_name
    cdef public bytes cluster_name
    cdef public bytes upstream_host             # "host:port" of the chosen host
    cdef public bytes server_name               # TLS SNI
    cdef public bytes trace_id                  # None until a tracer gives one

    # Everything as before the first request: zeros and None.
    cdef void clear(self) noexcept

# The text of *address* in Go's net.Addr form (10.0.0.1:80, [::1]:80) at *out*; its length, at most ADDRESS_TEXT, 0 = not known.
cdef int format_address(const Address* address, char* out) noexcept nogil
# *into* becomes what the struct sockaddr at *sockaddr* says (accept4, getsockname, getpeername); other families: not known.
cdef void take_sockaddr(Address* into, const void* sockaddr) noexcept nogil
