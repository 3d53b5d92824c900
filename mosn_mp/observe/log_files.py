"""The process log: Python's logging in MOSN's line format, into a file, a standard stream or syslog.

Lines follow mosn.io/pkg/log: `2006-01-02 15:04:05,000 [LEVEL] [alert-key] text`, local time. A file is
opened with O_APPEND and every record is one write(2), so all processes of a proxy share one file. A log that cannot be written
counts the failure and never raises into the code that logged. It is for what happens to the process, not for requests.
"""

import logging
import os
import time
from collections.abc import Callable
from logging.handlers import SysLogHandler
from socket import SOCK_DGRAM, SOCK_STREAM, socket
from urllib.parse import urlsplit

from mosn_mp.errors import ConfigError, printable

LEVELS = {"OFF": 60, "FATAL": 50, "ERROR": 40, "WARN": 30, "INFO": 20, "DEBUG": 10, "TRACE": 5}
TRACE = LEVELS["TRACE"]
OFF = 100  # above every level
STREAMS = {"": 2, "stderr": 2, "/dev/stderr": 2, "stdout": 1, "/dev/stdout": 1}  # MOSN's names; nothing = stderr
SYSLOG_SOCKET = "/dev/log"
SYSLOG_PORT = 514
SYSLOG_TIMEOUT_S = 1.0
FILE_MODE = 0o640  # what clients asked for is nobody else's business
CONTINUED = "  | "  # begins the lines of a traceback
DEFAULT_PATH = "servers[0].default_log_path"


def level_name(number: int) -> str:
    """MOSN's name of a level of Python's logging: the nearest one not above it."""
    for name, level in LEVELS.items():
        if number >= level:
            return name
    return "TRACE"


class LineFormatter(logging.Formatter):
    """`2006-01-02 15:04:05,000 [ERROR] [alert-key] [worker 1] text`; the key comes with `extra={"alert_key": ...}`.

    Messages, keys and exceptions may quote what a client sent. Only a record begins a line with a moment, a traceback goes on in
    lines that begin with CONTINUED, and whatever could end a line or move a terminal's cursor is escaped everywhere.
    """

    def __init__(self, process: str = "") -> None:
        super().__init__()
        self._process = f"[{process}] " if process else ""

    def format(self, record: logging.LogRecord) -> str:
        """The line without its newline, and those of a traceback."""
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        key = getattr(record, "alert_key", "")
        alert = f"[{key}] " if key else ""
        where = f"{moment},{int(record.msecs):03} [{level_name(record.levelno)}] {alert}{self._process}"
        lines = [printable(where + record.getMessage())]
        if record.exc_info:
            lines += [CONTINUED + printable(line) for line in self.formatException(record.exc_info).split("\n")]
        return "\n".join(lines)


OpenFile = Callable[[str], int]


def open_to_append(path: str) -> int:
    """A descriptor of the file at *path*, which is made if it is not there, as its directory is; OSError."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    # Nobody waits for whoever is to read a FIFO.
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY, FILE_MODE)


class AppendHandler(logging.Handler):
    """Writes each record with one write(2) to a file opened with O_APPEND, or to a standard stream."""

    def __init__(self, path: str, open_file: OpenFile = open_to_append) -> None:
        super().__init__()
        self.path = path
        self.errors = 0
        self._open_file = open_file
        self._fd = STREAMS[path] if path in STREAMS else open_file(path)

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*; a failure is counted."""
        try:
            line = self.format(record)
        except (TypeError, ValueError) as e:  # the logging call's arguments do not fit its text: our mistake, worth a line
            line = printable(f"log text {record.msg!r} does not fit its arguments: {e}")
        try:
            os.write(self._fd, line.encode("utf-8", "backslashreplace") + b"\n")
        except OSError:
            self.errors += 1

    def reopen(self) -> None:
        """Go on in a newly opened file; when it cannot be opened, in the old one (counted)."""
        if self.path in STREAMS:
            return
        try:
            fresh = self._open_file(self.path)
        except OSError:
            self.errors += 1
            return
        self.acquire()  # not while another thread writes
        old, self._fd = self._fd, fresh
        self.release()
        os.close(old)

    def close(self) -> None:
        """Close the file; a standard stream stays open."""
        super().close()
        if self.path not in STREAMS and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class SyslogHandler(SysLogHandler):
    """Sends each record to syslog; a failure is counted, and a lost stream connection is made again by the next record."""

    errors = 0
    socket: socket  # made by createSocket()

    def createSocket(self) -> None:  # noqa: N802 - the name logging calls
        """Connect; nobody waits longer than SYSLOG_TIMEOUT_S for a syslog server that stopped reading."""
        super().createSocket()
        self.socket.settimeout(SYSLOG_TIMEOUT_S)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name logging calls
        """Count the failure."""
        self.errors += 1

    def reopen(self) -> None:
        """Nothing to do: syslog rotates its own files."""


LogHandler = AppendHandler | SyslogHandler


def syslog_handler(log_path: str) -> SyslogHandler:
    """The handler of `syslog`, `syslog+udp://host:port` or `syslog+tcp://host:port`; raises OSError or ValueError."""
    if log_path == "syslog":
        return SyslogHandler(SYSLOG_SOCKET)
    parts = urlsplit(log_path)
    kinds = {"syslog+udp": SOCK_DGRAM, "syslog+tcp": SOCK_STREAM}
    if parts.scheme not in kinds or not parts.hostname:
        raise ValueError("write syslog, syslog+udp://host:port or syslog+tcp://host:port")
    return SyslogHandler((parts.hostname, parts.port or SYSLOG_PORT), socktype=kinds[parts.scheme])


class LogFiles:
    """The logs of this process by path. The first one opened is the default log: all loggers of Python write there."""

    def __init__(self, process: str = "", open_file: OpenFile = open_to_append) -> None:
        """*open_file* opens each file, now and at each rotation."""
        self._process = process
        self._open_file = open_file
        self._logs: dict[str, tuple[logging.Logger, LogHandler]] = {}
        self._levels: dict[str, str] = {}
        self._default = ""

    def open(self, log_path: str, level: str, path: str = DEFAULT_PATH, logger_name: str = "") -> logging.Logger:
        """Let the logger *logger_name* ("" = the root of all) write to *log_path* from *level* on; returns the logger.

        *path* names the setting in the configuration; raises ConfigError there. A path that is open already gets the new level.
        """
        if level not in LEVELS:
            raise ConfigError(path, f"'{level}' is no log level; there are {', '.join(LEVELS)}")
        if log_path in self._logs:
            self.set_level(log_path, level)
            return self._logs[log_path][0]
        handler = self._make_handler(log_path, path)
        handler.setFormatter(LineFormatter(self._process))
        logger = logging.getLogger(logger_name)
        logger.addHandler(handler)
        logger.propagate = False
        if not self._logs:
            self._default = log_path
        self._logs[log_path] = (logger, handler)
        self.set_level(log_path, level)
        return logger

    def try_open(self, log_path: str, path: str = DEFAULT_PATH) -> None:
        """Raise the ConfigError that open() would raise; a file that is not there is made."""
        if log_path not in self._logs:
            self._make_handler(log_path, path).close()

    def _make_handler(self, log_path: str, path: str) -> LogHandler:
        try:
            return syslog_handler(log_path) if log_path.startswith("syslog") else AppendHandler(log_path, self._open_file)
        except OSError as e:
            raise ConfigError(path, f"cannot open '{log_path}': {e.strerror or e}") from e
        except ValueError as e:
            raise ConfigError(path, f"'{log_path}': {e}") from e

    def move(self, log_path: str, level: str) -> None:
        """Make *log_path* the default log, at *level*, and close the one before; ConfigError, and all stays, if that fails."""
        if log_path == self._default:
            self.set_level(log_path, level)
            return
        before = self._logs.get(self._default)
        logger = self.open(log_path, level)
        self._default = log_path
        if before is not None:
            del self._levels[next(path for path, found in self._logs.items() if found is before)]
            self._logs = {path: found for path, found in self._logs.items() if found is not before}
            logger.removeHandler(before[1])
            before[1].close()

    def default_path(self) -> str:
        """The path of the default log."""
        return self._default

    def set_process(self, process: str) -> None:
        """Name this process in its lines: a child goes on with its parent's open logs after fork."""
        self._process = process
        for _, handler in self._logs.values():
            handler.setFormatter(LineFormatter(process))

    def levels(self) -> dict[str, str]:
        """The level of each log path."""
        return dict(self._levels)

    def set_level(self, log_path: str, level: str) -> bool:
        """Log from *level* on into *log_path* ("" = the default log); False = no such log or level."""
        log_path = log_path or self._default
        if level not in LEVELS or log_path not in self._logs:
            return False
        self._levels[log_path] = level
        self._logs[log_path][0].setLevel(LEVELS[level])
        return True

    def set_enabled(self, log_path: str, enabled: bool) -> bool:
        """Switch the log *log_path* on or off; False = no such log."""
        if log_path not in self._logs:
            return False
        self._logs[log_path][1].setLevel(logging.NOTSET if enabled else OFF)
        return True

    def errors(self) -> int:
        """Records that could not be written."""
        return sum(handler.errors for _, handler in self._logs.values())

    def reopen(self) -> None:
        """Go on in newly opened files (SIGUSR1)."""
        for _, handler in self._logs.values():
            handler.reopen()

    def close(self) -> None:
        """Detach and close all logs."""
        for logger, handler in self._logs.values():
            logger.removeHandler(handler)
            handler.close()
        self._logs.clear()
        self._levels.clear()
