"""As whom controller and workers run: `user` and `group` of a server, looked up in the system's databases (passwd(5), group(5)).

The names mean what nginx's `user` and systemd's `User=`, `Group=` mean: without a group it is the user's own, and the
supplementary groups are those that the user is a member of (initgroups(3)).
"""

import grp
import os
import pwd

from msgspec import Struct

from mosn_mp.config.model import Server
from mosn_mp.errors import ConfigError

USER, GROUP = "servers[0].user", "servers[0].group"


class Identity(Struct, frozen=True, array_like=True):
    """A user with everything that setgroups(2), setgid(2) and setuid(2) want to know."""

    user: str
    uid: int
    gid: int
    groups: tuple[int, ...]


def find_identity(server: Server) -> Identity | None:
    """Who *server* says that it runs as, None if it says nothing; ConfigError if there is no such user or group."""
    return look_up(server.user, server.group)


def look_up(user: str, group: str) -> Identity | None:
    """The identity of *user*, in *group* ("" = the user's own), None without a user; ConfigError as find_identity()."""
    if not user:
        if group:
            raise ConfigError(GROUP, f"the group '{group}' needs a user beside it")
        return None
    try:
        found = pwd.getpwnam(user)
    except (KeyError, ValueError) as e:  # ValueError: a NUL in the name
        raise ConfigError(USER, f"there is no user '{user}' on this machine") from e
    try:
        gid = grp.getgrnam(group).gr_gid if group else found.pw_gid
    except (KeyError, ValueError) as e:
        raise ConfigError(GROUP, f"there is no group '{group}' on this machine") from e
    return Identity(user, found.pw_uid, gid, tuple(os.getgrouplist(user, gid)))
