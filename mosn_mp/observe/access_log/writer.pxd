from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.observe.access_log.format cimport LogFormat
from mosn_mp.observe.access_log.record cimport Record
from mosn_mp.observe.access_log.shares cimport Shares

cdef enum:
    MAX_LINE = 16384    # a longer line is cut: header values may be 60 KiB of the client's choice
    PIPE_PIECE = 4096   # PIPE_BUF on Linux
    RETRY_MS = 1000     # pause after a failed write, hence also the least time between two reports of it
    FILE_MODE = 0o640

# LogWriter.asleep
cdef enum:
    SLEEP_NOT = 0
    SLEEP_IDLE = 1      # the ring is empty: any line wakes
    SLEEP_TIMED = 2     # lines wait for company: a half-full ring wakes

# One log file of this process: a ring of whole lines and the thread that writes them.
cdef class LogWriter:
    cdef char* ring
    cdef uint32_t capacity
    # Shared by two threads: head and wrap are stored by the one that makes lines, tail by the one that writes them.
    cdef uint32_t head          # behind the newest line
    cdef uint32_t tail          # the oldest byte not written yet
    cdef uint32_t wrap          # while head < tail: where the lines at the ring's end stop
    cdef uint32_t asleep        # SLEEP_
    cdef Shares shares          # of the ring's second half
    # Wishes of the main thread
    cdef uint32_t stop_asked
    cdef uint32_t reopen_asked
    cdef int flush_interval_ms
    cdef int fd
    cdef int wake_fd
    cdef bint is_file           # a regular file of ours: it can be opened again
    cdef bint whole             # a write of any length is not mixed with those of other processes
    cdef readonly str path
    cdef bytes path_bytes
    cdef const char* c_path
    cdef object thread
    cdef object __weakref__
    cdef public int users       # access logs that write here
    cdef public bint enabled
    cdef readonly uint64_t lines            # taken into the ring
    cdef readonly uint64_t full             # dropped: the ring was full
    cdef readonly uint64_t lost             # dropped: the file could not be written before the end
    cdef readonly uint64_t write_errors     # failed write(2) calls
    cdef readonly uint64_t reopened
    cdef readonly uint64_t reopen_errors

    cdef void append(self, LogFormat format, Record record) noexcept
    cdef void append_text(self, bytes line) noexcept
    cdef bint is_fair(self, Record record, uint32_t length) noexcept
    cdef char* place_at_head(self, uint32_t* room) noexcept
    cdef char* place_at_start(self, uint32_t* room) noexcept
    cdef void commit(self, char* place, uint32_t length) noexcept
    cdef void wake(self) noexcept nogil
    cdef uint32_t used(self) noexcept nogil
    cdef int serve(self) noexcept nogil
    cdef void doze(self, uint32_t kind, int timeout_ms) noexcept nogil
    cdef void wait_wake(self, int timeout_ms) noexcept nogil
    cdef int drain(self) noexcept nogil
    cdef uint32_t piece(self, uint32_t at, uint32_t length) noexcept nogil
    cdef int reopen_now(self) noexcept nogil
    cdef void give_up(self) noexcept nogil
