"""What `mosn_mp status`, `check` and `version` say."""

import json
import os
import stat

import pytest

from mosn_mp.ipc import landlock
from mosn_mp.ipc.landlock import abi
from mosn_mp.ipc.seccomp import MACHINES
from tests.process.program import Program


def test_status_shows_every_process(serving: Program) -> None:
    report = serving.status()
    assert report["state"] == "running"
    assert report["config_version"] == 1
    roles = [process["role"] for process in report["processes"]]
    assert roles == ["master", "controller", "worker", "worker"]
    workers = report["processes"][2:]
    assert [worker["slot"] for worker in workers] == [0, 1]
    assert [worker["version"] for worker in workers] == [1, 1]
    assert all(process["pss_bytes"] > 1_000_000 for process in report["processes"])
    assert report["pss_bytes"] == sum(process["pss_bytes"] for process in report["processes"])
    assert report["listeners"][0]["address"] == f"127.0.0.1:{serving.port}"


def test_all_processes_together_fit_80_mib(serving: Program) -> None:
    assert serving.status()["pss_bytes"] < 80 * 1024 * 1024


def test_status_for_people_names_the_same(serving: Program) -> None:
    done = serving.run("status")
    assert done.returncode == 0, done.stderr
    for word in ("running", "controller", "worker 0", "worker 1", "front", f"127.0.0.1:{serving.port}", "16 KiB"):
        assert word in done.stdout


def test_status_of_what_does_not_run_says_so(program: Program) -> None:
    done = program.run("status")
    assert done.returncode == 1
    assert "not running" in done.stderr


def test_the_control_socket_is_for_its_owner_only(serving: Program) -> None:
    mode = os.stat(serving.directory / "logs/mosn.pid.sock").st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_a_stale_control_socket_is_replaced(program: Program) -> None:
    (program.directory / "logs").mkdir()
    (program.directory / "logs/mosn.pid.sock").touch()
    program.start()
    assert program.status()["state"] == "running"


def test_check_says_what_a_config_would_serve(program: Program) -> None:
    done = program.run("check")
    assert done.returncode == 0
    assert "1 listener" in done.stdout
    assert "2 workers" in done.stdout


def test_check_lists_all_errors_and_exits_1(program: Program) -> None:
    program.server["processor"] = -1
    program.server["listeners"][0]["adress"] = "x"
    program.write()
    done = program.run("check", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert not found["ok"]
    assert len(found["errors"]) == 2


def test_version_is_printed(program: Program) -> None:
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-m", "mosn_mp", "version"], capture_output=True, text=True, timeout=10, check=True)
    assert done.stdout.startswith("mosn_mp ")


def test_status_says_what_the_kernel_cannot_take_from_workers(serving: Program) -> None:
    expected = [] if os.uname().machine in MACHINES else ["system calls"]
    expected += [] if abi() >= 6 else ["signals"] if abi() else ["files", "signals"]
    report = serving.status()
    assert [line.partition(":")[0] for line in report["unconfined"]] == expected
    assert serving.run("status").stdout.count("not confined in") == len(expected)


def test_a_kernel_without_landlock_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    assert [line.partition(":")[0] for line in landlock.unconfined()] == ["files", "signals"]
    assert landlock.confine(landlock.Reach()) == "the kernel has no Landlock"
    monkeypatch.setattr(landlock, "abi", lambda: 5)
    assert landlock.unconfined() == ["signals: the kernel's Landlock is of ABI 5; 6 knows them (6.12)"]
    assert landlock.confine(None) == "the kernel's Landlock knows no signals"
