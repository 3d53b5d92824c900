from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from mosn_mp.buffer.head cimport Head
from mosn_mp.filter.chain cimport FilterChain
from mosn_mp.net.pool.host_pools cimport HostPools
from mosn_mp.observe.access_log.record cimport Address
from mosn_mp.route.router cimport Router

# A protocol that clients of a listener speak, and the one that its requests go upstream in.
cdef class SpokenProtocol:
    cdef readonly object protocol       # codec.protocol.Protocol
    cdef readonly object limits         # what protocol.make_codec takes
    cdef readonly object upstream       # Protocol
    cdef readonly object upstream_limits
    cdef readonly bytes name
    cdef readonly bytes upstream_name
    cdef readonly bint is_shared        # many streams on a connection
    cdef readonly bint is_dated         # HTTP/1: responses carry a Date
    cdef readonly bint converts         # the two are not the same
    cdef readonly bint upstream_shared
    cdef readonly bint upstream_bound   # a connection to the host for each client
    cdef public dict variants           # name of another upstream protocol -> the SpokenProtocol with that one

# What one listener serves by, compiled from one snapshot; immutable. A stream keeps the one that it began with.
cdef class ListenerRuntime:
    cdef readonly str name
    cdef readonly bytes name_bytes
    cdef readonly uint64_t version
    cdef readonly tuple protocols       # of SpokenProtocol, in the order of downstream_protocol
    cdef readonly Router router
    cdef readonly FilterChain filters
    cdef readonly tuple access_logs     # of observe.access_log.AccessLog
    cdef bint has_logs
    cdef bint is_wildcard               # address is 0.0.0.0 or ::
    cdef uint8_t departure              # by what the reactor tells (READ, ...) a client leaves during a request
    cdef readonly uint32_t first_timeout_ms # of a head whose protocol has no own limit, or is not known yet
    cdef readonly uint32_t head_timeout_ms  # of HTTP/1
    cdef readonly uint32_t body_timeout_ms
    cdef readonly uint32_t body_look_ms     # clients that we wait for are looked at so often (net/connection/pace.py)
    cdef readonly uint32_t body_look_bytes
    cdef readonly uint32_t write_look_ms
    cdef readonly uint32_t write_look_bytes
    cdef readonly uint32_t idle_timeout_ms
    cdef readonly uint32_t write_timeout_ms
    cdef readonly uint32_t max_requests     # of a connection; 0 = unlimited
    cdef readonly int max_fields            # header fields of a request
    cdef readonly uint32_t max_connections  # of the listener over all workers; 0 = unlimited
    cdef readonly int listener_type
    cdef readonly object trusts         # IP address as text -> may its requests take longer than their route says; None = nobody's
    cdef Address address                # where it listens

cdef enum:
    PARTING_MS = 500    # while a listener drains: how long a connection may be silent between requests

# What changes at a listener while it serves, in this worker.
cdef class ListenerState:
    cdef readonly ListenerRuntime runtime   # what new requests begin with
    cdef uint64_t* counters                 # D_* cells in this worker's row
    cdef readonly bint draining             # it is going away
    cdef bint parts                         # responses say Connection: close: it drains, or others want the descriptors
    cdef readonly object log                # logging.Logger
    cdef uint64_t* worker                   # W_* cells
    cdef HostPools pools
    cdef set tunnels                        # streams that are one
    cdef readonly uint32_t open_count       # connections

    cdef void count(self, int connections) noexcept
    cdef void press(self, bint is_pressed) noexcept
