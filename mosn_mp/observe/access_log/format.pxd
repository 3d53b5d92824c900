from libc.stdint cimport int64_t, uint32_t, uint64_t
from mosn_mp.observe.access_log.record cimport Record
from mosn_mp.observe.access_log.text cimport Cursor, Stamp
from mosn_mp.observe.access_log.variables cimport CStep

cdef class LogFormat:
    cdef CStep* steps
    cdef int count
    cdef list texts             # keeps the bytes that CStep.text points into
    cdef list functions         # of the OP_PYTHON steps
    cdef Stamp stamp
    cdef readonly str text
    cdef readonly uint64_t failures     # exceptions of functions in plain Python
    cdef readonly bint cut              # the last line did not fit
    cdef int64_t reported_at            # when an exception was last logged

    # The line of *record* with its newline at *out*; its length, at most *room* (>= 1). Sets cut.
    cdef uint32_t write_line(self, Record record, char* out, uint32_t room) noexcept
    cdef void run_step(self, CStep* step, Record record, Cursor* cursor) noexcept
    cdef void call_function(self, int index, Record record, Cursor* cursor) noexcept
    cdef void report(self, object function, Record record) noexcept
