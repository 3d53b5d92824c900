"""`mosn_mp upgrade` and SIGUSR2: another master takes over, or nothing happens."""

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.process.program import is_alive, wait_until
from tests.process.proxy.setting import Setting
from tests.process.releases import other_layout, script, start_program


class UpgradeSetting(Setting):
    """Two workers, an answer at /ping."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.server["processor"] = 2

    @property
    def pid(self) -> int:
        """Who the pid file says is the master."""
        return int((self.directory / "logs" / "mosn.pid").read_text())

    def upgrade(self, *options: str) -> dict[str, Any]:
        """The report of `mosn_mp upgrade`, of a success or a refusal."""
        done = self.run("upgrade", "--json", *options)
        assert done.stdout, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (0 if report["ok"] else 1)
        return report

    def counts_or_none(self) -> dict[str, int] | None:
        """The counters, None while nobody listens at the admin address."""
        with contextlib.suppress(OSError):
            return self.counts()
        return None

    def is_serving_now(self) -> bool:
        """Whether the listener answers, whoever is the master."""
        with contextlib.suppress(OSError), self.connect() as client:
            return client.get("/ping").status == 200
        return False

    def end(self) -> None:
        """End whichever generation there is."""
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):  # it has drained meanwhile
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.family(), "nothing left")
        assert self.master is not None
        self.master.communicate()


@pytest.fixture
def upgrading(tmp_path: Path) -> Iterator[UpgradeSetting]:
    """A program of the test's own, started."""
    made = UpgradeSetting(tmp_path)
    made.start()
    try:
        yield made
        assert "Traceback" not in made.log_text(), made.log_text()
    finally:
        made.end()


def test_another_master_takes_over(upgrading: UpgradeSetting) -> None:
    old = upgrading.pid
    with upgrading.connect() as client:
        assert client.get("/ping").body == b"pong"
        report = upgrading.upgrade()
        assert report["ok"]
        assert report["old_pid"] == old
        assert report["new_pid"] == upgrading.pid != old
        assert report["version"] == 2
        wait_until(lambda: not is_alive(old), "the end of the old generation")
        assert client.get("/ping").body == b"pong"
    assert upgrading.status()["processes"][0]["pid"] == upgrading.pid
    assert len(upgrading.family()) == 4


def test_the_signal_does_the_same(upgrading: UpgradeSetting) -> None:
    old = upgrading.pid
    os.kill(old, signal.SIGUSR2)
    wait_until(lambda: upgrading.pid != old and not is_alive(old), "another master")
    assert upgrading.is_serving_now()


def test_upgrades_one_after_the_other(upgrading: UpgradeSetting) -> None:
    with upgrading.connect() as client:
        for turn in range(5):
            assert upgrading.upgrade()["version"] == turn + 2
            assert client.get("/ping").body == b"pong"
    wait_until(lambda: len(upgrading.family()) == 4, "one generation")


def test_counters_go_on(upgrading: UpgradeSetting) -> None:
    with upgrading.connect() as client:
        for _ in range(20):
            client.get("/ping")
        before = upgrading.counts()
        upgrading.upgrade()
        wait_until(lambda: upgrading.counts_or_none() is not None, "the admin address of the new controller")
        for _ in range(20):
            client.get("/ping")
        after = upgrading.counts()
    assert after["front.request_total"] == before["front.request_total"] + 20
    assert after["front.connection_active"] == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("raise SystemExit(3)", "ended before it served (3)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended before it served (-9)"),
    ],
)
def test_a_program_that_does_not_start_changes_nothing(upgrading: UpgradeSetting, text: str, problem: str) -> None:
    old, family = upgrading.pid, sorted(upgrading.family())
    with upgrading.connect() as client:
        client.get("/ping")
        report = upgrading.upgrade("--program", script(upgrading.directory, text))
        assert not report["ok"]
        assert problem in report["problems"][0]
        assert client.get("/ping").body == b"pong"
    assert upgrading.pid == old
    assert sorted(upgrading.family()) == family
    assert upgrading.upgrade()["ok"]


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_program_that_hangs_is_given_up(upgrading: UpgradeSetting) -> None:
    old, family = upgrading.pid, sorted(upgrading.family())
    marker = upgrading.directory / "hangs"
    program = script(upgrading.directory, f"open({str(marker)!r}, 'w').close()\nimport time; time.sleep(600)")
    command = [upgrading.python, "-m", "mosn_mp", "upgrade", "--json", "--program", program, "-c", str(upgrading.path)]
    asking = subprocess.Popen(command, env=upgrading.environment, stdout=subprocess.PIPE, text=True)
    wait_until(marker.exists, "the new program has begun")
    with upgrading.connect() as client:
        assert client.get("/ping").body == b"pong"
    report = json.loads(asking.communicate(timeout=150)[0])
    assert asking.returncode == 1
    assert "did not serve within 90 s" in report["problems"][0]
    assert upgrading.pid == old
    wait_until(lambda: sorted(upgrading.family()) == family, "nothing left of the new program")
    assert upgrading.upgrade()["ok"]


@pytest.mark.parametrize("change", ["syntax", "port", "pid", "plug-in"])
def test_a_refused_configuration_changes_nothing(upgrading: UpgradeSetting, change: str) -> None:
    old, family = upgrading.pid, sorted(upgrading.family())
    if change == "syntax":
        upgrading.path.write_text("{")
    elif change == "port":
        upgrading.add_listener("taken")
        upgrading.server["listeners"][-1]["address"] = f"127.0.0.1:{upgrading.admin_port}"
        upgrading.write()
    elif change == "pid":
        upgrading.config["pid"] = str(upgrading.directory / "other.pid")
        upgrading.write()
    else:
        upgrading.change_listener("front", stream_filters=[{"type": "nowhere:Nothing"}])
        upgrading.write()
    if change in ("port", "plug-in"):
        report = upgrading.upgrade()
        assert not report["ok"]
        assert report["problems"][0]
    else:  # the command would not find the pid file
        os.kill(old, signal.SIGUSR2)
        wait_until(lambda: "upgrade refused" in upgrading.log_text(), "the refusal")
    assert upgrading.pid == old
    wait_until(lambda: sorted(upgrading.family()) == family, "nothing left of the new generation")
    with upgrading.connect() as client:
        assert client.get("/ping").body == b"pong"


def test_disable_upgrade_is_honoured(tmp_path: Path) -> None:
    setting = UpgradeSetting(tmp_path)
    setting.config["disable_upgrade"] = True
    setting.start()
    try:
        assert setting.upgrade()["problems"] == ["disable_upgrade is set"]
        os.kill(setting.pid, signal.SIGUSR2)
        wait_until(lambda: setting.log_text().count("disable_upgrade is set") == 2, "the refusal in the log")
        assert len(setting.family()) == 4
    finally:
        setting.end()


def test_the_new_generation_may_have_other_listeners_and_workers(upgrading: UpgradeSetting) -> None:
    other = free_port()
    upgrading.ports["other"] = other
    upgrading.server["listeners"].append(upgrading._listener("other", other))
    upgrading.server["processor"] = 3
    upgrading.write()
    with upgrading.connect() as client:
        client.get("/ping")
        assert upgrading.upgrade()["ok"]
        assert client.get("/ping").body == b"pong"
    with upgrading.connect("other") as client:
        assert client.get("/ping").body == b"pong"
    assert len(upgrading.pids("worker")) == 3
    upgrading.server["listeners"] = upgrading.server["listeners"][:1]
    upgrading.server["processor"] = 1
    upgrading.write()
    assert upgrading.upgrade()["ok"]
    with upgrading.connect() as client:
        assert client.get("/ping").body == b"pong"
    with pytest.raises(OSError):
        upgrading.connect("other").get("/ping")


def test_the_old_configuration_can_be_inherited(upgrading: UpgradeSetting) -> None:
    upgrading.config["inherit_old_mosnconfig"] = True
    upgrading.server["routers"][0]["virtual_hosts"][0]["routers"] = []
    upgrading.write()
    assert upgrading.upgrade()["ok"]
    with upgrading.connect() as client:
        assert client.get("/ping").body == b"pong"


def test_counters_of_another_layout_are_carried_over(upgrading: UpgradeSetting) -> None:
    with upgrading.connect() as client:
        for _ in range(20):
            client.get("/ping")
        before = upgrading.counts()["front.request_total"]
        other = other_layout(upgrading.directory)
        assert upgrading.upgrade("--program", script(upgrading.directory, other))["ok"]
        assert "counters go on in new shared memory" in upgrading.log_text()
        client.get("/ping")
        wait_until(lambda: upgrading.counts_or_none() is not None, "the admin address of the new controller")
        assert upgrading.counts()["front.request_total"] >= before + 1


def test_a_host_out_of_rotation_stays_out(tmp_path: Path) -> None:
    setting = UpgradeSetting(tmp_path)
    setting.add_cluster("up", 9, 10)
    setting.start()
    try:
        assert setting.run("host", "disable", "up", "127.0.0.1:9").returncode == 0
        assert setting.upgrade()["ok"]
        assert setting.status()["disabled_hosts"] == ["up/127.0.0.1:9"]
    finally:
        setting.end()


def test_the_old_master_killed_in_the_middle_leaves_the_new_one(upgrading: UpgradeSetting) -> None:
    old = upgrading.pid
    marker = upgrading.directory / "growing"
    slow = start_program(f"open({str(marker)!r}, 'w').close()\nimport time; time.sleep(0.5)")
    with upgrading.connect() as client:
        client.get("/ping")
        done: list[subprocess.CompletedProcess[str]] = []
        program = script(upgrading.directory, slow)
        asking = threading.Thread(target=lambda: done.append(upgrading.run("upgrade", "--program", program)))
        asking.start()
        wait_until(marker.exists, "the new program has begun")
        os.kill(old, signal.SIGKILL)
        asking.join()
    wait_until(lambda: upgrading.pid != old, "the new master is the program")
    wait_until(lambda: upgrading.is_serving_now(), "it serves")


def test_workers_that_keep_dying_do_not_hold_up_the_upgrade_that_may_help(upgrading: UpgradeSetting) -> None:
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.05):
            for process in upgrading.status()["processes"]:
                if process["role"] == "worker" and process["slot"] == 1 and process["pid"] > 1:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process["pid"], signal.SIGKILL)

    killing = threading.Thread(target=kill)
    killing.start()
    try:
        wait_until(lambda: sum(process["deaths"] for process in upgrading.status()["processes"]) > 2, "deaths")
        over.set()
        assert upgrading.upgrade()["ok"]
    finally:
        over.set()
        killing.join()
    assert len(upgrading.pids("worker")) == 2


def test_a_stop_during_the_drain_ends_both(upgrading: UpgradeSetting) -> None:
    with upgrading.connect() as client:
        client.send(b"GET /ping HTTP/1.1\r\nx: " + b"x" * 8192)  # too much of a head to be handed over
        assert upgrading.upgrade()["ok"]
        os.kill(upgrading.pid, signal.SIGINT)
        wait_until(lambda: not upgrading.family(), "the end of everything")
