from libc.stdint cimport uint32_t
from mosn_mp.buffer.head cimport Head

# Which pseudo-headers write_block writes as fields, in place of fields of these names.
cdef enum:
    P_METHOD = 1
    P_PATH = 2
    P_HOST = 4

# What reading a block found: indexes of a request's fields, -1 = absent.
cdef struct Keys:
    int service
    int method_name
    int method
    int path
    int host
    const char* wrong   # what is wrong with the block, or NULL
    bint too_many       # ... more fields than there may be

cdef bint read_block(Head head, uint32_t at, uint32_t length, int max_fields, Keys* keys) except -1
cdef int settle_request(Head head, Keys* keys) except -1
cdef int edited_pseudos(Head head) noexcept
cdef char* write_block(Head head, int pseudos, bint foreign, char* at, char* end) noexcept
