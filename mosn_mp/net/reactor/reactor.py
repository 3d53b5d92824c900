"""The reactor: one edge-triggered epoll set per worker, nested in gevent's loop, and the greenlets that serve.

gevent's hub watches one descriptor, our epoll set. Its callback drains the set in batches:

    1. mark    every event is noted on its Pollable first, so that a pooled connection whose close lies later in the same batch is
               already known to be dead when a request asks for it
    2. serve   a Pollable that a Task waits for wakes the Task's greenlet (by greenlet's C API); one that nobody waits for decides
               itself (accept, start serving, leave the pool)
    3. flush   what was written meanwhile leaves, one send a connection: sends at the end of the batch cost 0.88x of sends at once

A descriptor is registered once (IN | OUT | RDHUP | ET) and never re-armed. Whoever switches greenlets does it through wait();
code in a serving greenlet may also block in gevent (sleep, locks, sockets): what it wrote is then flushed by a loop callback.

One piece: a turn of the loop goes through all of it, and a C class lies in one module.
"""

from email.utils import formatdate

import cython
import greenlet as greenlet_module
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.errno import EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, errno
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, malloc, realloc
from cython.cimports.mosn_mp.buffer.heap import Allocator, allocate_apart, allocate_as_usual
from cython.cimports.mosn_mp.net.libc import (
    CLOCK_MONOTONIC,
    CLOCK_REALTIME,
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLLERR,
    EPOLLET,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    EPOLLRDHUP,
    clock_gettime,
    close,
    epoll_create1,
    epoll_ctl,
    epoll_event,
    epoll_wait,
    timespec,
)
from cython.cimports.mosn_mp.net.reactor.fragments import Fragments
from cython.cimports.mosn_mp.net.reactor.greenlets import (
    PyGreenlet,
    PyGreenlet_GetCurrent,
    PyGreenlet_Import,
    PyGreenlet_Switch,
)
from cython.cimports.mosn_mp.net.reactor.stock import Stock
from cython.cimports.mosn_mp.net.reactor.wheel import Timed, TimerWheel

PyGreenlet_Import()
NEW_GREENLET = cython.declare(object, greenlet_module.greenlet)

EVENTS = cython.declare(cython.int, 512)  # events drained in one epoll_wait
ROUNDS = cython.declare(cython.int, 8)  # batches in one callback: then gevent's timers and callbacks have their turn
IDLE_GREENLETS = cython.declare(cython.int, 512)  # serving greenlets kept for the next burst; about 2 KB each
TICK_S = 0.016
TRIM_TICKS = cython.declare(cython.int, 32)  # about half a second
NOWHERE = cython.declare(uint64_t[1])


class Task(Timed):
    """What a serving greenlet does; the unit that waits and is woken."""

    def on_timer(self) -> cython.int:
        self.expired = True
        if self.waiting:
            self.reactor.wake(self)
        return 0


class Pollable(Timed):
    """A registered descriptor."""

    def __cinit__(self, *args) -> None:
        self.fd = -1

    def on_ready(self) -> cython.int:
        """Something in `ready` changed and no task waits for it."""
        return 0

    def flush(self) -> cython.int:
        """Send what is pending (end of the batch)."""
        return 0

    def serve(self) -> cython.int:
        """Run in a serving greenlet after Reactor.spawn()."""
        return 0

    def on_failure(self) -> cython.int:
        """serve() raised: let go of everything."""
        return 0


class Reactor:
    """The event loop of one worker. One exists per process; made after fork."""

    def __cinit__(self, hub, arena, max_fds: cython.int, on_error) -> None:
        self.hub = hub
        self.hub_greenlet = cython.cast(cython.pointer(PyObject), hub)
        self.arena = arena
        self.stock = Stock(arena)
        self.fragments = Fragments()
        self.on_error = on_error
        self.wheel = TimerWheel()
        self.idle_greenlets = []
        self.again_list = []
        self.starved_list = []
        self.soon_list = []
        self.table_size = max_fds
        self.shortages = cython.address(NOWHERE[0])
        self.events = cython.cast(cython.pointer(epoll_event), malloc(EVENTS * cython.sizeof(epoll_event)))
        self.table = cython.cast(cython.pointer(cython.pointer(PyObject)), calloc(max_fds, cython.sizeof(cython.p_void)))
        self.generations = cython.cast(cython.pointer(uint32_t), calloc(max_fds, cython.sizeof(uint32_t)))
        self.dirty_capacity = 1024
        self.dirty = cython.cast(
            cython.pointer(cython.pointer(PyObject)), malloc(self.dirty_capacity * cython.sizeof(cython.p_void))
        )
        if not (self.events and self.table and self.generations and self.dirty):
            raise MemoryError()
        self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll_fd < 0:
            raise OSError(errno, "epoll_create1")
        self.read_clock()
        self.wheel.advance(self.now_ms)

    def __dealloc__(self) -> None:
        i: cython.int
        for i in range(self.table_size if self.table else 0):
            if self.table[i] != cython.NULL:
                Py_DECREF(cython.cast(object, self.table[i]))
        free(self.events)
        free(self.table)
        free(self.generations)
        free(self.dirty)
        if self.epoll_fd >= 0:
            close(self.epoll_fd)

    def start(self) -> None:
        """Begin to watch: events are served as soon as the hub's loop runs."""
        self.watcher = self.hub.loop.io(self.epoll_fd, 1)
        self.watcher.start(self.poll)
        self.ticker = self.hub.loop.timer(TICK_S, TICK_S)
        self.ticker.start(self.tick)
        self.tick()

    def stop(self) -> None:
        """Stop watching; registered descriptors stay open."""
        self.watcher.stop()
        self.watcher.close()
        self.ticker.stop()
        self.ticker.close()

    def idle_count(self) -> int:
        """Serving greenlets that wait for a connection."""
        return len(self.idle_greenlets)

    def flush_all(self) -> None:
        """Send what is pending, as far as the sockets take it (before the process ends)."""
        self._flush_dirty()

    def read_clock(self) -> uint64_t:
        """now_us and now_ms (CLOCK_MONOTONIC), read anew; returns now_us."""
        t: timespec
        clock_gettime(CLOCK_MONOTONIC, cython.address(t))
        self.now_us = cython.cast(uint64_t, t.tv_sec) * 1000000 + cython.cast(uint64_t, t.tv_nsec) // 1000
        self.now_ms = self.now_us // 1000
        return self.now_us

    def arm(self, timed: Timed, delay_ms: uint64_t) -> cython.void:
        """on_timer() of *timed* after *delay_ms* (0 = cancel)."""
        self.wheel.arm(timed, self.now_ms + delay_ms if delay_ms else 0)

    # -- descriptors ---------------------------------------------------------------------------------------------------------

    def register(self, pollable: Pollable) -> cython.int:
        """Watch pollable.fd until forget(); raises OSError when the kernel refuses or the fd is beyond the table."""
        event: epoll_event
        fd: cython.int = pollable.fd
        if fd > self.registered + self.others:
            self.others = fd - self.registered  # the kernel gives the lowest number that is free: all below are taken
        if fd >= self.table_size:
            raise OSError(EMFILE, "descriptor beyond the reactor's table")
        self.generations[fd] += 1
        event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
        event.data.u64 = cython.cast(uint64_t, self.generations[fd]) << 32 | cython.cast(uint64_t, fd)
        if epoll_ctl(self.epoll_fd, EPOLL_CTL_ADD, fd, cython.address(event)) < 0:
            self.is_shortage(errno)
            raise OSError(errno, "epoll_ctl")
        Py_INCREF(pollable)
        self.table[fd] = cython.cast(cython.pointer(PyObject), pollable)
        self.registered += 1
        if fd > self.highest:
            self.highest = fd
        return 0

    def forget(self, pollable: Pollable) -> cython.void:
        """Drop the registration; the caller closes the fd (which takes it out of the epoll set) right after."""
        fd: cython.int = pollable.fd
        if fd >= 0 and self.table[fd] == cython.cast(cython.pointer(PyObject), pollable):
            self.table[fd] = cython.NULL
            self.registered -= 1
            Py_DECREF(pollable)
            if self.wanted:
                self.gave_back(0)

    def unwatch(self, pollable: Pollable) -> cython.void:
        """forget() for a file that others have open too: closing our fd would leave it in the epoll set (epoll(7), Q6)."""
        if pollable.fd >= 0:
            epoll_ctl(self.epoll_fd, EPOLL_CTL_DEL, pollable.fd, cython.NULL)
            self.forget(pollable)

    def gave_back(self, count: cython.int) -> cython.void:
        """*count* descriptors that were not registered are closed, or one that was; who waits for it hears of it."""
        self.others -= count
        if self.wanted and not self.giving_back:
            self.giving_back = True
            self.hub.loop.run_callback(self.on_given_back)

    def is_shortage(self, error: cython.int) -> cython.bint:
        """Is this errno the kernel's want of descriptors or memory, which passes? Counts those that are."""
        if error == EMFILE or error == ENFILE or error == ENOBUFS or error == ENOMEM or error == ENOSPC:
            self.shortages[0] += 1
            return True
        return False

    def mark_dirty(self, pollable: Pollable) -> cython.void:
        """flush() *pollable* at the end of this batch; outside of a batch, as soon as the loop runs."""
        grown: cython.pointer(cython.pointer(PyObject))
        if pollable.dirty:
            return
        if self.dirty_count == self.dirty_capacity:
            grown = cython.cast(
                cython.pointer(cython.pointer(PyObject)),
                realloc(self.dirty, 2 * self.dirty_capacity * cython.sizeof(cython.p_void)),
            )
            if grown == cython.NULL:
                return
            self.dirty = grown
            self.dirty_capacity *= 2
        pollable.dirty = True
        Py_INCREF(pollable)
        self.dirty[self.dirty_count] = cython.cast(cython.pointer(PyObject), pollable)
        self.dirty_count += 1
        if not self.in_batch and not self.flush_scheduled:
            self.flush_scheduled = True
            self.hub.loop.run_callback(self.run_scheduled)

    # -- greenlets -----------------------------------------------------------------------------------------------------------

    def switch_to(self, greenlet: cython.pointer(PyObject)) -> cython.int:
        PyGreenlet_Switch(cython.cast(cython.pointer(PyGreenlet), greenlet), cython.NULL, cython.NULL)
        return 0

    def adopt(self, task: Task) -> cython.void:
        """*task* runs in the current greenlet, which outlives it."""
        task.greenlet = cython.cast(cython.pointer(PyObject), PyGreenlet_GetCurrent())
        Py_DECREF(cython.cast(object, task.greenlet))
        task.reactor = self
        task.expired = task.waiting = False

    def wait(
        self, task: Task, first: Pollable, first_interest: uint8_t, second: Pollable, second_interest: uint8_t
    ) -> cython.int:
        """Switch to the hub until one of both is ready for its interest, the task's deadline passes or wake() is called.

        *second* may be None. `task.expired` tells a deadline. Returns at once when one is ready already.
        """
        if first.ready & first_interest or (second is not None and second.ready & second_interest):
            return 0
        first.waiter = cython.cast(cython.pointer(PyObject), task)
        first.interest = first_interest
        if second is not None:
            second.waiter = cython.cast(cython.pointer(PyObject), task)
            second.interest = second_interest
        task.waiting = True
        self.switch_to(self.hub_greenlet)
        task.waiting = False
        first.waiter = cython.NULL
        if second is not None:
            second.waiter = cython.NULL
        return 0

    def sleep(self, task: Task) -> cython.int:
        """Switch to the hub until wake(*task*) or the task's deadline."""
        task.waiting = True
        self.switch_to(self.hub_greenlet)
        task.waiting = False
        return 0

    def wake_soon(self, task: Task) -> cython.int:
        """wake(*task*), if it still waits, in the next turn of the loop."""
        self.soon_list.append(task)
        if len(self.soon_list) == 1:
            self.hub.loop.run_callback(self.run_scheduled)
        return 0

    def wake(self, task: Task) -> cython.int:
        """Switch to the greenlet of a waiting *task*; comes back when it waits again or has ended. Only from the hub."""
        task.waiting = False
        return self.switch_to(task.greenlet)

    def spawn(self, job: Pollable) -> cython.int:
        """Run job.serve() in a serving greenlet, a pooled one if there is; returns when it first waits or has ended. Only from
        the hub: a greenlet that switched to another one would never be switched back to."""
        greenlet: object
        if self.idle_greenlets:
            greenlet = self.idle_greenlets.pop()
            if len(self.idle_greenlets) < self.idle_low:
                self.idle_low = len(self.idle_greenlets)
        else:
            greenlet = self._make_greenlet()
            self.greenlets += 1
        self.job = job
        return self.switch_to(cython.cast(cython.pointer(PyObject), greenlet))

    def _make_greenlet(self) -> object:
        """A serving greenlet that has not begun."""
        usual: Allocator
        allocate_apart(cython.address(usual))
        try:
            return NEW_GREENLET(self.run_greenlet, self.hub)
        finally:
            allocate_as_usual(cython.address(usual))

    def run_greenlet(self) -> None:
        """The body of a serving greenlet: job after job."""
        job: Pollable
        # While it waits for a socket nobody else refers to this greenlet: its own frame keeps it alive.
        me: object = cython.cast(object, cython.cast(cython.pointer(PyObject), PyGreenlet_GetCurrent()))
        Py_DECREF(me)
        while True:
            job = self.job
            self.job = None
            if job is None:
                self.greenlets -= 1
                return  # trim(): it was not needed
            try:
                job.serve()
            except BaseException as error:  # noqa: BLE001 - the greenlet wrapper: nothing that one stream raises may reach the hub
                self.on_error(job, error)
                job.on_failure()
            job = None
            if len(self.idle_greenlets) >= IDLE_GREENLETS:
                self.greenlets -= 1
                return
            self.idle_greenlets.append(me)
            self.switch_to(self.hub_greenlet)

    def serve_again(self, pollable: Pollable) -> cython.int:
        """Treat *pollable* as ready once more in the next batch: it used up its share of this one."""
        if not pollable.again:
            pollable.again = True
            self.again_list.append(pollable)
            if len(self.again_list) == 1:
                self.hub.loop.run_callback(self.run_scheduled)
        return 0

    def starve(self, pollable: Pollable) -> cython.int:
        """Treat *pollable* as ready once more at the next tick: the arena has no block for it now, or the kernel no memory."""
        pollable.starved = True
        if not pollable.again:
            pollable.again = True
            self.starved_list.append(pollable)
        return 0

    # -- the loop ------------------------------------------------------------------------------------------------------------

    def poll(self) -> None:
        """gevent's callback: our epoll set has events."""
        count: cython.int
        rounds: cython.int
        self._begin()
        for rounds in range(ROUNDS):
            count = epoll_wait(self.epoll_fd, self.events, EVENTS, 0)
            if count <= 0:
                break
            self.read_clock()
            self.batches += 1
            self.events_seen += count
            self._dispatch(count)
            self._flush_dirty()
        self._end()

    def tick(self) -> None:
        """gevent's timer: advance the wheel, follow the wall clock."""
        wall: timespec
        self._begin()
        clock_gettime(CLOCK_REALTIME, cython.address(wall))
        self.wall_offset_us = (
            cython.cast(uint64_t, wall.tv_sec) * 1000000 + cython.cast(uint64_t, wall.tv_nsec) // 1000 - self.now_us
        )
        if cython.cast(uint64_t, wall.tv_sec) != self.date_at_s:
            self.date_at_s = wall.tv_sec
            self.date = formatdate(wall.tv_sec, usegmt=True).encode()
        self.wheel.advance(self.now_ms)
        self.ticks += 1
        if self.ticks % TRIM_TICKS == 0:
            self._trim()
        if self.starved_list:
            for item in self.starved_list:
                self._reopen(cython.cast(Pollable, item))
            self.again_list.extend(self.starved_list)
            self.starved_list.clear()
            self._run_again()
        self._end()

    def _trim(self) -> cython.int:
        """End the serving greenlets that were idle all the time since the last trim: memory follows the load down."""
        surplus: cython.int = self.idle_low
        while surplus > 0 and self.idle_greenlets:
            surplus -= 1
            greenlet: object = self.idle_greenlets.pop(0)
            self.switch_to(cython.cast(cython.pointer(PyObject), greenlet))
        self.idle_low = len(self.idle_greenlets)
        return 0

    def run_scheduled(self) -> None:
        """A loop callback: flush what was written outside of a batch, serve again who asked for it."""
        self.flush_scheduled = False
        self._begin()
        self._run_again()
        self._end()

    def _begin(self) -> cython.int:
        self.in_batch = True
        self.read_clock()
        return 0

    def _end(self) -> cython.int:
        self._flush_dirty()
        self.in_batch = False
        return 0

    def _dispatch(self, count: cython.int) -> cython.int:
        i: cython.int
        fd: cython.int
        bits: uint32_t
        found: cython.pointer(PyObject)
        pollable: Pollable
        for i in range(count):
            fd = cython.cast(cython.int, cython.cast(uint32_t, self.events[i].data.u64))
            found = self.table[fd]
            if found == cython.NULL or self.generations[fd] != self.events[i].data.u64 >> 32:
                continue
            pollable = cython.cast(Pollable, found)
            bits = self.events[i].events
            if bits & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR):
                pollable.ready |= READ
            if bits & EPOLLOUT and not pollable.ready & WRITE:
                self._reopen(pollable)
            if bits & EPOLLRDHUP:
                pollable.ready |= FIN
            if bits & (EPOLLHUP | EPOLLERR):
                pollable.ready |= READ | WRITE | HANGUP | FIN
        for i in range(count):
            fd = cython.cast(cython.int, cython.cast(uint32_t, self.events[i].data.u64))
            found = self.table[fd]
            if found == cython.NULL or self.generations[fd] != self.events[i].data.u64 >> 32:
                continue
            pollable = cython.cast(Pollable, found)
            if pollable.waiter == cython.NULL:
                pollable.on_ready()
            elif pollable.ready & pollable.interest:
                self.wake(cython.cast(Task, pollable.waiter))
            else:
                pollable.flush()  # the end of an earlier answer may be stuck while its client's next request waits for a host
        return 0

    def _reopen(self, pollable: Pollable) -> cython.void:
        """*pollable* may write again: what it could not send leaves with this batch, whatever its stream waits for."""
        pollable.ready |= WRITE
        self.mark_dirty(pollable)

    def _run_again(self) -> cython.int:
        pollable: Pollable
        todo: list
        if self.soon_list:
            todo = self.soon_list
            self.soon_list = []
            for item in todo:
                if cython.cast(Task, item).waiting:
                    self.wake(cython.cast(Task, item))
        todo = self.again_list
        self.again_list = []
        for item in todo:
            pollable = cython.cast(Pollable, item)
            pollable.again = False
            pollable.starved = False
            if pollable.fd < 0:
                continue
            if pollable.waiter != cython.NULL:
                self.wake(cython.cast(Task, pollable.waiter))
            else:
                pollable.on_ready()
        return 0

    def _flush_dirty(self) -> cython.int:
        i: cython.int = 0
        pollable: Pollable
        # flush() never switches greenlets, but may mark others dirty
        while i < self.dirty_count:
            pollable = cython.cast(Pollable, self.dirty[i])
            pollable.dirty = False
            if pollable.fd >= 0:
                pollable.flush()
            Py_DECREF(pollable)
            i += 1
        self.dirty_count = 0
        return 0
