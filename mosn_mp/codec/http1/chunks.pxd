from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.buf cimport Buf

cdef enum:
    CHUNK_MORE = 0      # feed more bytes
    CHUNK_DATA = 1      # at least one payload byte of the chunk lies at Buf.start; Chunks.left says how many there are in all
    CHUNK_LAST = 2      # the last chunk was read: the trailer section begins at Buf.start
    CHUNK_BROKEN = 3    # Chunks.reason, Chunks.detail

# Chunks.step; the table is in chunks.py
cdef enum:
    SIZE = 0
    EXTENSION_NAME
    EXTENSION
    SIZE_LF
    PAYLOAD
    PAYLOAD_CR
    PAYLOAD_LF

# Where in a chunked body the reader is.
cdef struct Chunks:
    int step
    uint64_t left           # payload bytes of the chunk at hand that are not consumed yet
    uint64_t total          # payload bytes announced so far
    uint32_t digits         # of the size at hand
    uint32_t line           # bytes of extensions in the line at hand
    uint32_t extensions     # ... in the message
    int quoted              # inside a quoted extension value: 1, behind its backslash: 2
    int reason
    const char* detail

cdef void begin_chunks(Chunks* chunks) noexcept
cdef int next_chunk(Chunks* chunks, Buf* input, long long max_body) noexcept
cdef void chunk_consumed(Chunks* chunks, uint64_t length) noexcept
