"""The controller runs users' Python, and may be anybody's: root's master gives it nothing that root's file does not."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.ports import privileged_port
from tests.process.as_user.taken_over import TakenOver, snapshot_of
from tests.process.as_user.user import check_unprivileged
from tests.process.dynamic import Dynamic
from tests.process.program import Program, wait_until
from tests.process.test_crash import wait_workers

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to lose here")

REFUSED_PORT = 1  # never opened, and the same in every process that collects these tests
LISTENER = {"name": "mine", "host": "127.0.0.1", "port": REFUSED_PORT, "bind": True, "backlog": 10}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"log_path": "/etc/mosn_mp_test/mosn.log"}, "root's file names no log in /etc/mosn_mp_test"),
    ({"access_logs": ["/etc/mosn_mp_test/access.log"]}, "root's file names no log in /etc/mosn_mp_test"),
    ({"access_logs": ["/var/log/../../etc/mosn_mp_test/access.log"]}, "root's file names no log in /etc/mosn_mp_test"),
    ({"log_path": "syslog+tcp://127.0.0.1:1"}, "it is no absolute path"),
    ({"pid_path": "/etc/mosn_mp_test/mosn.pid"}, "pid"),
    ({"config_path": "/etc/mosn_mp_test/mosn.json"}, "the plan is that of another file"),
    ({"listeners": [LISTENER]}, f"port {REFUSED_PORT} is privileged, and root's file does not name it"),
    ({"listeners": [LISTENER | {"host": "localhost; rm -rf"}]}, "is no IP address"),
    ({"workers": 100_000}, "workers: 100000 is not from 1 to 250"),
    ({"graceful_timeout_s": float("nan")}, "graceful_timeout: nan"),
    ({"stall_timeout_s": -1.0}, "worker_stall_timeout: -1"),
    ({"clusters": [["x" * 5000, []]]}, "its name has more than 4096 characters"),
    ({"clusters": [["up", ["x" * 300]]]}, "a host's address has more than 256 characters"),
    ({"log_level": "LOUD\nroot: all is well"}, r"'LOUD\nroot: all is well' is no log level"),
]


def reload(program: Program) -> "subprocess.CompletedProcess[str]":
    """Reload a file that says something new."""
    program.server["graceful_timeout"] = f"{int(program.server['graceful_timeout'][:-1]) + 1}s"
    program.write()
    return program.run("reload")


@pytest.mark.parametrize("identity", [None, ["root", 0, 0, [0]]])
def test_no_plan_says_whom_workers_become(identity: object, program: Program) -> None:
    TakenOver(program).order({"identity": identity})
    program.start()
    for pid in (*program.pids("worker"), *program.pids("controller")):
        check_unprivileged(pid)


# What a start refuses a reload refuses too, in one program: the rest of the list.
@pytest.mark.parametrize(
    ("orders", "problem"),
    [
        *(pytest.param(*one, marks=() if number in (0, 4, 6) else pytest.mark.slow) for number, one in enumerate(REFUSED)),
        ({"arena_bytes": 1 << 50}, "arena_size"),
    ],
)
def test_a_start_with_a_plan_that_the_file_does_not_allow_is_refused(
    orders: dict[str, Any], problem: str, program: Program
) -> None:
    TakenOver(program).order(orders)
    master = program.spawn()
    said = master.communicate(timeout=30)[1]
    assert master.returncode == 1
    assert problem in said
    assert all(line.startswith(f"{program.path}: ") for line in said.splitlines())
    assert not Path("/etc/mosn_mp_test").exists()


def test_a_reload_with_such_a_plan_is_refused_and_the_program_serves_on(program: Program) -> None:
    controller = TakenOver(program)
    program.start()
    workers = program.pids("worker")
    for orders, problem in REFUSED:
        controller.order(orders)
        done = reload(program)
        assert done.returncode == 1, orders
        assert problem in done.stderr, orders
    assert not Path("/etc/mosn_mp_test").exists()
    controller.be_honest()
    done = reload(program)
    assert done.returncode == 0, done.stderr
    assert program.pids("worker") == workers


def test_the_next_controller_too_is_believed_nothing(program: Program) -> None:
    controller = TakenOver(program)
    program.start()
    (first,) = program.pids("controller")
    controller.order({"access_logs": ["/etc/mosn_mp_test/x"], "identity": None})
    os.kill(first, 9)
    wait_until(lambda: [pid for pid in program.pids("controller") if pid != first], "another controller")
    assert reload(program).returncode == 1
    victim = program.pids("worker")[0]
    os.kill(victim, 9)
    for pid in wait_workers(program, 2, without=victim):
        check_unprivileged(pid)
    assert not Path("/etc/mosn_mp_test").exists()


def test_a_file_of_root_beside_the_logs_is_given_to_nobody(program: Program) -> None:
    """As a plan may name /var/log/auth.log where the file says /var/log/mosn.log."""
    controller = TakenOver(program)
    program.start()
    treasure = program.log.parent / "treasure"
    treasure.write_text("root's own\n")
    before = snapshot_of(treasure)
    controller.order({"access_logs": [str(treasure)]})
    reload(program)
    controller.order({"log_path": str(treasure)})
    done = reload(program)
    assert done.returncode == 1
    assert "it belongs to user 0" in done.stderr
    assert snapshot_of(treasure) == before


def test_a_privileged_port_comes_by_roots_file(program: Program) -> None:
    program.start()
    program.server["listeners"].append(program.listener("second", privileged_port()))
    program.write()
    done = program.run("reload")
    assert done.returncode == 0, done.stderr
    program.server["listeners"].pop()
    program.write()
    assert program.run("reload").returncode == 0


@pytest.fixture
def changed(program: Program) -> Dynamic:
    """The program with an admin API that anybody may change it by."""
    admin_port = privileged_port() + 20_000
    address = {"socket_address": {"address": "127.0.0.1", "port_value": admin_port}}
    program.config["admin"] = {"address": address, "debug": True, "unauthenticated_changes": True}
    program.write()
    dynamic = Dynamic.__new__(Dynamic)
    dynamic.__dict__.update(program.__dict__, admin_port=admin_port, token="")
    Program.start(dynamic)
    program.master = dynamic.master
    dynamic.wait_admin()
    return dynamic


def test_a_change_of_the_admin_api_gets_no_file_of_root(changed: Dynamic) -> None:
    directory = changed.directory / "treasury"
    directory.mkdir()
    treasure = directory / "treasure"
    treasure.write_text("root's own\n")
    before = snapshot_of(treasure)
    listener = changed.listener("front", changed.port) | {"access_logs": [{"log_path": str(treasure)}]}
    (problem,) = changed.refusal("update_config", "listener", listener)
    assert f"root's file names no log in {directory}" in problem
    listener["access_logs"] = [{"log_path": str(directory / "new.log")}]
    changed.refusal("update_config", "listener", listener)
    assert snapshot_of(treasure) == before
    assert os.listdir(directory) == ["treasure"]
    fine = changed.log.parent / "more.log"
    listener["access_logs"] = [{"log_path": str(fine)}]
    changed.change("update_config", "listener", listener)
    wait_until(lambda: changed.get() and fine.read_text(), "a line of the new log")
