"""The worker's conversation with its master: one greenlet reads frames and drives the data plane.

```
BOOTING --Prepare--> Ready | Refused --Commit--> SERVING --Drain | the master is gone--> DRAINING --nothing in flight--> exit 0
                                      --Abort--> as before                        Quit, in any state --> exit 0
```
The master's death is end-of-file on the channel, so it is noticed at once, whatever killed it.

One piece: a method for each frame of the master, and the state that all of them change.
"""

import logging
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import gevent
from gevent.event import Event

from mosn_mp.config.snapshot import decode
from mosn_mp.errors import ConfigError
from mosn_mp.ipc.channel import Channel, ChannelClosedError, ChannelStuckError, Delivery, close_fds
from mosn_mp.ipc.conversation import converse
from mosn_mp.ipc.frames import (
    Abort,
    AnyFrame,
    Commit,
    Committed,
    Drain,
    Frame,
    Give,
    Given,
    Lend,
    Missed,
    OpenLog,
    Prepare,
    Pulse,
    Quit,
    Ready,
    Receive,
    Refused,
    ReopenLogs,
    SetLogEnabled,
    SetLogLevel,
    Sockets,
    Withdraw,
)
from mosn_mp.ipc.memfd import read_sealed
from mosn_mp.observe.log_files import LogFiles
from mosn_mp.observe.stray_errors import log_stray_errors
from mosn_mp.worker.plane import Plane, SocketKey
from mosn_mp.worker.vitals import Vitals

PULSE_EVERY_S = 1.0
BEAT_EVERY_S = 0.25  # the master takes a worker that misses several of these for stuck
DRAIN_POLL_S = 0.02
# A worker that nothing else keeps waits for handshakes under way this long; on the longest ways they take 0.3 s, on most 0.05 s.
HANDSHAKE_S = 0.1
NO_DESCRIPTORS = "a worker has no descriptors left for it: raise LimitNOFILE (ulimit -n)"
MAX_REASON = 8192  # characters; what a plug-in puts into an exception has no limit, a frame has


class WorkerProcess:
    """The process around one data plane, until wait_end()."""

    def __init__(self, channel: Channel, plane: Plane, logs: LogFiles, vitals: Vitals, graceful_timeout_s: float) -> None:
        self._channel = channel
        self._plane = plane
        self._logs = logs
        self._vitals = vitals
        self._log = logging.getLogger("mosn_mp.worker")
        self._graceful_timeout_s = graceful_timeout_s
        self._sockets: dict[SocketKey, int] = {}
        self._missed: set[SocketKey] = set()  # that came without their descriptors
        self._prepared: tuple[int, Any] | None = None
        self._version = 0
        self._is_draining = False
        self._drain_until = 0.0
        self._accepts_until = 0.0
        self._ended = Event()
        self._failure = 0
        self.on_log_change: Callable[[str], None] = _ignore_path
        self._actions: dict[type[Frame], Callable[[Delivery], object]] = {
            Sockets: self._take_sockets,
            Lend: self._take_lent,
            Withdraw: self._withdraw,
            Prepare: self._prepare,
            Commit: self._commit,
            Abort: self._abort,
            Give: self._give,
            Receive: self._receive,
            Drain: self._take_drain,
            Quit: lambda _: self._ended.set(),
            ReopenLogs: self._reopen_logs,
            OpenLog: self._open_log,
            SetLogLevel: self._set_log_level,
            SetLogEnabled: self._set_log_enabled,
        }

    def wait_end(self) -> int:
        """Serve until told to stop or left alone; the exit status."""
        log_stray_errors(gevent.get_hub())
        gevent.signal_handler(signal.SIGTERM, self._drain, self._graceful_timeout_s)
        gevent.spawn(self._converse)
        gevent.spawn(self._pulse)
        self._ended.wait()
        self._plane.close_all()
        return self._failure

    def every(self, period_s: float, action: Callable[[], object]) -> None:
        """Call *action* every *period_s* while this process lives."""

        def repeat() -> None:
            while True:
                gevent.sleep(period_s)
                action()

        gevent.spawn(repeat)

    def _converse(self) -> None:
        """Read frames until the end; a bug in here ends the process, so that the master starts a sound one."""
        try:
            converse(self._channel, lambda delivery: self._actions[type(delivery.frame)](delivery), self._take_bare)
        except ChannelClosedError:
            self._log.warning("the master is gone: finishing what is in flight")
            self._drain(self._graceful_timeout_s)
        except Exception:  # noqa: BLE001 - the worker's main loop
            self._log.exception("worker: the conversation with the master failed")
            self._failure = 1
            self._ended.set()

    def _take_bare(self, frame: AnyFrame) -> None:
        """*frame* came without its descriptors, because this process may open no more: say what will not be done."""
        self._log.error("a %s frame lost its descriptors: no more may be opened (LimitNOFILE, ulimit -n)", type(frame).__name__)
        if isinstance(frame, Prepare):
            self._send(Refused(frame.version, NO_DESCRIPTORS))
        elif isinstance(frame, Sockets):
            self._missed.update((name.address, name.slot) for name in frame.names)
        elif isinstance(frame, Lend):
            self._send(Missed(frame.names))
        elif isinstance(frame, Give):
            self._send(Given(frame.number, 0))

    def _send(self, frame: Frame) -> None:
        try:
            self._channel.send(frame)
        except (ChannelClosedError, ChannelStuckError):
            return  # end-of-file tells the reader; a master that does not read finds out by itself

    def _pulse(self) -> None:
        self.every(BEAT_EVERY_S, self._vitals.beat)
        while True:
            self._send(Pulse(active=self._plane.active(), version=self._version))
            if self._channel.has_waiting():
                self._channel.flush()
            gevent.sleep(PULSE_EVERY_S)

    def _take_sockets(self, delivery: Delivery) -> None:
        assert isinstance(delivery.frame, Sockets | Lend)
        for name, fd in zip(delivery.frame.names, delivery.fds, strict=True):
            if self._is_draining or (name.address, name.slot) in self._sockets:
                close_fds([fd])
            else:
                self._sockets[(name.address, name.slot)] = fd

    def _take_lent(self, delivery: Delivery) -> None:
        assert isinstance(delivery.frame, Lend)
        self._take_sockets(delivery)
        for name in delivery.frame.names:
            key = (name.address, name.slot)
            if key in self._sockets:
                self._plane.lend(key, self._sockets[key])

    def _withdraw(self, delivery: Delivery) -> None:
        assert isinstance(delivery.frame, Withdraw)
        for name in delivery.frame.names:
            self._missed.discard((name.address, name.slot))
            self._plane.withdraw((name.address, name.slot))
            fd = self._sockets.pop((name.address, name.slot), None)
            if fd is not None:
                close_fds([fd])

    def _prepare(self, delivery: Delivery) -> None:
        assert isinstance(delivery.frame, Prepare)
        version = delivery.frame.version
        if self._missed:
            close_fds(delivery.fds)
            self._send(Refused(version, NO_DESCRIPTORS))
            return
        try:
            snapshot, tables = (read_sealed(fd) for fd in delivery.fds)
            prepared = self._plane.prepare(decode(snapshot), version, self._sockets, tables)
        except Exception as e:  # noqa: BLE001 - whatever a plug-in of the user raises is a refusal
            self._log.warning("snapshot %d refused", version, exc_info=True)
            reason = str(e) if isinstance(e, ConfigError) else f"{type(e).__name__}: {e}"
            self._send(Refused(version, reason[:MAX_REASON]))
        else:
            self._prepared = (version, prepared)
            self._send(Ready(version))
        finally:
            close_fds(delivery.fds)

    def _commit(self, delivery: Delivery) -> None:
        assert isinstance(delivery.frame, Commit)
        if self._prepared is None or self._prepared[0] != delivery.frame.version:
            raise ValueError(f"commit of version {delivery.frame.version}, which is not prepared")
        self._version, prepared = self._prepared
        self._prepared = None
        self._plane.commit(prepared, self._sockets)
        self._vitals.serve(self._version)
        self._send(Committed(self._version))

    def _abort(self, delivery: Delivery) -> None:
        assert isinstance(delivery.frame, Abort)
        if self._prepared is not None and self._prepared[0] == delivery.frame.version:
            self._plane.abort(self._prepared[1])
            self._prepared = None

    def _give(self, delivery: Delivery) -> None:
        assert isinstance(delivery.frame, Give)
        gevent.spawn(self._give_all, delivery.frame, Channel.adopt(delivery.fds[0]))

    def _give_all(self, order: Give, channel: Channel) -> None:
        given = 0
        try:
            given = self._plane.give(channel, order.count)
        except Exception:  # noqa: BLE001 - a bug in there must not end the worker: what did not go is served on
            self._log.exception("worker: giving connections failed")
        self._send(Given(order.number, given))

    def _receive(self, delivery: Delivery) -> None:
        assert isinstance(delivery.frame, Receive)
        gevent.spawn(self._receive_all, Channel.adopt(delivery.fds[0]))

    def _receive_all(self, channel: Channel) -> None:
        try:
            self._plane.receive(channel)
        except Exception:  # noqa: BLE001 - as above: the giver finds the channel closed and keeps what it has
            self._log.exception("worker: taking connections failed")
            channel.close()

    def _reopen_logs(self, _: Delivery) -> None:
        self._logs.reopen()
        self._plane.reopen_logs()
        self.on_log_change(self._logs.default_path())

    def _open_log(self, delivery: Delivery) -> None:
        assert isinstance(delivery.frame, OpenLog)
        try:
            self._logs.move(delivery.frame.path, delivery.frame.level)
        except ConfigError as e:  # the master could open it a moment ago
            self._log.error("%s; still logging to %s", e, self._logs.default_path())
            return
        self.on_log_change(self._logs.default_path())

    def _set_log_level(self, delivery: Delivery) -> None:
        assert isinstance(delivery.frame, SetLogLevel)
        self._logs.set_level(delivery.frame.path, delivery.frame.level)

    def _set_log_enabled(self, delivery: Delivery) -> None:
        assert isinstance(delivery.frame, SetLogEnabled)
        if not self._logs.set_enabled(delivery.frame.path, delivery.frame.enabled):
            self._plane.set_log_enabled(delivery.frame.path, delivery.frame.enabled)

    def _take_drain(self, delivery: Delivery) -> None:
        assert isinstance(delivery.frame, Drain)
        self._drain(delivery.frame.deadline_s, delivery.frame.settle_s)

    def _drain(self, deadline_s: float, settle_s: float = 0.0) -> None:
        """Begin to leave, or, told again, leave sooner; *settle_s* as Drain says."""
        now = time.monotonic()
        if self._is_draining:
            self._drain_until = min(self._drain_until, now + deadline_s)
            self._plane.part(deadline_s)
            return
        self._is_draining = True
        self._drain_until = now + deadline_s
        self._accepts_until = now + settle_s
        if not settle_s:
            self._stop_accepting()
        self._plane.part(deadline_s)
        gevent.spawn(self._finish, now + min(settle_s, HANDSHAKE_S))

    def _stop_accepting(self) -> None:
        self._plane.stop_accepting()
        close_fds(list(self._sockets.values()))
        self._sockets.clear()

    def _finish(self, earliest: float) -> None:
        while (now := time.monotonic()) < self._drain_until:
            is_drained = now >= earliest and self._plane.is_drained()
            if self._sockets and (is_drained or now >= self._accepts_until):
                self._stop_accepting()
                continue  # that may have brought a last one
            if is_drained:
                break
            gevent.sleep(DRAIN_POLL_S)
        left = self._plane.active()
        if left:
            self._log.warning("drain deadline reached with %d connections active: closing them", left)
        self._ended.set()


def _ignore_path(_: str) -> None:
    """Nobody else writes to the log."""


def ignore_signal(_: int, __: FrameType | None) -> None:
    """A handler that does nothing: the terminal's ^C reaches the whole group, and the master decides what it means."""
