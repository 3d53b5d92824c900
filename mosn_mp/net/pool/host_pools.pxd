from mosn_mp.cluster.cluster cimport Cluster
from mosn_mp.cluster.host cimport Host
from mosn_mp.cluster.state cimport State
from mosn_mp.net.connection.descriptors cimport Descriptors
from mosn_mp.net.pool.host_pool cimport HostPool
from mosn_mp.observe.metrics.metrics cimport Metrics

cdef class HostPools:
    cdef Descriptors descriptors
    cdef State state
    cdef Metrics metrics
    cdef int slot
    cdef object clusters            # those served, by name
    cdef list pools                 # all there are, for descriptors too

    # The pool of *host*, made now if nobody wanted a connection to it before.
    cdef HostPool of(self, Host host, Cluster cluster)
