from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.net.connection.connection cimport Connection

cdef enum:
    # What of an unfinished message leaves its block as soon as it waits: it is read anew with each piece that comes.
    KEPT_BYTES = 4096
    # ... and at most, when blocks are short: behind it there is room for a read in any block.
    MOST_KEPT_BYTES = 14336

cdef bint keep(Connection connection, uint64_t began_us, uint32_t most) noexcept
