"""The access logs of one worker: a format and a file each; logs with one path share the file and its thread.

Follows MOSN's pkg/log/accesslog.go: lines are written asynchronously and dropped when the writer cannot keep up; here drops are
counted.
"""

from collections.abc import Iterable
from weakref import WeakValueDictionary

import cython
from cython.cimports.mosn_mp.observe.access_log.format import LogFormat
from cython.cimports.mosn_mp.observe.access_log.record import Record
from cython.cimports.mosn_mp.observe.access_log.writer import LogWriter

from mosn_mp.errors import ConfigError
from mosn_mp.observe.access_log.writer import FLUSH_INTERVAL_MS, RING_BYTES


class AccessLog:
    """One entry of listeners[].access_logs. Made by AccessLogs.open(); the file is closed when its last log is gone."""

    def __init__(self, format: LogFormat, writer: LogWriter) -> None:
        self.format = format
        self.writer = writer
        writer.users += 1

    def __del__(self) -> None:
        if self.writer is not None:
            self.writer.users -= 1
            if self.writer.users == 0:
                self.writer.stop()

    def write(self, record: Record) -> cython.void:
        """Log *record*."""
        writer: LogWriter = self.writer
        if not writer.enabled:
            return
        if self.format.functions:
            # A function in plain Python may switch greenlets: nothing may be under way in the ring meanwhile.
            writer.append_text(self.format.line(record))
        else:
            writer.append(self.format, record)

    def log(self, record: Record) -> None:
        """write() for callers in plain Python."""
        self.write(record)


def check_access_log(log_path: str, log_format: str, path: str, python_path: Iterable[str] = ()) -> None:
    """Raise the ConfigError that open() would raise, without touching any file: the controller checks a config with it."""
    LogFormat(log_format, f"{path}.log_format", python_path)
    if log_path.startswith("syslog"):
        raise ConfigError(f"{path}.log_path", f"'{log_path}': access logs go to a file, stdout or stderr in this version")


class AccessLogs:
    """All access logs of this process, by file."""

    def __init__(self, ring_bytes: int = RING_BYTES, flush_interval_ms: int = FLUSH_INTERVAL_MS) -> None:
        self._ring_bytes = ring_bytes
        self._flush_interval_ms = flush_interval_ms
        self._writers: WeakValueDictionary[str, LogWriter] = WeakValueDictionary()

    def open(self, log_path: str, log_format: str, path: str, python_path: Iterable[str] = ()) -> AccessLog:
        """The log of *log_format* ("" = MOSN's default) into *log_path* (a file, `stdout`, `stderr`); directories are made.

        *path* names the entry in the configuration; raises ConfigError there. Call it after fork: it starts the file's thread.
        """
        check_access_log(log_path, log_format, path, python_path)
        compiled = LogFormat(log_format, f"{path}.log_format", python_path)
        writer = self._writers.get(log_path)
        if writer is None or writer.is_closing:
            try:
                writer = LogWriter(log_path, self._ring_bytes, self._flush_interval_ms)
            except OSError as e:
                raise ConfigError(f"{path}.log_path", f"cannot open '{log_path}': {e.strerror}") from e
            self._writers[log_path] = writer
        return AccessLog(compiled, writer)

    def writers(self) -> list[LogWriter]:
        """The open files, for their counters."""
        return [writer for writer in self._writers.values() if not writer.is_closing]

    def reopen(self) -> None:
        """Go on in newly opened files (SIGUSR1); a file that cannot be opened again is kept and counted."""
        for writer in self.writers():
            writer.reopen()

    def set_enabled(self, log_path: str, enabled: bool) -> bool:
        """Switch the logs of *log_path* on or off; False = there are none."""
        writer = self._writers.get(log_path)
        if writer is None or writer.is_closing:
            return False
        writer.enabled = enabled
        return True

    def close(self, timeout_s: float = 2.0) -> bool:
        """Write what is there and close all files; False = some thread was still writing after *timeout_s* each."""
        writers = list(self._writers.values())
        for writer in writers:
            writer.stop()
        return all([writer.wait_stopped(timeout_s) for writer in writers])
