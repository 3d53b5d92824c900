"""What users' code must not do while it is loaded, because it would do it to the controller: found out in a trial, with its line.

What is refused at once ends the trial, so that no `except` of theirs hides it; what may be undone is looked for at the end.
Sources: sys.addaudithook() and Python's table of audit events; what these do not tell of is found by standing before a function.
"""

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

from mosn_mp.plugin.blame import Line, where

Report = Callable[[str], NoReturn]

_DESCRIPTORS = range(1, 256)  # stdin is /dev/null in a trial
_GRACE_S = 0.1  # a thread that has done its work ends a moment later
_AUDITED = {
    "os.fork": "forks the process; a program is started by subprocess",
    "os.forkpty": "forks the process; a program is started by subprocess",
    "os.exec": "replaces the process by another program; one is started by subprocess",
}
_ENDS = "ends the process"
_HANDLERS = "changes the signals of the process"


class Guard:
    """From now on, in this process for good, what must not be is told to *report*, which ends the process."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._descriptors = dict(_open_descriptors())
        self._directory = os.getcwd()
        self._threads = 0  # that were started and go on
        self._moved_at = self._started_at = ""
        self._pids = {os.getpid(), os.getppid(), 0, -1}
        for module, name, text in (
            (os, "_exit", _ENDS),
            (os, "abort", _ENDS),
            (signal, "signal", _HANDLERS),
            (signal, "alarm", _HANDLERS),
            (signal, "setitimer", _HANDLERS),
            (signal, "set_wakeup_fd", _HANDLERS),
        ):
            setattr(module, name, self._refuse(f"{text} ({name})"))
        for name in ("close", "closerange", "dup2"):
            setattr(os, name, self._spare_descriptors(getattr(os, name)))
        for module in (_thread, threading):
            for name in ("start_new_thread", "start_new", "start_joinable_thread", "_start_new_thread", "_start_joinable_thread"):
                if hasattr(module, name):
                    setattr(module, name, self._note_thread(getattr(module, name)))
        sys.addaudithook(self._audit)

    def look(self) -> None:
        """Report what is not as it was before."""
        closed = [str(fd) for fd, identity in self._descriptors.items() if _identity(fd) != identity]
        if closed:
            self._report(f"closes descriptors that are not its own: {', '.join(closed)}")
        if _directory() != self._directory:
            self._report(f"changes the working directory of the process{self._moved_at}")
        until = time.monotonic() + _GRACE_S
        while self._threads:
            if time.monotonic() > until:
                problem = f"starts a thread that goes on{self._started_at}"
                self._report(f"{problem}; every process loads it: start one on a first request")
            time.sleep(0.001)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _AUDITED:
            self._report(_AUDITED[event] + _here())
        elif event in ("os.kill", "os.killpg") and arguments[0] in self._pids and arguments[1]:
            self._report(f"sends a signal to the program{_here()}")
        elif event == "os.chdir":
            self._moved_at = _here()

    def _refuse(self, text: str) -> Callable[..., NoReturn]:
        def refused(*_: object) -> NoReturn:
            self._report(text + _here())

        return refused

    def _spare_descriptors(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def spared(first: Any, second: Any = None, *more: Any, **named: Any) -> Any:
            if second is None:
                meant = range(first, first + 1)
            else:
                meant = range(second, second + 1) if call.__name__ == "dup2" else range(first, second)
            mine = [fd for fd in self._descriptors if fd in meant]
            if mine:
                self._report(f"closes descriptor {mine[0]}, which is not its own{_here()}")
            return call(first, *(() if second is None else (second,)), *more, **named)

        return spared

    def _note_thread(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(function: Callable[..., object], *arguments: Any, **named: Any) -> Any:
            def counted(*of_it: Any, **named_of_it: Any) -> None:
                try:
                    function(*of_it, **named_of_it)
                finally:
                    self._threads -= 1

            self._started_at = _here()
            self._threads += 1
            return call(counted, *arguments, **named)

        return noted


def _here() -> str:
    return where(reversed([*_frames(sys._getframe())]))


def _frames(frame: FrameType | None) -> Iterator[Line]:
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back


def _open_descriptors() -> Iterator[tuple[int, tuple[int, int]]]:
    for fd in _DESCRIPTORS:
        identity = _identity(fd)
        if identity is not None:
            yield fd, identity


def _identity(fd: int) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        found = os.fstat(fd)
        return found.st_dev, found.st_ino
    return None


def _directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it is there no more
        return ""
