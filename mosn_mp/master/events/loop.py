"""The master's event loop: descriptors, deadlines and signals on one epoll set, in plain Python without gevent.

Signals come through signal.set_wakeup_fd: the handlers do nothing, the C level writes the number into a socket pair that wakes
the loop, and the loop calls back between two events (as gunicorn's arbiter, without its once-a-second poll).
"""

import heapq
import itertools
import logging
import select
import signal
import socket
import time
from collections.abc import Callable, Collection
from types import FrameType

READABLE = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR
WRITABLE = select.EPOLLOUT


class Timer:
    """A deadline that can be cancelled."""

    __slots__ = ("_action",)

    def __init__(self, action: Callable[[], None]) -> None:
        self._action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Never call the action; harmless after it was called."""
        self._action = None

    def fire(self) -> None:
        """Call the action unless cancelled; at most once."""
        action, self._action = self._action, None
        if action is not None:
            action()


class Loop:
    """Runs callbacks, one after the other, until stop()."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()  # timers of one instant fire as they were set
        self._stopped = False
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        self._on_signal: Callable[[int], None] | None = None
        self.on_failure: Callable[[], None] | None = None  # after a callback raised
        self.watch(self._wake_receiver.fileno(), self._take_signals)

    def catch_signals(self, numbers: Collection[int], on_signal: Callable[[int], None]) -> None:
        """From now on *numbers*, blocked ones too, interrupt nothing and are handed to *on_signal* by the loop."""
        self._on_signal = on_signal
        # A full pipe means that the loop is about to read it: nothing to warn about.
        signal.set_wakeup_fd(self._wake_sender.fileno(), warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, _ignore)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)

    def watch(self, fd: int, on_ready: Callable[[int], None], events: int = READABLE) -> None:
        """Call *on_ready* with the epoll events whenever *fd* has any of *events*."""
        self._epoll.register(fd, events)
        self._callbacks[fd] = on_ready

    def rewatch(self, fd: int, events: int) -> None:
        """Change the events that a watched *fd* is waited for."""
        self._epoll.modify(fd, events)

    def unwatch(self, fd: int) -> None:
        """Call back for *fd* no more; to be called before it is closed."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Timer:
        """Call *action* once after *delay_s* (0: in the next turn), unless the Timer is cancelled."""
        timer = Timer(action)
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._order), timer))
        return timer

    def run(self) -> None:
        """Call back until stop(). An exception of a callback is logged with its traceback and the loop goes on."""
        self._stopped = False
        while not self._stopped:
            for fd, events in self._epoll.poll(self._wait_s()):
                callback = self._callbacks.get(fd)  # a callback before this one may have unwatched it
                if callback is not None:
                    self._guard(callback, events)
            self._fire_timers()

    def stop(self) -> None:
        """Let run() return after the current turn."""
        self._stopped = True

    def close(self) -> None:
        """Give the signals back to Python and close what the loop owns."""
        signal.set_wakeup_fd(-1)
        self._epoll.close()
        self._wake_receiver.close()
        self._wake_sender.close()

    def _wait_s(self) -> float:
        if not self._timers:
            return -1
        return max(0.0, self._timers[0][0] - time.monotonic())

    def _fire_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            self._guard(lambda _: timer.fire(), 0)  # noqa: B023 - called before the next turn of the loop

    def _take_signals(self, _: int) -> None:
        try:
            numbers = self._wake_receiver.recv(4096)
        except BlockingIOError:
            return
        for number in dict.fromkeys(numbers):  # ten SIGCHLD are one
            if self._on_signal is not None:
                self._on_signal(number)

    def _guard(self, callback: Callable[[int], None], events: int) -> None:
        try:
            callback(events)
        except Exception:  # noqa: BLE001 - the master's main loop: a bug in one callback must not take the service down
            self._log.exception("master: a callback failed")
            if self.on_failure is not None:
                self.on_failure()


def _ignore(_: int, __: FrameType | None) -> None:
    """The Python half of a signal handler: set_wakeup_fd has already told the loop."""
