"""The file of the running configuration: does it say what is served, and (feature gate auto_config) making it say so.

It is replaced as a whole: a temporary file beside it, fsync, rename, fsync of the directory. Whoever reads it, whenever something
is killed, finds the old configuration or the new one. A file that somebody else changed since it was read or written last is not
replaced: the next reload takes it.
"""

import contextlib
import json
import logging
import os
from collections.abc import Callable
from typing import Any

import gevent
import yaml
from gevent.lock import BoundedSemaphore

from mosn_mp.config.model import Config
from mosn_mp.config.source.read import is_yaml
from mosn_mp.controller.config_tree import config_tree
from mosn_mp.controller.stamp import Origin, stamp_of
from mosn_mp.ipc.frames import Filed

log = logging.getLogger("mosn_mp.controller")

RETRY_S = 10.0  # a full disk may have room again
CHANGED = "somebody changed it since it was read: it is left as it is, for the next reload"


class ConfigFile:
    """The file at *path*. When nothing is left to be done for a version that is served *tell* hears which one the file says."""

    def __init__(self, path: str, is_kept: bool, tell: Callable[[Filed], None]) -> None:
        """*is_kept*: auto_config is on."""
        self.path = path
        self._is_kept = is_kept
        self._tell = tell
        self._one_at_a_time = BoundedSemaphore(1)
        self._served: tuple[Config, int] | None = None  # which the file does not say
        self._version = 0  # that is served
        self.known = Filed(0)  # what was told last, by this controller or the one before it

    @property
    def problem(self) -> str:
        """Why the file does not say what is served although auto_config is on; "" = it does."""
        return self.known.problem

    def was_read(self, origin: Origin, version: int) -> None:
        """Served *version* was read from *origin*."""
        self.path, self._served, self._version = origin.path, None, version
        self._note(version, origin.stamp)

    def says(self, origin: Origin, version: int) -> None:
        """A file says the same as *version*, which is served: if it is this one, there is nothing to write."""
        if origin.path == self.path:
            self.was_read(origin, version)

    def serve(self, config: Config, version: int) -> None:
        """*config* is served as *version*, and is not of the file: write it, if it is to be kept."""
        self._version = version
        if not self._is_kept or version <= self.known.version:
            self._note(self.known.version, self.known.stamp, self.known.problem)
            return
        self._served = (config, version)
        self._write()

    def leave(self) -> None:
        """It is another process's from now on: nothing is written any more."""
        self._is_kept, self._served = False, None

    def _write(self) -> None:
        with self._one_at_a_time:
            if self._served is None:
                return
            config, version = self._served
            content = config_text(config, self.path).encode()
            # In a thread: a disk may take its time, and the admin API answers meanwhile.
            result = gevent.get_hub().threadpool.apply(_try_replace, (self.path, content, self.known.stamp))
            if isinstance(result, str):
                log.info("version %d is written to %s", version, self.path)
                self._served = None
                self._note(version, result)
                return
            text = f"{self.path}: {result}"
            if isinstance(result, OSError):
                text = f"{result.filename or self.path}: {result.strerror}"
            log.error("version %d is not written to its file: %s", version, text)
            self._note(self.known.version, self.known.stamp, text)
            if isinstance(result, OSError):
                gevent.spawn_later(RETRY_S, self._write)

    def _note(self, version: int, stamp: str, problem: str = "") -> None:
        self.known = Filed(version, stamp, problem, self._version)
        self._tell(self.known)


def config_text(config: Config, path: str) -> str:
    """The content of a file at *path*, JSON or YAML by its name, that loads as *config*; what is as by default is left out."""
    tree: Any = config_tree(config, leave_out_defaults=True)
    if is_yaml(path):
        return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=130)
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def _try_replace(path: str, content: bytes, stamp: str) -> str | OSError | ValueError:
    """What replace_file() returns or raises: gevent logs whatever is raised in one of its threads."""
    try:
        return replace_file(path, content, stamp)
    except (OSError, ValueError) as e:
        return e


def replace_file(path: str, content: bytes, stamp: str) -> str:
    """Put *content* into the place of the file at *path*, with its mode and owner; the new stamp. OSError: nothing was changed.

    ValueError if the file has another stamp than *stamp*: somebody else wrote it.
    """
    path = os.path.realpath(path)  # of a link the target is replaced
    if stamp_of(path) != stamp:
        now = stamp_of(path)
        with open(path, "rb") as file:
            if file.read() == content:  # by a controller that was killed before it could tell
                return now
        raise ValueError(CHANGED)
    directory, name = os.path.split(path)
    # Always this name: one that was left behind by a kill -9 is the only one, and goes now.
    temporary = os.path.join(directory, f".{name}.mosn_mp")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    try:
        _write_as(temporary, content, os.stat(path))
        written = stamp_of(temporary)
        if stamp_of(path) != stamp:  # the disk took its time
            raise ValueError(CHANGED)
        os.rename(temporary, path)
    except (OSError, ValueError):
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    with contextlib.suppress(OSError):  # some file systems cannot; what a power failure leaves then is the old file or this one
        directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory_fd)
        finally:
            os.close(directory_fd)
    return written


def _write_as(path: str, content: bytes, model: os.stat_result) -> None:
    """Make a file at *path*, on the disk when this returns, with mode and owner of *model*."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb", buffering=0) as fresh:
        made = os.fstat(fd)
        if (model.st_uid, model.st_gid) != (made.st_uid, made.st_gid):
            os.fchown(fd, model.st_uid, model.st_gid)
        os.fchmod(fd, model.st_mode & 0o7777)
        left = memoryview(content)
        while left:
            left = left[fresh.write(left) or 0 :]
        os.fsync(fd)
