from libc.stdint cimport int64_t, uint64_t
from mosn_mp.observe.access_log.record cimport Record
from mosn_mp.observe.access_log.text cimport Cursor

cdef bint speaks(Record record, int protocol) noexcept
cdef int64_t moment_us(Record record, int which) noexcept
cdef uint64_t number_of(Record record, int which) noexcept
cdef bytes name_of(Record record, int which)
cdef void put_flags(Cursor* cursor, Record record) noexcept
cdef void put_address(Cursor* cursor, Record record, int which) noexcept
