from mosn_mp.observe.access_log.format cimport LogFormat
from mosn_mp.observe.access_log.record cimport Record
from mosn_mp.observe.access_log.writer cimport LogWriter

cdef class AccessLog:
    cdef readonly LogFormat format
    cdef readonly LogWriter writer

    # Log *record*. Never blocks and never fails: a line that finds no room is dropped and counted.
    cdef void write(self, Record record) noexcept
