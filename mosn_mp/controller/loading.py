"""Reading a configuration anew, or editing it, while another one is served: what the controller says to Load."""

from typing import NamedTuple

import msgspec

from mosn_mp.config.diff import diff
from mosn_mp.config.load import Report, check
from mosn_mp.config.model import Config
from mosn_mp.config.snapshot import encode
from mosn_mp.controller.edits import check_edit
from mosn_mp.controller.plan import make_plan
from mosn_mp.controller.stamp import Origin, stamp_of
from mosn_mp.ipc.frames import Frame, Load, Loaded, Rejected, Unchanged
from mosn_mp.ipc.memfd import seal_bytes
from mosn_mp.ipc.plan import encode_plan
from mosn_mp.ipc.report import Changes, Delta
from mosn_mp.plugin import CATALOGUE, Renewal

# Made once, at the start: files and shared memory that everything else hangs on, and who the processes are.
NEEDS_RESTART = ("pid", "servers[0].arena_size", "servers[0].user", "servers[0].group")


class Found(NamedTuple):
    """What goes to the master; *config* is served if the master says so, *renewal* is taken back if not."""

    frame: Frame
    fds: tuple[int, ...]
    config: Config | None = None
    renewal: Renewal | None = None
    origin: Origin | None = None  # None: it was not read from a file, or only for a dry run


def load_anew(wish: Load, served: Config, log_level: str) -> Found:
    """What has to change from *served* to the file that *wish* names; users' modules that changed are loaded anew for it."""
    renewal = CATALOGUE.renew()
    origin = None if wish.is_dry_run else Origin(wish.path, stamp_of(wish.path))
    return _judge(wish, served, log_level, check(wish.path), renewal)._replace(origin=origin)


def load_edit(wish: Load, body: bytes, served: Config, log_level: str) -> Found:
    """What has to change from *served* for the edit of *wish*; users' modules stay as they are: only a reload takes new ones."""
    return _judge(wish, served, log_level, check_edit(served, wish.edit, body, wish.path), None)


def _judge(wish: Load, served: Config, log_level: str, report: Report, renewal: Renewal | None) -> Found:
    problems = [str(problem) for problem in report.errors]
    if report.config is None:
        return _reject(wish, problems, renewal)
    changes = _changes(served, report.config, renewal, tuple(map(str, report.warnings)))
    problems = [
        f"{wish.path}: {name} cannot be changed while the program runs: stop and start it"
        for name in changes.settings.changed
        if name in NEEDS_RESTART
    ]
    if problems:
        return _reject(wish, problems, renewal)
    changes_fd = seal_bytes("mosn_mp-changes", msgspec.msgpack.encode(changes))
    if renewal is None and report.config == served:
        return Found(Unchanged(wish.number), (changes_fd,))
    fds = (
        seal_bytes("mosn_mp-snapshot", encode(report.config)),
        seal_bytes("mosn_mp-plan", encode_plan(make_plan(report.config, wish.path, log_level))),
        changes_fd,
    )
    if wish.is_dry_run:
        take_back(renewal)
        return Found(Loaded(wish.number), fds)
    return Found(Loaded(wish.number), fds, report.config, renewal)


def take_back(renewal: Renewal | None) -> None:
    """What was loaded anew is not served: the old modules are the ones that count."""
    if renewal is not None:
        CATALOGUE.restore(renewal)


def _reject(wish: Load, problems: list[str], renewal: Renewal | None) -> Found:
    take_back(renewal)
    return Found(Rejected(wish.number), (seal_bytes("mosn_mp-problems", "\n".join(problems).encode()),))


def _changes(served: Config, config: Config, renewal: Renewal | None, warnings: tuple[str, ...]) -> Changes:
    found = msgspec.to_builtins(diff(served, config))
    python = Delta(changed=renewal.changed if renewal is not None else ())
    return msgspec.structs.replace(msgspec.convert(found, Changes), python=python, warnings=warnings)
