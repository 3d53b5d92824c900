from mosn_mp.proxy.runtime cimport ListenerState

# A connection on its way into another process: at rest until taken() or kept().
cdef class Departure:
    cdef ListenerState listener
    cdef readonly object frame      # ipc.frames.Transfer, its serial still 0
    cdef readonly list fds          # which go with it; borrowed but for those in own_fds
    cdef list own_fds               # closed when it is decided
