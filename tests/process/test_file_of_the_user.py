"""With auto_config on, only changes by the admin API are written to the file: no death of the controller makes a reload one."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.process.dynamic import Dynamic
from tests.process.program import say, wait_until

CODE = """
import os, sys, time
from mosn_mp.filter.stream_filter import STOP, StreamFilter

if "controller" not in sys.argv[0] and {pause}:
    open({marker!r}, "w").close()
    time.sleep({pause})


class Mine(StreamFilter):
    def on_request(self, stream):
        stream.reply(200, b"{answer}")
        return STOP
"""


class Commented(Dynamic):
    """A file of YAML with comments, and a filter whose modules take their time in the workers."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.path = directory / "mosn.yaml"
        self.start_options = ["-f", "auto_config=true"]
        self.code = directory / "mine.py"
        self.number = 0
        self.change_code(0)
        self.server["listeners"][0]["stream_filters"] = [{"type": "mine:Mine", "python_path": "."}]
        self.change_file()

    def change_code(self, pause_s: float) -> None:
        """Other users' Python: the file stays as it is, and what is served does not."""
        self.number += 1
        self.code.write_text(CODE.format(pause=pause_s, answer=self.number, marker=str(self.directory / "marker")))

    def change_file(self) -> None:
        """Another configuration with another comment, in one step."""
        self.number += 1
        self.server["listeners"][0]["max_connections"] = 1000 + self.number
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"# the comment of {self.number}\n{yaml.safe_dump(self.config)}")
        fresh.rename(self.path)

    def begin_reload(self) -> int:
        """Reload, and return while workers prepare the new version: the pid of the controller."""
        (controller,) = self.pids("controller")
        self.signal(signal.SIGHUP)
        wait_until((self.directory / "marker").exists, "workers that prepare")
        return controller

    def kill(self, victim: int) -> None:
        """Kill the controller and wait until another one answers."""
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: self.pids("controller") not in ([], [victim]), "another controller", 20)
        self.wait_admin()


@pytest.fixture
def commented(tmp_path: Path) -> Iterator[Commented]:
    made = Commented(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.mark.parametrize("change", ["code", "file"])
def test_a_controller_that_comes_in_the_middle_of_a_reload_leaves_the_file_as_it_is(commented: Commented, change: str) -> None:
    commented.change_code(0.5)
    if change == "file":
        commented.change_file()
    text = commented.path.read_text()
    commented.kill(commented.begin_reload())
    wait_until(lambda: commented.status()["config_version"] == 2, "the new version")
    wait_until(lambda: commented.status()["filed_version"] == commented.status()["config_version"], "what the file says")
    assert commented.path.read_text() == text
    assert commented.status()["file_problem"] == ""


def kill_everywhere(commented: Commented, delays_ms: list[int]) -> None:
    """Kill the controller at each of these moments after the beginning of a reload."""
    served = 0
    for turn, delay_ms in enumerate(delays_ms):
        commented.change_code(0.1)
        if turn % 3 == 0:
            commented.change_file()
        text, before = commented.path.read_text(), commented.status()["config_version"]
        (controller,) = commented.pids("controller")
        commented.signal(signal.SIGHUP)
        time.sleep(delay_ms / 1000)
        commented.kill(controller)
        status = commented.status()
        wait_until(lambda: commented.status()["filed_version"] == commented.status()["config_version"], f"{delay_ms}: {status}")
        assert commented.path.read_text() == text, f"{delay_ms} ms"
        assert commented.status()["file_problem"] == ""
        served += status["config_version"] > before
    say(f"\n{len(delays_ms)} kills: {served} times the new version was served")


def test_kill_9_at_some_moments_of_a_reload(commented: Commented) -> None:
    kill_everywhere(commented, [0, 30, 60, 100, 140])


@pytest.mark.slow
def test_kill_9_at_every_moment_of_a_reload(commented: Commented) -> None:
    kill_everywhere(commented, list(range(0, 240, 6)))


def test_an_edit_after_such_a_death_is_written(commented: Commented) -> None:
    commented.change_code(0.5)
    commented.kill(commented.begin_reload())
    answer = commented.change("update_config", "listener", {**commented.server["listeners"][0], "max_connections": 77})
    assert "not_written" not in answer and answer["version"] == 3
    assert "max_connections: 77" in commented.path.read_text()
