"""At a reload root's file says anew what a plan may name: the master reads that itself, while its loop turns."""

import os
from collections.abc import Callable

from mosn_mp.master.border.grant import Grant, GrantError, check_same_identity, grant_of, open_reading
from mosn_mp.master.border.names import Reading
from mosn_mp.master.events.loop import Loop
from mosn_mp.master.state.served import ServedState


class Renewal:
    """One file at a time."""

    def __init__(self, loop: Loop, served: ServedState) -> None:
        self._loop = loop
        self._served = served
        self._reading: Reading | None = None

    def begin(self, path: str, on_end: Callable[[Grant, list[str]], None]) -> None:
        """Tell *on_end* what a plan of the file at *path* may name, or why root must not load it.

        A file that others than root can change (of a program that was started with --user) grants nothing new.
        """
        granted = self._served.grant
        if os.geteuid() != 0:
            on_end(granted, [])
            return
        try:
            reading, is_roots = open_reading(path, granted.option)
        except GrantError as e:
            on_end(granted, e.problems)
            return

        def take(_: int) -> None:
            if not reading.take():
                return
            self.close()
            try:
                fresh = grant_of(reading.names(), path, granted.option)
                check_same_identity(granted, fresh, path)
            except GrantError as e:
                on_end(granted, e.problems)
            else:
                on_end(fresh if is_roots else granted, [])

        try:
            self._loop.watch(reading.fileno(), take)
        except OSError as e:
            reading.close()
            on_end(granted, [f"{path}: {e.strerror}"])
            return
        self._reading = reading

    def close(self) -> None:
        """Nobody waits for it any more."""
        if self._reading is not None:
            self._loop.unwatch(self._reading.fileno())
            self._reading.close()
            self._reading = None
