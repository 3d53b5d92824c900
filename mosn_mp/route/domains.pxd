from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    EXACT = 1           # Domain.kind
    SUFFIX = 2
    NO_PORT = 0         # Domain.port
    ANY_PORT = 65536
    MAX_HOST = 255      # bytes of a host name (RFC 1035 section 2.3.4); a longer one takes the default

# One domain in the table. Its key is (kind, text, port).
cdef struct Domain:
    uint64_t hash
    const char* text        # lower case, without port, without the leading *
    uint32_t length
    uint32_t port
    int kind                # 0 = empty cell
    int virtual_host

# Immutable once it is made.
cdef class Domains:
    cdef list texts                 # owns the bytes that cells point into
    cdef Domain* cells              # open addressing; the size is a power of two, at most half full
    cdef uint32_t mask
    cdef uint32_t* suffix_lengths   # of wildcard domains, longest first
    cdef int suffix_count
    cdef int exact_count
    cdef int default_host           # index of the virtual host of `*`, or -1

    cdef int find(self, const char* authority, uint32_t length) noexcept
    cdef int _find_index(self, const char* host, uint32_t length, uint32_t port) noexcept
    cdef int _look_up(self, int kind, const char* text, uint32_t length, uint32_t port) noexcept
