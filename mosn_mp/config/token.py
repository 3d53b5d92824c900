"""The file with the token of the admin API: who can read it may change the configuration, so nobody else may."""

import os
import stat
from collections.abc import Collection

from mosn_mp.errors import ConfigError

MAX_BYTES = 4096
SHORTEST = 16  # characters; `openssl rand -hex 16` gives 32
_NOT_FOR_OTHERS = stat.S_IWGRP | stat.S_IRWXO


def read_token(file: str, owners: Collection[int]) -> bytes:
    """The token in *file*, without the white space around it.

    ConfigError unless the file belongs to root or one of *owners*, who alone can change it, and at most a group reads it too.
    """
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError) as e:
        raise ConfigError("", f"{file} cannot be read: {getattr(e, 'strerror', None) or e}") from e
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError("", f"{file} is no file")
        if found.st_uid not in (0, *owners):
            raise ConfigError("", f"{file} belongs to user {found.st_uid}: give it to root, or to whom the program runs as")
        if found.st_mode & _NOT_FOR_OTHERS:
            mode = stat.S_IMODE(found.st_mode)
            raise ConfigError("", f"{file} has mode {mode:04o}: others could read or change it; write `chmod 0600 {file}`")
        token = os.read(fd, MAX_BYTES + 1).strip()
    finally:
        os.close(fd)
    if not SHORTEST <= len(token) <= MAX_BYTES or not all(0x21 <= byte <= 0x7E for byte in token):
        raise ConfigError("", f"{file} holds no token: one word of at least {SHORTEST} visible ASCII characters")
    return token
