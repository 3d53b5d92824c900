from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.head cimport Head
from mosn_mp.cluster.cluster cimport Cluster
from mosn_mp.cluster.host cimport Host
from mosn_mp.codec.codec cimport Codec
from mosn_mp.filter.chain cimport FilteredStream
from mosn_mp.net.connection.connection cimport Connection
from mosn_mp.net.pool.host_pool cimport HostPool
from mosn_mp.net.reactor.reactor cimport Reactor, Task
from mosn_mp.observe.access_log.record cimport Address, Record
from mosn_mp.proxy.flow cimport Flow
from mosn_mp.proxy.runtime cimport ListenerRuntime, ListenerState, SpokenProtocol
from mosn_mp.route.route cimport Route

cdef class StreamView(FilteredStream):
    cdef Reactor reactor
    cdef Task task
    cdef ListenerState listener
    cdef ListenerRuntime runtime
    cdef SpokenProtocol spoken
    cdef Connection down
    cdef Connection up
    cdef Codec down_codec
    cdef Codec up_codec
    cdef readonly Head request
    cdef readonly Head response
    cdef Record record
    cdef Flow upload
    cdef Flow download
    cdef Route route
    cdef Cluster cluster
    cdef Host chosen
    cdef HostPool pool
    cdef bytes reply_body
    cdef bint response_begun        # a final response head is written downstream
    cdef uint64_t* counters         # the listener's D_* cells in this worker's row

    cdef int compose_reply(self, int status, bytes body) except -1
