"""Where a configuration was read from, and whether that was changed since."""

import os
from typing import NamedTuple


class Origin(NamedTuple):
    """A file, and its stamp when it was read."""

    path: str
    stamp: str


def stamp_of(path: str) -> str:
    """What changes when the file at *path* does; "" if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"
