"""Log files that root opens, and makes for whom controller and workers are; they may lie in a directory of his."""

import os

from mosn_mp.config.identity import Identity
from mosn_mp.master.border.paths import QUIET, checked, find_place, open_there
from mosn_mp.observe.log_files import FILE_MODE, open_to_append


def open_log(path: str, owner: Identity | None) -> int:
    """A descriptor that appends to the log file at *path*, which is made if it is not there, *owner*'s then. OSError.

    As root: one that is there is a file of *owner*'s (of root's, without one) under no other name; nothing is given to anybody
    that was not made here.
    """
    if os.geteuid() != 0:
        return open_to_append(path)
    flags = os.O_WRONLY | os.O_APPEND
    place = find_place(path, make=True)
    try:
        try:
            fd = os.open(place.name, flags | QUIET | os.O_CREAT | os.O_EXCL, FILE_MODE, dir_fd=place.fd)
        except FileExistsError:
            return checked(open_there(place, flags), path, owner.uid if owner is not None else 0)
        if owner is not None:
            os.fchown(fd, owner.uid, owner.gid)
        return fd
    finally:
        os.close(place.fd)
