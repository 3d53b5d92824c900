"""Live connections that go from this worker to another one, of this generation or the next, and those that come.

```
giver     Transfer ------------------> receiver      the connection rests; nobody reads or writes it
          <------------- Taken | Kept
          lets go      | serves on
```
One side serves a connection at any time. A receiver says Taken before it touches the first byte, and does not serve what it could
not say that of; a giver whose receiver is silent for ANSWER_S shuts the channel, which makes every later Taken fail, and serves
on what was not taken until then. (MOSN's giver goes on whatever becomes of the transfer: a black hole for the client.)
"""

import logging
import time
from collections.abc import Callable, Iterable

import msgspec
from gevent import socket as gevent_socket

from mosn_mp.ipc.channel import BadFrameError, Channel, ChannelClosedError, ChannelShortError, ChannelStuckError, close_fds
from mosn_mp.ipc.conversation import converse
from mosn_mp.ipc.frames import AnyFrame, Kept, Taken, Transfer
from mosn_mp.proxy.moving.arrival import arrive
from mosn_mp.proxy.moving.departure import Departure
from mosn_mp.proxy.moving.giving import ask_tunnels, departures
from mosn_mp.proxy.service import Service
from mosn_mp.worker.transfer_check import check_transfer

log = logging.getLogger("mosn_mp.worker")

WINDOW = 64  # transfers without an answer
ANSWER_S = 2.0  # a receiver answers within microseconds, or is stuck
LOOK_S = 0.005  # between two looks for connections that have come to rest
# What cannot move within this is served where it is, unless all are to go.
PATIENCE_S = 2.0


class Giver:
    """Gives connections of *services* through *channel*: *count* of them, or (-1) all, until run() returns how many went."""

    def __init__(self, channel: Channel, services: Callable[[], Iterable[Service]], count: int) -> None:
        self._channel = channel
        self._services = services
        self._count = count
        self._away: dict[int, tuple[Departure, float]] = {}  # serial -> what was sent, and when
        self._serial = 0
        self._asked = 0  # tunnels that were asked to come
        self._is_closed = False
        self.given = 0

    def run(self) -> int:
        """Give until there is nothing more to give; what is refused, or not answered, stays here."""
        progress_at = time.monotonic()
        try:
            while not self._is_closed:
                before = self.given
                self._look()
                self._take_answers()
                if self.given != before:
                    progress_at = time.monotonic()
                if not self._away and (self._left() <= 0 or self._is_over(progress_at)):
                    break
                self._check_silence()
                self._wait()
        finally:
            self._shut()
        return self.given

    def _is_over(self, progress_at: float) -> bool:
        if self._count < 0:
            return not any(service.listener.open_count for service in self._services())
        return time.monotonic() - progress_at > PATIENCE_S

    def _left(self) -> int:
        """How many more may be sent now."""
        window = WINDOW - len(self._away)
        return window if self._count < 0 else min(window, self._count - self.given - len(self._away))

    def _look(self) -> None:
        """Send what is at rest, and ask tunnels to come to rest."""
        for service in self._services():
            for departure in departures(service, self._left()) if self._left() > 0 else ():
                self._give(departure)
        for service in self._services():
            if self._left() > 0:
                ask_tunnels(service, self._left(), self._give)

    def _give(self, departure: Departure) -> None:
        if self._is_closed or self._left() <= 0:
            departure.kept()
            return
        self._serial += 1
        frame = msgspec.structs.replace(departure.frame, serial=self._serial)
        try:
            self._channel.send(frame, departure.fds)
        except (ChannelClosedError, ChannelStuckError, ChannelShortError, ValueError):
            departure.kept()
            return
        self._away[self._serial] = (departure, time.monotonic())

    def _take_answers(self) -> None:
        """Let go of what was taken, go on with what was not."""
        try:
            while (delivery := self._channel.receive_nowait()) is not None:
                close_fds(delivery.fds)
                frame = delivery.frame
                departure, _ = self._away.pop(frame.serial, (None, 0.0)) if isinstance(frame, Taken | Kept) else (None, 0.0)
                if departure is None:
                    continue
                if isinstance(frame, Taken):
                    departure.taken()
                    self.given += 1
                else:
                    departure.kept()
        except ChannelShortError:
            return  # what it said is still there
        except (ChannelClosedError, ValueError):
            self._is_closed = True

    def _check_silence(self) -> None:
        if any(time.monotonic() - sent_at > ANSWER_S for _, sent_at in self._away.values()):
            log.error("the worker that is to take connections has not answered for %g s: they stay here", ANSWER_S)
            self._is_closed = True

    def _wait(self) -> None:
        try:
            if self._channel.has_waiting():
                self._channel.flush()
            gevent_socket.wait_read(self._channel.fileno(), timeout=LOOK_S, timeout_exc=TimeoutError())
        except TimeoutError:
            return
        except ChannelClosedError:
            self._is_closed = True

    def _shut(self) -> None:
        """From here on nobody can take anything; what was taken before is heard."""
        self._is_closed = True
        self._channel.shut_receiving()
        self._take_answers()
        for departure, _ in self._away.values():
            departure.kept()
        self._away.clear()
        self._channel.close()


class Receiver:
    """Takes connections that another worker gives through *channel*, until run() returns because it is gone or done."""

    def __init__(self, channel: Channel, find: Callable[[str], Service | None], clusters: Callable[[], object]) -> None:
        """*find* gives the service of a listener's name, None while this worker does not serve it."""
        self._channel = channel
        self._find = find
        self._clusters = clusters

    def run(self) -> None:
        """Serve what comes."""
        try:
            converse(self._channel, lambda delivery: self._take(delivery.frame, delivery.fds), self._keep_away)
        except ChannelClosedError:
            return
        except ValueError as e:
            log.error("the worker that gives connections sent what is no frame: %s: nothing more is taken of it", str(e)[:200])
        except BadFrameError as e:
            log.error("the worker that gives connections sent %s: nothing more is taken of it", e)
        finally:
            self._channel.close()

    def _keep_away(self, frame: AnyFrame) -> None:
        """The descriptors of *frame* are lost here: the giver has its own."""
        if isinstance(frame, Transfer):
            self._channel.send(Kept(frame.serial))

    def _take(self, frame: object, fds: list[int]) -> None:
        try:
            if not isinstance(frame, Transfer):
                raise BadFrameError(f"{type(frame).__name__}, which is no connection")
            check_transfer(frame, fds)
        except BadFrameError:
            close_fds(fds)
            raise
        service = self._find(frame.listener)
        if service is None:
            close_fds(fds)
            self._channel.send(Kept(frame.serial))
            return
        arrival = arrive(service, self._clusters(), frame, fds)
        if arrival is None:
            self._channel.send(Kept(frame.serial))
            return
        try:
            self._channel.send(Taken(frame.serial))
            if self._channel.has_waiting():
                raise ChannelClosedError("the giver does not read")
        except (ChannelClosedError, ChannelStuckError):
            arrival.forget()
            raise ChannelClosedError("the giver is gone, or keeps what it has") from None
        try:
            arrival.start()
        except Exception:
            log.exception("a connection of listener %r that came from another worker is lost", frame.listener)
            arrival.forget()

