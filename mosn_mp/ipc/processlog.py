"""The default log of a process: MOSN's line format and level names over the standard library's logging (mosn-reference 10.5).

`2006-01-02 15:04:05,000 [LEVEL] [who] text`. The file is opened for appending by the master and inherited by the workers: a
line is one write, so lines of several processes never mix.
"""

import logging
import os
import sys
import time

TRACE = 5
# MOSN's names of what is no file of ours
_STDERR = ("", "stderr", "/dev/stderr")
_STDOUT = ("stdout", "/dev/stdout")
LEVELS = {
    "FATAL": logging.CRITICAL,
    "CRITICAL": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
    "TRACE": TRACE,
    "OFF": logging.CRITICAL + 10,
}
_NAMES = {
    logging.CRITICAL: "FATAL",
    logging.ERROR: "ERROR",
    logging.WARNING: "WARN",
    logging.INFO: "INFO",
    logging.DEBUG: "DEBUG",
    TRACE: "TRACE",
}


class _LineFormatter(logging.Formatter):
    def __init__(self, who: str) -> None:
        super().__init__()
        self.who = who

    def format(self, record: logging.LogRecord) -> str:
        """One line, with the traceback below it where there is one."""
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        level = _NAMES.get(record.levelno, record.levelname)
        text = f"{at},{record.msecs:03.0f} [{level}] [{self.who}] {record.getMessage()}"
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return text


class _AppendHandler(logging.StreamHandler):  # type: ignore[type-arg]  # generic only in the stub files
    def __init__(self, path: str) -> None:
        super().__init__(_open(path))


class ProcessLog:
    """The log of this process; everything below the logger `mosn_mp` goes there."""

    def __init__(self, who: str, path: str = "stderr", level: str = "INFO") -> None:
        """Write to *path* (a file, `stdout` or `stderr`) under the name *who* what is at least *level*."""
        self._formatter = _LineFormatter(who)
        self._logger = logging.getLogger("mosn_mp")
        self._logger.propagate = False
        self.path = ""
        self.level = ""
        self._handler: logging.StreamHandler | None = None  # type: ignore[type-arg]
        self.open(path, level)

    def open(self, path: str, level: str) -> None:
        """Write to *path* from now on; OSError if it cannot be opened, and then the old one stays."""
        if is_file(path):
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        handler = _AppendHandler(path)
        handler.setFormatter(self._formatter)
        self._logger.addHandler(handler)
        old, self._handler = self._handler, handler
        if old is not None:
            self._logger.removeHandler(old)
            _close(old)
        self.path = path
        self.set_level("", level)

    def rename(self, who: str) -> None:
        """Call this process *who* from now on (a worker, after fork)."""
        self._formatter.who = who

    def reopen(self) -> None:
        """Open the file anew: it was renamed by a log rotation."""
        if is_file(self.path):
            self.open(self.path, self.level)

    def set_level(self, path: str, level: str) -> None:
        """Drop what is below *level* (MOSN's names, any case) if *path* is this log or ""; ValueError for no level."""
        if path not in ("", self.path):
            return
        number = LEVELS.get(level.upper())
        if number is None:
            raise ValueError(f"log level {level!r}: one of {', '.join(LEVELS)}")
        self.level = level.upper()
        self._logger.setLevel(number)

    def fds(self) -> list[int]:
        """The descriptors that the log writes to."""
        return [self._handler.stream.fileno()] if self._handler is not None else []


def is_file(path: str) -> bool:
    """Whether log path *path* is a file, and not one of the standard streams."""
    return path not in _STDERR and path not in _STDOUT


def _open(path: str):  # type: ignore[no-untyped-def]  # TextIO, or what stands for sys.stderr
    if not is_file(path):
        return sys.stderr if path in _STDERR else sys.stdout
    return open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644), "a", encoding="utf-8")


def _close(handler: logging.StreamHandler) -> None:  # type: ignore[type-arg]
    if handler.stream not in (sys.stderr, sys.stdout):
        handler.stream.close()
    handler.close()
