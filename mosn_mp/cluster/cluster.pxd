from libc.stdint cimport int64_t, uint32_t
from mosn_mp.buffer.head cimport Head
from mosn_mp.cluster.host cimport Host, HostSet
from mosn_mp.cluster.lb.balancer cimport Balancer

cdef class Cluster:
    cdef readonly str name
    cdef readonly bytes digest              # of the config it was compiled from
    cdef readonly str lb_type
    cdef readonly HostSet hosts
    cdef readonly Balancer balancer
    cdef readonly int64_t connect_timeout_ms
    cdef readonly int64_t idle_timeout_ms   # of pooled connections; 0 = never
    cdef readonly int64_t keepalive_ms      # without a byte from a host, before it is asked for a heartbeat
    cdef readonly int64_t keepalive_timeout_ms
    cdef readonly uint32_t max_connections  # to all hosts together, from all workers; 0 = unlimited
    cdef readonly uint32_t max_requests_per_connection  # 0 = unlimited
    cdef readonly uint32_t state_record     # in cluster.state; 0 = none

    # A healthy host, another one than *previous* (None on the first try) if there is another; None = no healthy host.
    cdef Host pick(self, Head request, Host previous)
