"""The names that root's master takes from the configuration file by itself: user, group, and what a plan may name then.

A child of it that is nobody, and may neither write nor start anything, reads the file from a descriptor: whatever a file does to
its reader it does to nobody. The answer is a stranger's, and measured and checked as such.
"""

import contextlib
import json
import os
import resource
import select
import signal
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from mosn_mp.config.decoding.address import parse_address
from mosn_mp.config.decoding.defaults import NO_FILE, base_directory
from mosn_mp.config.source.limits import MAX_BYTES
from mosn_mp.errors import ConfigError
from mosn_mp.ipc.privilege import close_all_but

if TYPE_CHECKING:
    from mosn_mp.config.source.source import Source

NOBODY = 65534  # the uid that is given to whoever has none (user_namespaces(7)); no name is looked up for it
MAX_ANSWER_BYTES = 1 << 20  # the names of thousands of directories
FIRST_FREE_PORT = 1024
READ_TIMEOUT_S = 60.0
_MEMORY_BYTES = 8 << 30  # which 64 MB of JSON do not take
_CPU_S = 60


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What a file names; with *problems* it could not be read."""

    user: str = ""
    group: str = ""
    pid_path: str = ""
    directories: list[str] = []  # of its log files
    ports: list[int] = []  # of its listeners, those below FIRST_FREE_PORT
    problems: list[str] = []


class Reading:
    """A file being read; the owner closes it."""

    def __init__(self, config_fd: int, path: str) -> None:
        """Read *config_fd*, opened at *path*, which stays the caller's; OSError if there is no process for it."""
        self._answer = bytearray()
        self._reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # A signal before the child has become itself would be written to the wake-up pipe, which is still the master's.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._pid = os.fork()
            if self._pid == 0:
                _read(config_fd, path, writer)
        except OSError:
            os.close(self._reader)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(writer)

    def fileno(self) -> int:
        """Readable when more of the answer is there."""
        return self._reader

    def take(self) -> bool:
        """Read what is there; whether that is all."""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._reader, 65536):
                self._answer += piece
                if len(self._answer) > MAX_ANSWER_BYTES:
                    return True
            return True
        return False

    def names(self) -> Names:
        """The answer, once take() said that it is all."""
        if len(self._answer) <= MAX_ANSWER_BYTES:
            with contextlib.suppress(ValueError):
                return msgspec.json.decode(self._answer, type=Names)
        return Names(problems=["its reader ended without an answer"])

    def wait_names(self) -> Names:
        """The answer, waited for."""
        poller = select.poll()
        poller.register(self._reader, select.POLLIN)
        until = time.monotonic() + READ_TIMEOUT_S
        while not self.take():
            if not poller.poll(max(0.0, until - time.monotonic()) * 1000):
                return Names(problems=[f"not read within {READ_TIMEOUT_S:g} s"])
        return self.names()

    def close(self) -> None:
        """End the reader, if it still reads."""
        os.close(self._reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):  # the loop took notice of it before
            os.waitpid(self._pid, 0)


def _read(config_fd: int, path: str, writer: int) -> None:
    """Answer into *writer*, and end; in the child. Whatever fails, fails without an answer.

    The plain reader of JSON first: the one that says what is wrong takes 25 ms to be imported, which nobody may be unable to do.
    """
    try:
        signal.set_wakeup_fd(-1)
        close_all_but((config_fd, writer))
        with open(config_fd, "rb", closefd=False) as opened:
            raw = opened.read(MAX_BYTES + 1)
        plain = os.fork()
        if plain == 0:
            _become_nobody()
            _answer(writer, names_in(json.loads(raw), path))
            os._exit(0)
        if os.waitpid(plain, 0)[1] != 0:
            from mosn_mp.config.source.read import parse_source

            _become_nobody()
            _answer(writer, read_names(raw, path, parse_source))
    finally:
        os._exit(1)


def _become_nobody() -> None:
    os.setgroups(())
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)  # from here on the kernel lets no other process look into this one
    for limit, most in (
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_DATA, _MEMORY_BYTES),
    ):
        resource.setrlimit(limit, (most, most))


def _answer(writer: int, names: Names) -> None:
    os.set_blocking(writer, True)
    answer = memoryview(msgspec.json.encode(names))
    while answer:
        answer = answer[os.write(writer, answer) :]


def read_names(raw: bytes, path: str, parse: "Callable[[str, bytes], Source]") -> Names:
    """The names in *raw*, the content of *path*, which *parse* reads."""
    try:
        return names_in(parse(path, raw).value, path)
    except ConfigError as e:
        return Names(problems=e.problem.splitlines())
    except TypeError as e:
        return Names(problems=[f"{path}: {e}"])


def names_in(value: Any, path: str) -> Names:
    """The names in *value*, which the file at *path* says; TypeError if a name is none.

    Everything else that is malformed is left to the controller, who says what is wrong with it.
    """
    base = base_directory(path)
    server = next(_objects(_get(value, "servers")), {})
    logs = [_get(server, "default_log_path") or "logs/mosn.log"]
    ports = set()
    for listener in _objects(_get(server, "listeners")):
        logs += [_get(log, "log_path") or "logs/x" for log in _objects(_get(listener, "access_logs"))]
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            ports.add(parse_address(_get(listener, "address")).port)
    files = [log for log in logs if isinstance(log, str) and log not in NO_FILE]
    return Names(
        user=_text(server, "user"),
        group=_text(server, "group"),
        pid_path=os.path.join(base, _text(value, "pid") or "logs/mosn.pid"),
        directories=sorted({os.path.dirname(os.path.normpath(os.path.join(base, log))) for log in files}),
        ports=sorted(port for port in ports if port < FIRST_FREE_PORT),
    )


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects in the list *value*."""
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _text(value: Any, key: str) -> str:
    found = _get(value, key)
    if found is not None and not isinstance(found, str):
        raise TypeError(f"{key}: expected a text, got {type(found).__name__}")
    return found or ""
