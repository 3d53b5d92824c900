"""One log file of a process: lines go into a ring at the speed of memory, a thread of its own writes them to the file.

    ring | line | line | line |        free        | line | line | gap |
                             ^head                 ^tail              ^wrap        lines never straddle the ring's end

The main thread formats straight into the ring and stores head; the writing thread stores tail: one writer each, no lock. The
writing thread never needs the interpreter lock but to report an error, so a slow disk or a reader who stopped stalls nobody: the
ring fills, and further lines are dropped and counted, those of a client that floods it before those of others (Shares). It sleeps
until the first line comes, then until the flush interval is over or the ring is half full. A file is opened with O_APPEND and a
write(2) holds whole lines, so the workers of one proxy share a file without mixing lines: Linux holds the inode lock through a
write to a regular file, and a write to a pipe is atomic up to PIPE_BUF (pipe(7)), which is why pipes get smaller pieces.

One piece: both ends of the ring are right only together.
"""

import logging
import os
import signal
import threading

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.errno import EAGAIN, EINTR, EMFILE, ENFILE, ENOMEM, errno
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.libc.string import memchr, memcpy
from cython.cimports.mosn_mp.observe.access_log.format import LogFormat
from cython.cimports.mosn_mp.observe.access_log.posix import (
    EFD_CLOEXEC,
    EFD_NONBLOCK,
    O_APPEND,
    O_CLOEXEC,
    O_CREAT,
    O_WRONLY,
    POLLIN,
    POLLOUT,
    close,
    eventfd,
    full_fence,
    is_regular,
    load_acquire,
    poll,
    pollfd,
    raise_flag,
    read,
    store_release,
    take_flag,
    write,
)
from cython.cimports.mosn_mp.observe.access_log.posix import open as open_file
from cython.cimports.mosn_mp.observe.access_log.record import Record
from cython.cimports.mosn_mp.observe.access_log.shares import Shares

LOG = logging.getLogger("mosn_mp.access_log")

RING_BYTES = 131072  # half of it is 300 default lines a write(2), and the whole still lies in the second-level cache
MIN_RING_BYTES = 1024
FLUSH_INTERVAL_MS = 1000

STREAMS = {"stdout": 1, "/dev/stdout": 1, "stderr": 2, "/dev/stderr": 2}  # MOSN's names


class LogWriter:
    """`LogWriter(path)`: the file is open (OSError otherwise) and its thread runs; create it after fork."""

    def __cinit__(
        self, path: str, ring_bytes: cython.uint = RING_BYTES, flush_interval_ms: cython.int = FLUSH_INTERVAL_MS
    ) -> None:
        self.fd = self.wake_fd = -1
        if ring_bytes < MIN_RING_BYTES:
            raise ValueError(f"a log's ring has at least {MIN_RING_BYTES} bytes, not {ring_bytes}")
        self.path = path
        self.path_bytes = os.fsencode(path)
        self.c_path = PyBytes_AS_STRING(self.path_bytes)
        self.enabled = True
        self.flush_interval_ms = flush_interval_ms
        self.shares = Shares()
        self.capacity = ring_bytes
        if path in STREAMS:
            self.fd = STREAMS[path]
            os.fstat(self.fd)
        else:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            self.fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            self.is_file = True
        self.whole = is_regular(self.fd)
        self.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.wake_fd < 0:
            raise OSError(errno, os.strerror(errno))
        self.ring = cython.cast(cython.p_char, malloc(ring_bytes))
        if self.ring == cython.NULL:
            raise MemoryError
        self.thread = threading.Thread(target=self._run, name="log " + path, daemon=True)
        self.thread.start()

    def __dealloc__(self) -> None:
        # The running thread holds a reference: here it has ended, or never began.
        if self.is_file and self.fd >= 0:
            close(self.fd)
        if self.wake_fd >= 0:
            close(self.wake_fd)
        free(self.ring)

    @property
    def dropped(self) -> int:
        """Lines that did not reach the file."""
        return self.full + self.lost

    @property
    def is_closing(self) -> bool:
        """stop() was called: the writer takes no new users."""
        return self.stop_asked != 0

    def reopen(self) -> None:
        """Ask the thread to write what it has and go on in a file newly opened under the same path (SIGUSR1)."""
        raise_flag(cython.address(self.reopen_asked), 1)
        self.wake()

    def stop(self) -> None:
        """Ask the thread to write what it has, close the file and end."""
        raise_flag(cython.address(self.stop_asked), 1)
        self.wake()

    def wait_stopped(self, timeout_s: float) -> bool:
        """Whether the thread ended within *timeout_s* after stop()."""
        self.thread.join(timeout_s)
        return not self.thread.is_alive()

    def write_text(self, line: bytes) -> None:
        """Append *line* (with its newline) from plain Python."""
        self.append_text(line)

    # --- the main thread's side -------------------------------------------------------------------------------------------

    def append(self, format: LogFormat, record: Record) -> cython.void:
        """The line of *record*, or a dropped line when the ring is full or its client has had its share of it."""
        room: uint32_t = 0
        length: uint32_t
        place: cython.p_char = self.place_at_head(cython.address(room))
        if place != cython.NULL:
            length = format.write_line(record, place, room)
            if not format.cut or room == MAX_LINE:
                if self.is_fair(record, length):
                    self.commit(place, length)
                else:
                    self.full += 1
                return
        place = self.place_at_start(cython.address(room))
        if place != cython.NULL:
            length = format.write_line(record, place, room)
            if (not format.cut or room == MAX_LINE) and self.is_fair(record, length):
                self.commit(place, length)
                return
        self.full += 1

    def is_fair(self, record: Record, length: uint32_t) -> cython.bint:
        """Whether the client of *record* may have *length* bytes more of the ring."""
        used: uint32_t = self.used()
        if used < self.capacity // 2:
            if self.shares.is_used:
                self.shares.begin()
            return True
        return self.shares.take(cython.address(record.downstream_remote), length, self.capacity - used)

    def append_text(self, line: bytes) -> cython.void:
        """A finished line."""
        length: uint32_t = cython.cast(uint32_t, PyBytes_GET_SIZE(line))
        room: uint32_t = 0
        place: cython.p_char = self.place_at_head(cython.address(room))
        if place == cython.NULL or room < length:
            place = self.place_at_start(cython.address(room))
        if place == cython.NULL or room < length:
            self.full += 1
            return
        memcpy(place, PyBytes_AS_STRING(line), length)
        self.commit(place, length)

    def place_at_head(self, room: cython.pointer(uint32_t)) -> cython.p_char:
        """Where the next line goes if it fits into *room* bytes (at most MAX_LINE); NULL = nowhere."""
        tail: uint32_t = load_acquire(cython.address(self.tail))
        free_bytes: uint32_t
        if self.head >= tail:
            free_bytes = self.capacity - self.head
        else:
            free_bytes = tail - self.head - 1  # head == tail means empty: one byte stays free
        room[0] = free_bytes if free_bytes < MAX_LINE else MAX_LINE
        return self.ring + self.head if free_bytes else cython.NULL

    def place_at_start(self, room: cython.pointer(uint32_t)) -> cython.p_char:
        """The ring's start, when the place at its end was too small; NULL = lines that are not written yet lie there."""
        tail: uint32_t = load_acquire(cython.address(self.tail))
        if self.head < tail or tail < 2:
            return cython.NULL
        room[0] = tail - 1 if tail - 1 < MAX_LINE else MAX_LINE
        return self.ring

    def commit(self, place: cython.p_char, length: uint32_t) -> cython.void:
        """The line at *place* is there; wake the thread if it waits for it."""
        asleep: uint32_t
        if place == self.ring and self.head:
            self.wrap = self.head
            store_release(cython.address(self.head), length)
        else:
            store_release(cython.address(self.head), self.head + length)
        self.lines += 1
        # Dekker: the thread stores asleep and then looks at head; we store head and then look at asleep.
        full_fence()
        asleep = self.asleep
        wanted: cython.bint = asleep == SLEEP_IDLE or (asleep == SLEEP_TIMED and self.used() >= self.capacity // 2)
        if wanted and take_flag(cython.address(self.asleep)):
            self.wake()

    def wake(self) -> cython.void:
        """The thread looks around."""
        one: uint64_t = 1
        write(self.wake_fd, cython.address(one), 8)

    def used(self) -> uint32_t:
        """Bytes between tail and head, the gap at the ring's end included."""
        head: uint32_t = load_acquire(cython.address(self.head))
        tail: uint32_t = load_acquire(cython.address(self.tail))
        return head - tail if head >= tail else self.capacity - tail + head

    # --- the writing thread's side ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        """The thread: serve without the interpreter lock; come back to report a failure, at most once in RETRY_MS."""
        problem: cython.int
        # Python handles signals in the main thread, which a signal caught here would not wake.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            with cython.nogil:
                problem = self.serve()
            if problem < 0:
                break
            LOG.error(
                "access log %s: %s (%d failed writes, %d lines dropped)",
                self.path,
                os.strerror(problem),
                self.write_errors,
                self.dropped,
            )

    def serve(self) -> cython.int:
        """Write until stopped (-1) or until something failed: its errno."""
        problem: cython.int
        while True:
            if take_flag(cython.address(self.reopen_asked)):
                problem = self.reopen_now()
                if problem:
                    if (problem == EMFILE or problem == ENFILE or problem == ENOMEM) and not load_acquire(
                        cython.address(self.stop_asked)
                    ):
                        raise_flag(cython.address(self.reopen_asked), 1)
                        self.wait_wake(RETRY_MS)
                    return problem
            if self.used() == 0:
                if load_acquire(cython.address(self.stop_asked)):
                    return -1
                self.doze(SLEEP_IDLE, -1)
                continue
            if not load_acquire(cython.address(self.stop_asked)):
                self.doze(SLEEP_TIMED, self.flush_interval_ms)
            problem = self.drain()
            if problem:
                self.write_errors += 1
                if load_acquire(cython.address(self.stop_asked)):
                    self.give_up()
                    return -1
                self.wait_wake(RETRY_MS)
                return problem

    def doze(self, kind: uint32_t, timeout_ms: cython.int) -> cython.void:
        """Sleep until a line, a wish or the time wakes us."""
        used: uint32_t
        raise_flag(cython.address(self.asleep), kind)
        full_fence()
        used = self.used()
        if not (
            load_acquire(cython.address(self.stop_asked))
            or load_acquire(cython.address(self.reopen_asked))
            or used >= self.capacity // 2
            or (used and kind == SLEEP_IDLE)
        ):
            self.wait_wake(timeout_ms)
        take_flag(cython.address(self.asleep))

    def wait_wake(self, timeout_ms: cython.int) -> cython.void:
        """Wait for wake(), at most *timeout_ms* (-1 = for ever)."""
        waited: pollfd
        count: uint64_t
        waited.fd = self.wake_fd
        waited.events = POLLIN
        poll(cython.address(waited), 1, timeout_ms)
        read(self.wake_fd, cython.address(count), 8)

    def drain(self) -> cython.int:
        """Write everything; 0, or the errno of the write that failed. Bytes stay in the ring until they are written."""
        at: uint32_t
        head: uint32_t
        wrote: cython.Py_ssize_t
        waited: pollfd
        while True:
            head = load_acquire(cython.address(self.head))
            at = self.tail
            if at == head:
                return 0
            if at > head:
                if at == self.wrap:
                    store_release(cython.address(self.tail), 0)
                    continue
                head = self.wrap
            wrote = write(self.fd, self.ring + at, self.piece(at, head - at))
            if wrote >= 0:
                store_release(cython.address(self.tail), at + cython.cast(uint32_t, wrote))
            elif errno == EAGAIN:
                # stdout may have been made non-blocking by whoever shares it
                waited.fd = self.fd
                waited.events = POLLOUT
                if poll(cython.address(waited), 1, RETRY_MS) == 0:
                    return EAGAIN
            elif errno != EINTR:
                return errno

    def piece(self, at: uint32_t, length: uint32_t) -> uint32_t:
        """How many of the *length* bytes at *at* go into one write: all, or for a pipe the whole lines within PIPE_PIECE."""
        begin: cython.p_char = self.ring + at
        size: uint32_t = PIPE_PIECE
        newline: cython.p_char
        if self.whole or length <= PIPE_PIECE:
            return length
        while size and begin[size - 1] != 10:
            size -= 1
        if size == 0:  # one line longer than a pipe takes at once
            newline = cython.cast(cython.p_char, memchr(begin, 10, length))
            return cython.cast(uint32_t, newline - begin) + 1 if newline != cython.NULL else length
        return size

    def reopen_now(self) -> cython.int:
        """Go on in a newly opened file; when it cannot be opened, in the old one. 0 or the errno."""
        fresh: cython.int
        if not self.is_file:
            return 0
        self.drain()
        fresh = open_file(self.c_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, FILE_MODE)
        if fresh < 0:
            self.reopen_errors += 1
            return errno
        close(self.fd)
        self.fd = fresh
        self.whole = is_regular(fresh)
        self.reopened += 1
        return 0

    def give_up(self) -> cython.void:
        """Count the lines that are still in the ring as lost."""
        head: uint32_t = load_acquire(cython.address(self.head))
        at: uint32_t = self.tail
        while at != head:
            if at > head and at == self.wrap:
                at = 0
                continue
            self.lost += self.ring[at] == 10
            at += 1
        store_release(cython.address(self.tail), head)
