"""One program for each pid file."""

import os

from tests.ports import free_port
from tests.process.program import Program, wait_until


def test_a_second_start_says_who_is_running(running: Program) -> None:
    assert running.master is not None
    first = running.master
    second = running.spawn()
    _, errors = second.communicate(timeout=10)
    assert second.returncode == 1
    assert f"already running: pid {first.pid}" in errors
    assert running.get() > 0
    assert running.status()["state"] == "running"


def test_a_second_start_on_other_ports_is_refused_as_well(running: Program) -> None:
    running.server["listeners"][0]["address"] = f"127.0.0.1:{free_port()}"
    running.write()
    second = running.spawn()
    assert second.wait(timeout=10) == 1
    second.communicate()


def test_a_stale_pid_file_is_taken_over(program: Program) -> None:
    (program.directory / "logs").mkdir()
    # The number of a process that lives but is no mosn_mp: only the lock counts.
    (program.directory / "logs/mosn.pid").write_text(f"{os.getppid()}\n")
    program.start()
    assert program.master is not None
    assert (program.directory / "logs/mosn.pid").read_text() == f"{program.master.pid}\n"


def test_a_pid_path_of_the_config_is_used(program: Program) -> None:
    program.config["pid"] = str(program.directory / "run" / "deep" / "it.pid")
    program.write()
    program.start()
    assert (program.directory / "run/deep/it.pid").exists()
    assert program.run("stop").returncode == 0
    wait_until(lambda: not (program.directory / "run/deep/it.pid").exists(), "the pid file is gone")
