"""The feature gate auto_config: what is changed while it runs is in the file, whole, whatever is killed."""

import contextlib
import itertools
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from threading import Event, Thread

import pytest
import yaml

from mosn_mp.config.load import check
from tests.process.dynamic import Dynamic
from tests.process.program import Program, is_alive, say, wait_until


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Dynamic]:
    dynamic = Dynamic(tmp_path)
    dynamic.start_options = ["-f", "auto_config=true"]
    try:
        yield dynamic
    finally:
        dynamic.end()


@pytest.fixture
def kept(made: Dynamic) -> Dynamic:
    made.start()
    return made


def answer_in(text: str) -> str:
    """What `/` answers by the configuration in *text*."""
    host = yaml.safe_load(text)["servers"][0]["routers"][0]["virtual_hosts"][0]
    return str(host["routers"][-1]["direct_response"]["body"])


def test_every_change_is_in_the_file_and_is_no_difference(kept: Dynamic) -> None:
    kept.path.chmod(0o640)
    before = kept.path.stat()
    for number in range(2, 6):
        answer = kept.change("update_config", "router", kept.router(number))
        assert "not_written" not in answer
        assert answer_in(kept.path.read_text()) == str(number)
    after = kept.path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert kept.run("host", "weight", "up", f"127.0.0.1:{kept.upstreams[0]}", "9").returncode == 0
    wait_until(lambda: '"weight": 9' in kept.path.read_text(), "the weight in the file")
    assert "nothing differs: version 6" in kept.run("reload").stdout
    kept.signal(signal.SIGHUP)
    assert kept.status()["config_version"] == kept.status()["filed_version"] == 6
    assert json.loads(kept.ask("GET", "/api/v1/features")[1])["auto_config"] is True
    kept.signal(signal.SIGTERM)
    assert kept.wait_exit() == 0
    kept.start_options = []
    Program.start(kept)  # the servers of the test run on
    assert kept.get() == 5


def test_without_the_gate_the_file_stays_and_status_tells_so(made: Dynamic) -> None:
    made.start_options = ["-f", "auto_config=false"]
    made.start()
    text = made.path.read_text()
    made.change("update_config", "router", made.router(2))
    assert made.path.read_text() == text
    assert "changed since version 1, which is what the file says" in made.run("status").stdout
    assert made.run("reload").returncode == 0
    assert "changed since" not in made.run("status").stdout
    assert made.get() == 1


def test_the_environment_switches_it_too_and_yaml_stays_yaml(made: Dynamic) -> None:
    made.environment["FEATURE_GATES"] = "auto_config=true"
    made.start_options = []
    made.path = made.directory / "mosn.yaml"
    made.path.write_text("# a comment\n" + yaml.safe_dump(made.config))
    made.start()
    made.change("update_config", "router", made.router(3))
    text = made.path.read_text()
    assert answer_in(text) == "3" and not text.startswith("{")
    assert "# a comment" not in text
    assert "nothing differs" in made.run("reload").stdout


@pytest.mark.parametrize(("gates", "problem"), [
    ("auto_confg=true", "did you mean 'auto_config'?"), ("XdsMtlsEnable=true", "is not in this version of mosn_mp"),
])  # fmt: skip
def test_a_gate_that_is_not_served_refuses_the_start(made: Dynamic, gates: str, problem: str) -> None:
    made.start_options = ["--feature-gates", gates]
    master = made.spawn()
    assert problem in master.communicate(timeout=10)[1]
    assert master.returncode == 1


def test_a_write_that_fails_is_told_and_loses_nothing(kept: Dynamic) -> None:
    text = kept.path.read_text()
    obstacle = kept.directory / f".{kept.path.name}.mosn_mp"
    obstacle.mkdir()
    answer = kept.change("update_config", "router", kept.router(2))
    assert "Is a directory" in answer["not_written"]
    assert kept.get() == 2
    assert kept.path.read_text() == text
    assert "version 2 is not written to its file" in kept.log_text()
    assert "not written: " in kept.run("status").stdout
    obstacle.rmdir()
    assert "not_written" not in kept.change("update_config", "router", kept.router(3))
    assert answer_in(kept.path.read_text()) == "3"
    assert kept.status()["file_problem"] == ""


@pytest.mark.slow
def test_a_write_that_failed_is_tried_again(kept: Dynamic) -> None:
    obstacle = kept.directory / f".{kept.path.name}.mosn_mp"
    obstacle.mkdir()
    kept.change("update_config", "router", kept.router(2))
    obstacle.rmdir()
    wait_until(lambda: answer_in(kept.path.read_text()) == "2", "the file", 15)


def test_a_file_that_somebody_edits_meanwhile_is_not_overwritten_and_wins_at_the_reload(kept: Dynamic) -> None:
    kept.change("update_config", "router", kept.router(2))
    kept.set_answer("77")
    edited = kept.path.read_text()
    controller = kept.pids("controller")[0]
    assert "somebody changed it" in kept.change("update_config", "router", kept.router(3))["not_written"]
    os.kill(controller, signal.SIGKILL)
    wait_until(lambda: kept.pids("controller") not in ([], [controller]), "a new controller")
    kept.wait_admin()
    assert "somebody changed it" in kept.change("update_config", "router", kept.router(4))["not_written"]
    assert kept.path.read_text() == edited
    assert kept.run("reload").returncode == 0
    assert kept.get() == 77
    assert kept.path.read_text() == edited
    assert "not_written" not in kept.change("update_config", "router", kept.router(5))
    assert answer_in(kept.path.read_text()) == "5"


class FileWatch:
    """Reads a JSON file whenever it is asked to look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.looks = 0
        self.torn: list[str] = []

    def look(self) -> None:
        self.looks += 1
        try:
            json.loads(self.path.read_text())
        except ValueError as e:
            self.torn.append(str(e))


def repeat(done: Callable[[], None], ended: Event) -> None:
    while not ended.is_set():
        done()


def kill_controllers(program: Dynamic, at_least: int, version: int) -> int:
    """Kill each controller, somewhere in its work, so often, and until *version* is served; how many were killed."""
    chance, kills = random.Random(3), 0
    until = time.monotonic() + 90
    while (kills < at_least or program.status()["config_version"] < version) and time.monotonic() < until:
        program.wait_admin()
        time.sleep(chance.uniform(0.0, 0.9))
        for victim in program.pids("controller"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                kills += 1
                wait_until(lambda victim=victim: not is_alive(victim), "its end")
    return kills


@pytest.mark.slow
def test_kill_9_at_any_moment_leaves_a_whole_file(kept: Dynamic) -> None:
    """The controller writes a large file again and again and is killed; a reader finds a valid one at every look."""
    answer = {"direct_response": {"status": 200, "body": "1"}}
    router = kept.router(2)
    router["virtual_hosts"][0]["routers"][:0] = [{"match": {"path": f"/{i}"}, **answer} for i in range(2000)]
    kept.change("update_config", "router", router)
    watch = FileWatch(kept.path)
    number = itertools.count(3)

    def push() -> None:
        router["virtual_hosts"][0]["routers"][-1]["direct_response"]["body"] = str(next(number))
        with contextlib.suppress(OSError, HTTPException, ValueError):
            kept.post("update_config", "router", router)

    ended = Event()
    threads = [Thread(target=repeat, args=(done, ended)) for done in (watch.look, push)]
    for thread in threads:
        thread.start()
    try:
        kills = kill_controllers(kept, 12, 6)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    kept.wait_admin()
    wait_until(lambda: kept.status()["filed_version"] == kept.status()["config_version"], "what is served in the file", 20)
    say(f"\n{kills} kills of the controller, {watch.looks} looks at the file, version {kept.status()['config_version']}")
    assert watch.torn == []
    assert kills >= 12 and kept.status()["config_version"] > 5
    assert check(kept.path).config is not None
    assert str(kept.get()) == answer_in(kept.path.read_text())
    assert "nothing differs" in kept.run("reload", "--dry-run").stdout
    assert kept.master is not None
    kept.master.kill()
    kept.master.communicate(timeout=5)
    assert check(kept.path).config is not None


@pytest.mark.parametrize("inherit", [False, True])
def test_changes_survive_an_upgrade_and_a_file_that_was_edited_before_it_does_too(made: Dynamic, inherit: bool) -> None:
    made.config |= {"disable_upgrade": False, "close_graceful": False, "inherit_old_mosnconfig": inherit}
    made.write()
    made.start()
    made.change("update_config", "router", made.router(2))
    assert made.run("upgrade").returncode == 0
    try:
        made.wait_admin()
        assert made.get() == 2
        text = made.path.read_text()
        if inherit:
            made.set_answer("77")
            text = made.path.read_text()
            assert made.run("upgrade").returncode == 0
            made.wait_admin()
        assert made.get() == 2
        assert made.path.read_text() == text
        answer = made.change("update_config", "router", made.router(3))
        assert ("somebody changed it" in answer.get("not_written", "")) == inherit
        assert made.get() == 3
        assert "Traceback" not in made.log_text()
    finally:
        for pid in made.family():
            os.kill(pid, signal.SIGKILL)
