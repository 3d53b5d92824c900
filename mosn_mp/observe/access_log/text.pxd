# Text written into a bounded C buffer: what a log line is made of. A put_ function never writes past cursor.end; what does not
# fit is left out and cursor.cut is set.
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef struct Cursor:
    char* at        # the next byte goes here
    char* end       # one past the last byte that may be written
    bint cut        # something did not fit

# "2006/01/02 15:04:05": the second it was made for and its 19 characters
cdef enum:
    STAMP_TEXT = 19

cdef struct Stamp:
    int64_t second
    char text[20]

cdef void put_text(Cursor* cursor, const char* text, size_t length) noexcept nogil
cdef void put_byte(Cursor* cursor, char byte) noexcept nogil
cdef void put_number(Cursor* cursor, uint64_t value) noexcept nogil
cdef void put_hex(Cursor* cursor, uint32_t value) noexcept nogil
cdef void put_duration(Cursor* cursor, int64_t duration_us) noexcept nogil
cdef void put_time(Cursor* cursor, int64_t wall_us, Stamp* stamp) noexcept nogil
cdef void put_escaped(Cursor* cursor, const char* text, size_t length) noexcept nogil
cdef void put_name(Cursor* cursor, bytes name) noexcept
cdef void put_slice(Cursor* cursor, char* text, size_t length) noexcept

# For tests and for callers in Python.
cpdef bytes duration_text(int64_t duration_us)
cpdef bytes time_text(int64_t wall_us)
cpdef bytes escaped_text(bytes text, uint32_t room=*)
