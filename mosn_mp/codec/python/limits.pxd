from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.codec.python_protocol cimport PythonProtocol

# What all connections of a protocol share; one object per listener or cluster.
cdef class PythonLimits:
    cdef readonly PythonProtocol protocol
    cdef readonly int family        # Head.raw_protocol of its heads
    cdef readonly int id_bytes      # of an id on the wire; 0 = none
    cdef readonly int id_at         # where in a head the id is; -1 = only encode() knows
    cdef readonly uint32_t max_head
    cdef readonly uint64_t max_frame
    cdef readonly int max_fields
    cdef object log                 # logging.Logger
    cdef uint64_t mistakes          # of the user's code
