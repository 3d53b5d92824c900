"""The service manager (systemd) as the master sees it: told of every stage, trusted with the listening sockets.

```
loading:  STATUS
serving:  FDSTORE and FDSTOREREMOVE until its store holds what is listened on, then READY, MAINPID, STATUS
          WATCHDOG at half of WATCHDOG_USEC while some worker's heart beats
reload:   RELOADING with MONOTONIC_USEC, then all of serving again, be it the new version or still the old one
stopping: STOPPING, STATUS, and EXTEND_TIMEOUT_USEC again and again while the drain lasts
```
Source: sd_notify(3), and systemd.service(5) on FileDescriptorStoreMax: what is in the store is passed to the next start, whatever
ended the last one, so that the kernel keeps the queues of the listening sockets. They stay there through a stop as well: only the
service manager knows whether a start follows, and it empties the store if none does.
"""

import os
import time
from collections.abc import Callable, Mapping

from mosn_mp.master.events.loop import Loop
from mosn_mp.master.listeners.socket_activation import Passed, inode_of
from mosn_mp.master.systemd.notify import Notifier

# A drain may take longer than the unit's TimeoutStopSec; a master that hangs in it is given this much and no more.
EXTEND_S = 15.0
EXTEND_EVERY_S = 5.0


class ServiceManager:
    """Tells the service manager what happens; without one (a start by hand) it tells nobody."""

    def __init__(self, loop: Loop, passed: Passed, vouch: Callable[[], bool]) -> None:
        """*vouch* says, whenever the watchdog has to be fed, whether the program does its work."""
        self.unusable = passed.unusable
        self._loop = loop
        self._notifier = Notifier(loop, passed.notify_address)
        self._vouch = vouch
        self._watchdog_s = passed.watchdog_s
        # Name in its store -> inode of the socket; 0 = of no use to us.
        if passed.stored is not None:
            self._stored = dict(passed.stored)
        else:
            self._stored = {p.name: inode_of(p.sock.fileno()) for p in passed.sockets if p.slot is not None}
            self._stored.update((name, 0) for name, _ in passed.unusable)
        self._passed = passed
        self._is_ready = False
        self._is_stopping = False

    def tell(self, status: str) -> None:
        """Show *status* in `systemctl status`."""
        self._notifier.send(f"STATUS={status}")

    def serving(self, status: str, sockets: Mapping[str, int]) -> None:
        """A version is in service: keep *sockets* (by name in the store) for the next master, and say so."""
        if not self._notifier.is_heard() or self._is_stopping:
            return
        self._store(sockets)
        # In this order: whoever waits for READY knows that the store is complete.
        self._notifier.send("READY=1", f"MAINPID={os.getpid()}", f"STATUS={status}")
        if not self._is_ready and self._watchdog_s:
            self._feed()
        self._is_ready = True

    def reloading(self) -> None:
        """A change has begun; serving() ends it, whatever came of it."""
        if not self._is_stopping:
            # Type=notify-reload takes it for the answer to its SIGHUP only if it is not older than that.
            self._notifier.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=Reloading.")

    def keeps_sockets(self) -> bool:
        """Whether it may have the listening sockets in its store, for a start that follows."""
        return self._notifier.is_heard()

    def stopping(self, status: str) -> None:
        """The end has begun, and may take as long as it does; *status* "": the last one tells more."""
        if not self._is_stopping:
            self._is_stopping = True
            self._notifier.send("STOPPING=1", *([f"STATUS={status}"] if status else []))
            if self._notifier.is_heard():
                self._extend()

    def passed_on(self) -> tuple[str, float, list[tuple[str, int]]]:
        """Where it listens, how often it wants to hear of us, what its store holds: for the next master."""
        return self._passed.notify_address, self._watchdog_s, sorted(self._stored.items())

    def leave(self, pid: int) -> None:
        """Master *pid* is the one to talk to from now on."""
        self._notifier.send(f"MAINPID={pid}")
        self.close()

    def close(self) -> None:
        """Say no more."""
        self._is_stopping = True
        self._notifier.close()

    def _store(self, sockets: Mapping[str, int]) -> None:
        """Bring its store up to date; a socket that was closed and bound anew is another one under the same name."""
        wanted = {name: inode_of(fd) for name, fd in sockets.items()}
        for name in [name for name, inode in self._stored.items() if wanted.get(name) != inode]:
            self._notifier.send("FDSTOREREMOVE=1", f"FDNAME={name}")
        for name, inode in wanted.items():
            if self._stored.get(name) != inode:
                # Without FDPOLL=0 it would watch the socket, and drop it on an error.
                self._notifier.send("FDSTORE=1", f"FDNAME={name}", "FDPOLL=0", fds=(sockets[name],))
        self._stored = wanted

    def _feed(self) -> None:
        """Half of the time it allows, as sd_watchdog_enabled(3) asks for; silence gets us restarted."""
        if not self._notifier.is_heard():
            return
        if self._is_stopping or self._vouch():
            self._notifier.send("WATCHDOG=1")
        self._loop.call_later(self._watchdog_s / 2, self._feed)

    def _extend(self) -> None:
        self._notifier.send(f"EXTEND_TIMEOUT_USEC={int(EXTEND_S * 1e6)}")
        self._loop.call_later(EXTEND_EVERY_S, self._extend)
