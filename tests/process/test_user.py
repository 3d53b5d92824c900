"""`user`: only the master stays root; what it costs is seen from outside, in /proc."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.program import ROOT, Program, wait_until
from tests.process.test_crash import wait_workers

USER = "nobody"
FOUND = pwd.getpwnam(USER)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def can_run(python: str, path: str = "") -> bool:
    """Whether USER can run *python* with our code and libraries."""
    command = [python, "-c", "import msgspec, gevent, mosn_mp.config.load"]
    environment = {"PYTHONPATH": path or str(ROOT)}
    try:
        subprocess.run(command, env=environment, user=USER, group=FOUND.pw_gid, cwd="/", capture_output=True, check=True)
    except (PermissionError, subprocess.CalledProcessError):
        return False
    return True


@pytest.fixture(scope="module")
def interpreter() -> tuple[str, str]:
    """A Python that USER can run, and its path to modules: the tests' own one may lie in a home directory."""
    if can_run(sys.executable):
        return sys.executable, str(ROOT)
    system = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/local/bin:/usr/bin") or ""
    path = f"{ROOT}:{sysconfig.get_path('purelib')}"
    if not system or not can_run(system, path):
        pytest.skip(f"'{USER}' can run neither {sys.executable} nor another Python of its version")
    return system, path


@pytest.fixture
def program(interpreter: tuple[str, str]) -> Iterator[Program]:
    """A program for USER, in a directory where he may read (pytest's own are root's alone) and not write."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        made = Program(Path(directory))
        made.python, made.environment["PYTHONPATH"] = interpreter
        made.server["user"] = USER
        made.server["listeners"][0]["access_logs"] = [{}]
        made.write()
        try:
            yield made
        finally:
            made.end()


def ids(pid: int) -> dict[str, list[str]]:
    """What /proc/PID/status says of users, groups and capabilities."""
    lines = (line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: value.split() for name, value in lines if name in ("Uid", "Gid", "Groups") or name.startswith("Cap")}


def check_unprivileged(pid: int) -> None:
    """*pid* is USER in every way and may do nothing that he may not."""
    found = ids(pid)
    assert found["Uid"] == [str(FOUND.pw_uid)] * 4
    assert found["Gid"] == [str(FOUND.pw_gid)] * 4
    assert sorted(found["Groups"]) == sorted(map(str, os.getgrouplist(USER, FOUND.pw_gid)))
    assert {int(found[kind][0], 16) for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {0}


def test_controller_and_workers_are_the_user_and_serve(program: Program) -> None:
    program.start()
    assert program.master is not None
    assert ids(program.master.pid)["Uid"] == ["0"] * 4
    for pid in (*program.pids("worker"), *program.pids("controller")):
        check_unprivileged(pid)
    assert program.get() in program.pids("worker")
    assert all(process["pss_bytes"] > 0 for process in program.status()["processes"])


def test_those_that_come_later_are_the_user_too(program: Program) -> None:
    program.start()
    victim, controller = program.pids("worker")[0], program.pids("controller")[0]
    os.kill(victim, signal.SIGKILL)
    os.kill(controller, signal.SIGKILL)
    workers = wait_workers(program, 2, without=victim)
    fresh = wait_until(lambda: [pid for pid in program.pids("controller") if pid != controller], "a new controller")
    program.server["processor"] = 3
    program.write()
    done = program.run("reload")
    assert done.returncode == 0, done.stderr
    for pid in (*workers, *fresh, *wait_workers(program, 3)):
        check_unprivileged(pid)


def test_the_next_generation_is_the_user_too(program: Program) -> None:
    program.start()
    assert program.master is not None
    old = program.family()
    done = program.run("upgrade")
    assert done.returncode == 0, done.stderr
    program.master.wait(20)  # its connections have moved: it leaves at once
    wait_until(lambda: not set(program.family()) & set(old), "the end of the old generation")
    for pid in (*program.pids("worker"), *program.pids("controller")):
        check_unprivileged(pid)
    assert program.get() in program.pids("worker")
    access = program.log.parent / "front_access.log"
    wait_until(lambda: access.exists() and access.read_text(), "a line of the access log")


def test_logs_of_root_are_written_by_the_user_also_after_a_rotation(program: Program) -> None:
    program.start()
    access = program.log.parent / "front_access.log"
    victim = program.get()
    wait_until(lambda: access.exists() and access.read_text(), "a line of the access log")
    for path in (program.log, access):
        path.rename(f"{path}.1")
    program.signal(signal.SIGUSR1)
    wait_until(lambda: "SIGUSR1" in program.log_text(), "new logs")
    assert {path.stat().st_uid for path in (program.log, access)} == {FOUND.pw_uid}
    assert program.log.parent.stat().st_uid == 0
    os.kill(victim, signal.SIGTERM)  # the worker says so itself
    wait_workers(program, 2, without=victim)
    program.get()
    wait_until(access.read_text, "a line of the new access log")
    for path in (program.log, access):
        path.rename(f"{path}.2")
    other = program.get()
    os.kill(other, signal.SIGKILL)  # its replacement finds no log
    wait_workers(program, 2, without=other)
    assert access.stat().st_uid == FOUND.pw_uid


def test_a_link_in_place_of_a_log_gives_nobody_a_file_of_root(program: Program) -> None:
    treasure = program.directory / "treasure"
    treasure.write_text("mine\n")
    logs = program.log.parent
    logs.mkdir()
    os.chown(logs, FOUND.pw_uid, FOUND.pw_gid)
    (logs / "front_access.log").symlink_to(treasure)
    os.link(treasure, logs / "mosn.log")
    master = program.spawn()
    assert "cannot open" in master.communicate(timeout=10)[1]
    assert treasure.stat().st_uid == 0


def test_a_user_that_is_not_there_is_refused(program: Program) -> None:
    program.server["user"] = "nobody-at-all"
    program.write()
    master = program.spawn()
    assert "servers[0].user: there is no user 'nobody-at-all' on this machine" in master.communicate(timeout=10)[1]
    assert master.returncode == 1


def test_a_file_that_the_user_cannot_read_is_refused_at_the_start(program: Program) -> None:
    program.path.chmod(0o600)
    master = program.spawn()
    assert f"servers[0].user: '{USER}' cannot read {program.path}" in master.communicate(timeout=10)[1]
    assert master.returncode == 1


def test_another_user_than_root_can_be_himself_and_nobody_else(program: Program) -> None:
    os.chown(program.directory, FOUND.pw_uid, FOUND.pw_gid)
    command = [program.python, "-m", "mosn_mp", "start", "-c", str(program.path)]

    def spawn() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            command, env=program.environment, user=USER, group=FOUND.pw_gid, extra_groups=[], stderr=subprocess.PIPE, text=True
        )

    program.server["user"] = "daemon"
    program.write()
    program.path.chmod(0o644)
    master = spawn()
    expected = f"servers[0].user: user {FOUND.pw_uid} cannot become 'daemon': start the program as root, or name no user"
    assert expected in master.communicate(timeout=10)[1]
    program.server["user"] = USER
    program.write()
    program.master = spawn()
    program.wait_serving()


def test_a_reload_does_not_change_the_user(program: Program) -> None:
    program.start()
    program.server["user"] = "daemon"
    program.write()
    done = program.run("reload")
    assert done.returncode == 1
    assert "servers[0].user cannot be changed while the program runs" in done.stderr
