from libc.stdint cimport uint64_t
from mosn_mp.buffer.head cimport Head
from mosn_mp.observe.access_log.text cimport Cursor
from mosn_mp.observe.access_log.variables cimport CStep

cdef uint64_t head_length(Head head) noexcept
cdef void put_part(Cursor* cursor, Head head, int which) noexcept
cdef void put_field(Cursor* cursor, Head head, CStep* step) noexcept
cdef void put_cookie(Cursor* cursor, Head head, CStep* step) noexcept
cdef void put_query_arg(Cursor* cursor, Head head, CStep* step) noexcept
