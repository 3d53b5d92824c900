"""What the master lets the controller decide: fixed by root's configuration file, never by whom the controller and workers are.

Root starts the program from a file that root alone can change, or says on the command line whom the program becomes (`--user`).
Whom it becomes, where it writes and which privileged ports it binds the master reads from there by itself (names.py), before
there is a controller, and anew at each reload of such a file. A plan names no identity; what else it names is held against
this.
"""

import os
from typing import NamedTuple

from mosn_mp.config.identity import Identity, look_up
from mosn_mp.errors import ConfigError, printable
from mosn_mp.ipc.plan import Plan
from mosn_mp.master.border.names import FIRST_FREE_PORT, NOBODY, Names, Reading
from mosn_mp.master.border.paths import open_config


class GrantError(Exception):
    """Root cannot start or reload from this file; `problems` says why, a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Grant(NamedTuple):
    """What a plan may name; of a master without *identity* anything: its controller may do what itself may."""

    identity: Identity | None = None  # whom controller and workers become; None = they stay who the master is
    option: str = ""  # --user, which wins over the file
    pid_path: str = ""  # "" = only in a directory of the user's own
    directories: frozenset[str] = frozenset()  # for log files, beside the user's own
    ports: frozenset[int] = frozenset()  # below FIRST_FREE_PORT
    is_bound: bool = False  # to the rest of these

    def covering(self, plan: Plan) -> "Grant":
        """This, and what *plan* names, which a master before us served."""
        ports = {listener.port for listener in plan.listeners if listener.port < FIRST_FREE_PORT}
        directories = {os.path.dirname(path) for path in (plan.log_path, *plan.access_logs)}
        return self._replace(directories=self.directories | directories, ports=self.ports | ports)


def grant_at_start(config_path: str, option: str) -> Grant:
    """What this process lets a controller decide; *option* is that of `--user`. GrantError."""
    if os.geteuid() != 0:
        if option:
            raise GrantError(["--user: only root can become somebody else: leave it out, or start the program as root"])
        return Grant()
    reading, is_roots = open_reading(config_path, option)
    try:
        grant = grant_of(reading.wait_names(), config_path, option)
    finally:
        reading.close()
    return grant if is_roots else grant._replace(directories=frozenset(), pid_path="")


def reader_of(config_path: str, option: str) -> Identity | None:
    """Whom the program started from this file would become, for a root who only looks at it: before users' Python is imported.

    None: whoever asks. GrantError. A file that does not say it, or is no configuration, has nobody's rights.
    """
    if os.geteuid() != 0:
        return grant_at_start(config_path, option).identity
    reading, _ = open_reading(config_path, option)
    try:
        return grant_of(reading.wait_names(), config_path, option).identity
    except GrantError:  # whoever reads all of the file says it better
        return Identity("nobody", NOBODY, NOBODY, ())
    finally:
        reading.close()


def open_reading(config_path: str, option: str) -> tuple[Reading, bool]:
    """Begin to read the names in *config_path*; and whether root alone can change it. GrantError: it needs *option*."""
    try:
        fd, others = open_config(config_path)
        try:
            if others and not option:
                raise GrantError([printable(f"{config_path}: {others}: {_ADVICE}")])
            return Reading(fd, os.path.abspath(config_path)), not others
        finally:
            os.close(fd)
    except OSError as e:
        problem = e.strerror or str(e)
        raise GrantError([printable(f"{config_path}: cannot be read: {problem[:1].lower()}{problem[1:]}")]) from e


_ADVICE = (
    "root starts only what root alone can change; give the file and its directories to root (chown root, chmod go-w), or say "
    "whom the program becomes: mosn_mp start --user NAME"
)


def grant_of(names: Names, config_path: str, option: str) -> Grant:
    """What *names*, which *config_path* says, grant; GrantError."""
    if names.problems:
        raise GrantError([printable(problem[:2000]) for problem in names.problems[:200]])
    user, group = names.user, names.group
    if option:
        wanted, _, wanted_group = option.partition(":")
        if (user and user != wanted) or (group and group != wanted_group):
            said = f"{user}:{group}" if group else user
            raise GrantError([printable(f"{config_path}: servers[0].user: the file says '{said}', --user says '{option}'")])
        user, group = wanted, wanted_group
    try:
        identity = look_up(user, group)
    except ConfigError as e:
        raise GrantError([printable(f"{config_path}: {e.path}: {e.problem}")]) from e
    is_bound = identity is not None and identity.uid != 0
    return Grant(identity, option, names.pid_path, frozenset(names.directories), frozenset(names.ports), is_bound)


def check_same_identity(served: Grant, fresh: Grant, config_path: str) -> None:
    """GrantError if *fresh*, of the file at *config_path*, makes the program somebody else."""
    if served.identity != fresh.identity:
        names = ["servers[0].user", "servers[0].group"]
        changed = names[0] if (served.identity and served.identity.uid) != (fresh.identity and fresh.identity.uid) else names[1]
        raise GrantError([f"{config_path}: {changed} cannot be changed while the program runs: stop and start it"])
