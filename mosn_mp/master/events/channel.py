"""A channel on the master's loop: deliveries are called back, what the kernel does not take at once is sent when it does."""

import logging
from collections.abc import Callable

from mosn_mp.ipc.channel import Channel, ChannelClosedError, ChannelStuckError, Delivery
from mosn_mp.ipc.frames import Frame
from mosn_mp.master.events.loop import READABLE, WRITABLE, Loop

log = logging.getLogger("mosn_mp.master")


class EventChannel:
    """The channel to one other process, named *who* in messages.

    *on_fault* is called when it does not read or sends what is no frame, *on_end* (if any) when it hung up.
    """

    def __init__(
        self,
        loop: Loop,
        channel: Channel,
        who: str,
        on_delivery: Callable[[Delivery], None],
        on_fault: Callable[[], None],
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self._loop = loop
        self._channel = channel
        self._who = who
        self._on_delivery = on_delivery
        self._on_fault = on_fault
        self._on_end = on_end
        self._is_open = True
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
        if self._channel.has_waiting():
            self._loop.rewatch(self._channel.fileno(), READABLE | WRITABLE)

    def read_all(self) -> None:
        """Call back for everything that has arrived."""
        try:
            while self._is_open:
                delivery = self._channel.receive_nowait()
                if delivery is None:
                    return
                self._on_delivery(delivery)
        except ChannelClosedError:
            self.close()  # watched on, end-of-file would keep the loop spinning until SIGCHLD
            if self._on_end is not None:
                self._on_end()
        except ValueError as e:
            self._fault(f"it sent what is no frame: {e}")

    def close(self) -> None:
        """Hang up; may be called twice."""
        if self._is_open:
            self._is_open = False
            self._loop.unwatch(self._channel.fileno())
            self._channel.close()

    def _talk(self, events: int) -> None:
        if events & WRITABLE:
            self._flush()
        if events & READABLE:
            self.read_all()

    def _flush(self) -> None:
        try:
            self._channel.flush()
        except ChannelClosedError:
            self.close()
            return
        if not self._channel.has_waiting():
            self._loop.rewatch(self._channel.fileno(), READABLE)

    def _fault(self, problem: str) -> None:
        log.error("%s: %s: giving up on it", self._who, problem)
        self.close()
        self._on_fault()
