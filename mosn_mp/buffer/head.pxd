from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from mosn_mp.buffer.arena cimport Arena
# Known names and method numbers are re-exported: whoever reads a head takes them from here.
from mosn_mp.buffer.names cimport (
    K_CONNECTION, K_CONTENT_LENGTH, K_COUNT, K_EXPECT, K_GLOBAL_TIMEOUT, K_HOST, K_KEEP_ALIVE, K_OTHER, K_PROXY_CONNECTION, K_TE,
    K_TRAILER, K_TRANSFER_ENCODING, K_TRY_TIMEOUT, K_UPGRADE, M_CONNECT, M_DELETE, M_GET, M_HEAD, M_OPTIONS, M_OTHER, M_PATCH,
    M_POST, M_PUT, M_TRACE, is_hop_by_hop, known_name, method_number, same_name,
)

# Set in an offset: it counts from the overlay, not from base.
cdef enum:
    OVERLAY = 0x80000000

# Field.flags
cdef enum:
    REMOVED = 1     # taken out by an edit: never written
    VERBATIM = 2    # the wire holds exactly "name: value\r\n" from name_at on
    HOP = 4         # concerns one connection only: not forwarded

# Head.framing: how the end of the body is known
cdef enum Framing:
    F_NONE = 0
    F_LENGTH
    F_CHUNKED
    F_UNTIL_CLOSE

cdef struct Field:
    uint32_t name_at
    uint32_t value_at
    uint32_t value_len
    uint16_t name_len
    uint8_t known
    uint8_t flags

cdef struct Slice:
    uint32_t at
    uint32_t len

cdef class Head:
    cdef Arena arena
    cdef char* base             # what offsets count from; moves with bind() when the bytes move
    cdef char* block            # the arena block this head holds a reference on, or NULL
    cdef Field* fields
    cdef int count
    cdef int capacity           # grows up to max_fields
    cdef int max_fields
    cdef char* overlay
    cdef uint32_t overlay_len
    cdef uint32_t overlay_cap
    cdef int16_t known_at[13]   # first live index of each Known name, -1 = absent
    # pseudo-headers, the same for every protocol
    cdef Slice method
    cdef Slice path             # path and query as sent
    cdef Slice authority
    cdef Slice scheme
    cdef public int status      # responses; 0 in requests
    cdef Slice reason           # HTTP/1 reason phrase
    cdef int method_id
    cdef int version            # 10, 11, 20; 0 = not HTTP
    cdef int framing
    cdef int64_t content_length # F_LENGTH: the length; else -1
    cdef bint keep_alive        # the sender allows another message on this connection
    cdef bint expect_continue
    cdef bint upgrade           # Connection: upgrade and an Upgrade field
    cdef uint32_t line_at       # HTTP/1: the start line, for the writer
    cdef uint32_t line_len      # HTTP/1: bytes of the start line with CR LF if it may be written as it came; else 0
    cdef Slice raw              # RPC: the wire bytes of the whole head, for a writer of the same family
    cdef int raw_protocol       # number of the codec family that made raw (codec/codec); 0 = none
    cdef bint edited            # a field or pseudo-header was changed since the codec made the head

    cdef void clear(self) noexcept
    cdef void bind(self, char* base) noexcept
    cdef void own(self, char* block) noexcept
    cdef char* at(self, uint32_t offset) noexcept
    cdef int append(self, uint32_t name_at, uint16_t name_len, uint32_t value_at, uint32_t value_len, int known, int flags) except -1
    cdef uint32_t store(self, const char* bytes_, uint32_t length) except? 0
    cdef int find(self, const char* name, Py_ssize_t name_len, int after) noexcept
    cdef int add_field(self, const char* name, Py_ssize_t name_len, const char* value, Py_ssize_t value_len) except -1
    cdef int remove_field(self, const char* name, Py_ssize_t name_len) noexcept
    cdef int set_slice(self, Slice* slice, const char* text, Py_ssize_t length) except -1
    cdef int set_field(self, const char* name, Py_ssize_t name_len, const char* value, Py_ssize_t value_len) except -1
    cdef void drop_field(self, int index) noexcept
    cdef bytes slice_bytes(self, Slice slice)
    cdef bytes value_bytes(self, int index)
    cdef bytes name_bytes(self, int index)
    cdef uint32_t wire_bound(self) noexcept
    cdef int grow(self) except -1
    cdef void _shrink(self) noexcept
    cdef Slice* pseudo(self, str name) noexcept
