"""A channel on the master's loop: deliveries are called back, what the kernel does not take at once is sent when it does."""

import logging
import os
import time
from collections.abc import Callable

from mosn_mp.ipc.channel import (
    SHORT_S,
    BadFrameError,
    Channel,
    ChannelClosedError,
    ChannelShortError,
    ChannelStuckError,
    Delivery,
)
from mosn_mp.ipc.frames import Frame
from mosn_mp.master.events.loop import READABLE, WRITABLE, Loop

# A child that floods gets its turns and no more: signals, deadlines and the other channels come between.
FRAMES_PER_TURN = 64
# A worker says something once a second, the controller as often as somebody uses the admin API.
MAX_FRAMES_PER_S = 1000
MAX_LAST_FRAMES = 1024  # of one that is dead: more than a socket holds

log = logging.getLogger("mosn_mp.master")

Send = Callable[[Frame, tuple[int, ...]], None]  # a frame and its descriptors, to some other process


class EventChannel:
    """The channel to one other process, named *who* in messages.

    *on_fault* is called when it does not read, floods, or sends what is no frame, or none of its own (*on_delivery* raises
    BadFrameError); *on_end* (if any) when it hung up. Descriptors that *on_delivery* does not take are closed.
    """

    def __init__(
        self,
        loop: Loop,
        channel: Channel,
        who: str,
        on_delivery: Callable[[Delivery], None],
        on_fault: Callable[[], None],
        on_end: Callable[[], None] | None = None,
        max_fds: int = 0,
    ) -> None:
        """*max_fds* may come with one frame."""
        channel.max_fds = max_fds
        self._loop = loop
        self._channel = channel
        self._who = who
        self._on_delivery = on_delivery
        self._on_fault = on_fault
        self._on_end = on_end
        self._is_open = True
        self._second, self._frames = 0, 0  # received within that second
        loop.watch(channel.fileno(), self._talk)

    def send(self, frame: Frame, fds: tuple[int, ...] = ()) -> None:
        """Send *frame* with *fds*; into the void if the other end is gone (SIGCHLD or end-of-file tells that story)."""
        if not self._is_open:
            return
        try:
            self._channel.send(frame, fds)
        except ChannelClosedError:
            return
        except ChannelStuckError as e:
            self._fault(str(e))
            return
        except ChannelShortError as e:
            log.error("%s: a %s frame was not sent: %s", self._who, type(frame).__name__, e)
            return
        if self._channel.has_waiting():
            self._loop.rewatch(self._channel.fileno(), READABLE | WRITABLE)

    def read_last(self) -> None:
        """Call back for everything that has arrived of one that is dead."""
        self._read(MAX_LAST_FRAMES)

    def _read(self, most: int) -> None:
        try:
            for _ in range(most):
                delivery = self._channel.receive_nowait() if self._is_open else None
                if delivery is None:
                    return
                self._deliver(delivery, is_paced=most == FRAMES_PER_TURN)
        except ChannelClosedError:
            self.close()  # watched on, end-of-file would keep the loop spinning until SIGCHLD
            if self._on_end is not None:
                self._on_end()
        except ChannelShortError:
            self._pause()
        except ValueError as e:
            self._fault(f"it sent what is no frame: {str(e)[:200]}")

    def _deliver(self, delivery: Delivery, is_paced: bool) -> None:
        try:
            if is_paced and not self._keeps_pace():
                raise BadFrameError(f"more than {MAX_FRAMES_PER_S} frames in a second")
            self._on_delivery(delivery)
        except BadFrameError as e:
            self._fault(f"it sent {type(delivery.frame).__name__}: {e}")
        finally:
            delivery.close()

    def _keeps_pace(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._frames = second, 0
        self._frames += 1
        return self._frames <= MAX_FRAMES_PER_S

    def close(self) -> None:
        """Hang up; may be called twice."""
        if self._is_open:
            self._is_open = False
            self._loop.unwatch(self._channel.fileno())
            self._channel.close()

    def detach(self) -> int:
        """Give the connection away: its descriptor. Nothing may wait to be sent."""
        fd = os.dup(self._channel.fileno())
        self.close()
        return fd

    def _talk(self, events: int) -> None:
        if events & WRITABLE:
            self._flush()
        if events & READABLE:
            self._read(FRAMES_PER_TURN)

    def _flush(self) -> None:
        try:
            self._channel.flush()
        except ChannelClosedError:
            self.close()
            return
        if self._channel.has_waiting():
            self._pause()  # the socket would take it, but the kernel has no memory
        else:
            self._loop.rewatch(self._channel.fileno(), READABLE)

    def _pause(self) -> None:
        """Try again in a moment: what is ready and cannot be done would keep the loop spinning."""
        self._loop.rewatch(self._channel.fileno(), 0)
        self._loop.call_later(SHORT_S, self._go_on)

    def _go_on(self) -> None:
        if self._is_open:
            self._loop.rewatch(self._channel.fileno(), READABLE | WRITABLE if self._channel.has_waiting() else READABLE)

    def _fault(self, problem: str) -> None:
        log.error("%s: %s: giving up on it", self._who, problem)
        self.close()
        self._on_fault()
