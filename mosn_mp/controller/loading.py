"""Reading a configuration anew, or editing it, while another one is served: what the controller says to Load."""

from collections.abc import Mapping, Set
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
from mosn_mp.ipc.memfd import seal_bytes, seal_each
from mosn_mp.ipc.plan import encode_plan
from mosn_mp.ipc.report import Changes, Delta
from mosn_mp.plugin import CATALOGUE, Edition, Module, Sources

# Made once, at the start: files and shared memory that everything else hangs on, and who the processes are.
NEEDS_RESTART = ("pid", "servers[0].arena_size", "servers[0].user", "servers[0].group")


class Found(NamedTuple):
    """What goes to the master; *config* and *edition* of users' Python are served if the master says so."""

    frame: Frame
    fds: tuple[int, ...]
    edition: Edition
    config: Config | None = None
    origin: Origin | None = None  # None: it was not read from a file, or only for a dry run


def load_anew(wish: Load, served: Config, log_level: str) -> Found:
    """What has to change from *served* to the file that *wish* names, and users' Python as it lies there now."""
    before = CATALOGUE.sources()
    edition = Edition() if CATALOGUE.edition.is_outdated() else CATALOGUE.edition.look_anew()
    origin = None if wish.is_dry_run else Origin(wish.path, stamp_of(wish.path))
    with CATALOGUE.using(edition):
        report = check(wish.path)
    if not report.does_harm and edition.is_outdated():  # the file names other directories, or another file was written meanwhile
        edition = Edition()
        with CATALOGUE.using(edition):
            report = check(wish.path)
    return _judge(wish, served, before, log_level, report, edition, origin)


def load_edit(wish: Load, body: bytes, served: Config, log_level: str) -> Found:
    """What has to change from *served* for the edit of *wish*; users' modules stay as they are: only a reload takes new ones."""
    before = CATALOGUE.sources()
    edition = CATALOGUE.edition.successor()
    with CATALOGUE.using(edition):
        report = check_edit(served, wish.edit, body, wish.path)
    return _judge(wish, served, before, log_level, report, edition, None)


def _judge(
    wish: Load, served: Config, before: Sources, log_level: str, report: Report, edition: Edition, origin: Origin | None
) -> Found:
    problems = [str(problem) for problem in report.errors]
    if report.config is None:
        return reject(wish, problems, edition)
    sources = edition.sources()
    changes = _changes(served, report.config, before, sources, tuple(map(str, report.warnings)))
    problems = [
        f"{wish.path}: {name} cannot be changed while the program runs: stop and start it"
        for name in changes.settings.changed
        if name in NEEDS_RESTART
    ]
    if problems:
        return reject(wish, problems, edition)
    packed_changes = msgspec.msgpack.encode(changes)
    if sources == before and report.config == served:
        return Found(Unchanged(wish.number), (seal_bytes("mosn_mp-changes", packed_changes),), edition, origin=origin)
    plan = make_plan(report.config, wish.path, log_level, origin.stamp if origin else "")
    fds = seal_each({
        "mosn_mp-snapshot": encode(report.config, sources),
        "mosn_mp-plan": encode_plan(plan),
        "mosn_mp-changes": packed_changes,
    })  # fmt: skip
    return Found(Loaded(wish.number), fds, edition, None if wish.is_dry_run else report.config, origin)


def reject(wish: Load, problems: list[str], edition: Edition) -> Found:
    """What is said where nothing comes of *wish*."""
    return Found(Rejected(wish.number), (seal_bytes("mosn_mp-problems", "\n".join(problems).encode()),), edition)


def _changes(served: Config, config: Config, before: Sources, sources: Sources, warnings: tuple[str, ...]) -> Changes:
    found = msgspec.to_builtins(diff(served, config))
    python = _python(before.modules, sources.modules)
    return msgspec.structs.replace(msgspec.convert(found, Changes), python=python, warnings=warnings)


def _python(before: Mapping[str, Module], now: Mapping[str, Module]) -> Delta:
    """The files of users' modules that differ."""

    def files(modules: Mapping[str, Module], names: Set[str]) -> tuple[str, ...]:
        return tuple(sorted(modules[name].file for name in names if modules[name].file))

    changed = {name for name in before.keys() & now.keys() if before[name] != now[name]}
    return Delta(files(now, now.keys() - before.keys()), files(now, changed), files(before, before.keys() - now.keys()))
