from libc.stdint cimport int64_t, uint32_t, uint64_t

# Frame.kind
cpdef enum:
    REQUEST = 1
    ONE_WAY = 2             # a request that takes no response
    RESPONSE = 3
    HEARTBEAT = 4
    HEARTBEAT_REPLY = 5
    GOAWAY = 6

cdef class Frame:
    cdef public int kind
    cdef public uint64_t id
    cdef public uint32_t head_size  # bytes of the frame before its body
    cdef public int64_t body_size
    cdef public int status          # of a RESPONSE, HTTP's
    cdef public object headers      # pairs of name and value
    cdef public int timeout_ms      # of a request: 0 = the default, -1 = none
    cdef public bytes raw           # encode(): the head as it came, if it came in this protocol

cdef class PythonProtocol:
    cpdef Frame decode(self, bytes data)
    cpdef bytes encode(self, Frame frame)
