"""`user`: only the master stays root; what it costs is seen from outside, in /proc."""

import os
import signal
import subprocess

import pytest

from tests.process.as_user.user import FOUND, USER, check_unprivileged, ids
from tests.process.program import Program, wait_until
from tests.process.test_crash import wait_workers

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


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
