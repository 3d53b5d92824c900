from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from mosn_mp.buffer.arena cimport Arena
from mosn_mp.net.libc cimport epoll_event
from mosn_mp.net.reactor.fragments cimport Fragments
from mosn_mp.net.reactor.stock cimport Stock
from mosn_mp.net.reactor.wheel cimport Timed, TimerWheel

# What a socket is ready for, and what a task waits for.
cdef enum:
    READ = 1
    WRITE = 2
    HANGUP = 4          # reset, or both halves closed
    FIN = 8             # the far side sends no more: a short read is not the end

cdef class Reactor

cdef class Task(Timed):
    cdef Reactor reactor
    cdef PyObject* greenlet   # the serving greenlet; borrowed: it lives as long as it serves
    cdef bint waiting
    cdef bint expired           # woken by the deadline

    cdef int on_timer(self) except -1

# Flags are bytes: a parked connection is counted in bytes.
cdef class Pollable(Timed):
    cdef int fd
    cdef uint8_t ready          # READ | WRITE | HANGUP | FIN as epoll last told; EAGAIN or a short read clear the first two
    cdef uint8_t interest
    cdef uint8_t dirty
    cdef uint8_t again             # is in the reactor's list of those to serve again
    cdef uint8_t starved           # found the arena empty; tried again at the next tick
    cdef PyObject* waiter       # the Task that waits for *interest*; borrowed

    cdef int on_ready(self) except -1
    cdef int flush(self) except -1
    cdef int serve(self) except -1
    cdef int on_failure(self) except -1

cdef class Reactor:
    cdef int epoll_fd
    cdef epoll_event* events
    cdef PyObject** table       # fd -> the Pollable registered for it (one reference), or NULL
    cdef uint32_t* generations  # fd -> bumped at each registration: a late event of a closed fd is told apart
    cdef readonly int table_size
    cdef readonly int registered
    cdef readonly int others    # descriptors of this process that are open and not registered, as far as is known (descriptors.py)
    cdef int highest            # no registered descriptor is above it
    cdef uint64_t* shortages    # counts system calls that failed for want of descriptors or kernel memory
    cdef bint wanted            # somebody waits for a descriptor to be given back
    cdef object on_given_back   # called in the next turn of the loop after one was, while it is wanted
    cdef bint giving_back       # that call is on its way
    cdef uint64_t backlogs      # bytes of heap in which answers wait for clients that read too slowly
    cdef object hub
    cdef PyObject* hub_greenlet
    cdef list idle_greenlets
    cdef int idle_low           # the fewest idle ones since the last trim
    cdef uint32_t ticks
    cdef Pollable job           # handed to the serving greenlet that is switched to
    cdef PyObject** dirty       # Pollables to flush at the end of the batch (one reference each)
    cdef int dirty_count
    cdef int dirty_capacity
    cdef list again_list
    cdef list starved_list
    cdef list soon_list         # Tasks to wake in the next turn of the loop
    cdef bint in_batch
    cdef bint flush_scheduled
    cdef object watcher
    cdef object ticker
    cdef object on_error        # called with (pollable, exception) for what a serving greenlet did not catch
    cdef TimerWheel wheel
    cdef Arena arena
    cdef Stock stock            # where connections take their blocks
    cdef readonly Fragments fragments   # where they leave the beginnings of messages
    cdef public uint64_t now_us
    cdef public uint64_t now_ms
    cdef public uint64_t wall_offset_us
    cdef uint64_t date_at_s     # the second that date is of
    cdef bytes date             # the time as HTTP writes it (RFC 9110 section 5.6.7)
    cdef public uint64_t batches
    cdef public uint64_t events_seen
    cdef public int greenlets
    cdef uint64_t last_id       # of a connection

    cdef int register(self, Pollable pollable) except -1
    cdef void forget(self, Pollable pollable) noexcept
    cdef void unwatch(self, Pollable pollable) noexcept
    cdef void gave_back(self, int count) noexcept
    cdef bint is_shortage(self, int error) noexcept
    cdef void mark_dirty(self, Pollable pollable) noexcept
    cdef int wait(self, Task task, Pollable first, uint8_t first_interest, Pollable second, uint8_t second_interest) except -1
    cdef int sleep(self, Task task) except -1
    cdef int wake_soon(self, Task task) except -1
    cdef int wake(self, Task task) except -1
    cdef int spawn(self, Pollable job) except -1
    cdef object _make_greenlet(self)
    cdef int serve_again(self, Pollable pollable) except -1
    cdef int starve(self, Pollable pollable) except -1
    cdef void arm(self, Timed timed, uint64_t delay_ms) noexcept
    cdef uint64_t read_clock(self) noexcept
    cdef int switch_to(self, PyObject* greenlet) except -1
    cdef void adopt(self, Task task) noexcept
    cdef int _flush_dirty(self) except -1
    cdef int _dispatch(self, int count) except -1
    cdef void _reopen(self, Pollable pollable) noexcept
    cdef int _run_again(self) except -1
    cdef int _trim(self) except -1
    cdef int _begin(self) except -1
    cdef int _end(self) except -1
