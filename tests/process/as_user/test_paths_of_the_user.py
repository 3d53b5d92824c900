"""The user owns the directories of the logs and of the pid file: what he puts there costs root nothing."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.process.as_user.taken_over import snapshot_of
from tests.process.as_user.user import FOUND
from tests.process.program import Program, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to lose here")


@pytest.fixture
def his(program: Program) -> Program:
    """The program, with a directory of logs that is the user's."""
    program.log.parent.mkdir()
    os.chown(program.log.parent, FOUND.pw_uid, FOUND.pw_gid)
    return program


@pytest.fixture
def treasure(program: Program) -> Path:
    """A file of root's."""
    path = program.directory / "treasury" / "mosn.log"
    path.parent.mkdir()
    path.write_text("root's own\n")
    return path


@pytest.mark.parametrize("name", ["mosn.log", "mosn.pid"])
def test_a_fifo_does_not_hold_the_start(name: str, his: Program) -> None:
    fifo = his.log.parent / name
    os.mkfifo(fifo)
    os.chown(fifo, FOUND.pw_uid, FOUND.pw_gid)
    master = his.spawn()
    assert "it is no regular file" in master.communicate(timeout=30)[1]
    assert master.returncode == 1


@pytest.mark.parametrize("name", ["mosn.log", "mosn.pid", "front_access.log"])
def test_a_link_leads_root_nowhere(name: str, his: Program, treasure: Path) -> None:
    before = snapshot_of(treasure)
    (his.log.parent / name).symlink_to(treasure)
    master = his.spawn()
    said = master.communicate(timeout=30)[1]
    assert master.returncode == 1
    assert name in said
    assert snapshot_of(treasure) == before


@pytest.mark.parametrize("name", ["mosn.log", "mosn.pid", "front_access.log"])
def test_a_second_name_of_roots_file_gives_nobody_that_file(name: str, his: Program, treasure: Path) -> None:
    before = snapshot_of(treasure)
    os.link(treasure, his.log.parent / name)
    master = his.spawn()
    said = master.communicate(timeout=30)[1]
    assert master.returncode == 1
    assert name in said
    assert snapshot_of(treasure) == before


def test_a_link_above_leads_root_nowhere(his: Program, treasure: Path) -> None:
    """Not only the last name of a path is looked at."""
    inner = his.log.parent / "inner"
    inner.symlink_to(treasure.parent)
    before = snapshot_of(treasure)
    his.server["default_log_path"] = str(inner / "mosn.log")
    his.write()
    master = his.spawn()
    assert "is a link in a directory that others than root can change" in master.communicate(timeout=30)[1]
    assert snapshot_of(treasure) == before


@pytest.mark.parametrize("trap", ["fifo", "link", "hard link", "directory"])
def test_traps_that_are_laid_while_it_runs_catch_nothing(trap: str, his: Program, treasure: Path) -> None:
    his.start()
    victim = his.get()
    before = snapshot_of(treasure)
    access = his.log.parent / "front_access.log"
    written = his.log.rename(his.directory / "written.log")
    access.unlink()
    for path in (his.log, access):
        if trap == "fifo":
            os.mkfifo(path)
            os.chown(path, FOUND.pw_uid, FOUND.pw_gid)
        elif trap == "link":
            path.symlink_to(treasure)
        elif trap == "hard link":
            os.link(treasure, path)
        else:
            path.mkdir()
    his.signal(signal.SIGUSR1)
    wait_until(lambda: "SIGUSR1: logs reopened" in written.read_text(), "the master goes on, in the log that it had")
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: "ended" in written.read_text(), "the master notices")
    assert snapshot_of(treasure) == before
    his.signal(signal.SIGTERM)
    assert his.wait_exit() == 0


def test_an_exchanged_directory_costs_no_file_of_its_names(his: Program) -> None:
    """At its end the master removes its pid file and its socket, and not those of another directory."""
    his.start()
    treasury = his.directory / "treasury"
    treasury.mkdir()
    for name in ("mosn.pid", "mosn.pid.sock"):
        (treasury / name).write_text("root's own\n")
    shutil.move(his.log.parent, his.directory / "moved")
    his.log.parent.symlink_to(treasury)
    his.signal(signal.SIGTERM)
    assert his.wait_exit() == 0
    assert sorted(os.listdir(treasury)) == ["mosn.pid", "mosn.pid.sock"]
    assert not (his.directory / "moved" / "mosn.pid").exists()
