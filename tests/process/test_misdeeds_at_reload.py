"""Users' code that does harm at load is refused by check and reload; the controller lives, and takes the repaired file."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.process.misdeeds import MISDEEDS, Misdeed, configured, text_of
from tests.process.program import Program, wait_until

HANGS_OUTSIDE_A_TRIAL = """
import os, pathlib
tried = pathlib.Path(__file__).parent / "tried"
if tried.exists():
    tried.with_name("hangs").touch()
    while True:
        pass
tried.touch()
"""


class WithMine(Program):
    """Serves with files of the user's, one of each kind."""

    def misbehave(self, place: str, misdeed: Misdeed) -> None:
        """Do *misdeed* at *place* from now on."""
        module = f"mine_{place[:5]}"
        self.file = self.directory / f"{module}.py"
        self.file.write_text(text_of(place, misdeed.code))
        filters = self.server["listeners"][0]["stream_filters"]
        witness = filters[-1]  # which answers
        configured(self.config, place, module, self.directory)
        if place.startswith("filter"):
            self.server["listeners"][0]["stream_filters"].append(witness)
        self.write()

    def behave(self, place: str, remark: str) -> None:
        """Do nothing there; the *remark* makes it another file."""
        self.misbehave(place, Misdeed(f"pass  # {remark}", ""))

    def is_refused(self, command: str, misdeed: Misdeed) -> None:
        """Check that *command* says what is wrong, and no more than that."""
        begun = time.monotonic()
        done = self.run(command)
        assert time.monotonic() - begun < 20
        assert done.returncode == 1
        assert misdeed.problem in done.stderr
        assert "Traceback" not in done.stderr + done.stdout + self.log_text()
        number = next(n for n, line in enumerate(self.file.read_text().splitlines(), 1) if line.endswith("# here"))
        assert f"{self.file}:{number}" in done.stderr


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WithMine]:
    program = WithMine(tmp_path_factory.mktemp("mine"))
    try:
        program.start()
        yield program
    finally:
        program.end()


LONG = Misdeed("while True: pass  # here", "loading it ")  # 5 s of CPU time, or 10 s
CASES: list[tuple[str, Misdeed, bool]] = [
    ("filter __init__", MISDEEDS["a missing key"], False),
    ("filter wants", MISDEEDS["SystemExit"], False),
    ("filter Config", MISDEEDS["a missing key"], False),
    ("filter module", MISDEEDS["a fork"], False),
    ("codec __init__", MISDEEDS["os._exit"], False),
    ("codec module", MISDEEDS["closing all descriptors"], False),
    ("access-log function", MISDEEDS["a signal to its parent"], False),
    ("filter __init__", MISDEEDS["two gigabytes"], False),
    ("filter __init__", MISDEEDS["a thread"], False),
    ("filter module", LONG, True),
    ("codec module", Misdeed("import time\ntime.sleep(99)  # here", "loading it takes longer than 10 s"), True),
]


@pytest.mark.parametrize(
    ("place", "misdeed"), [pytest.param(*case[:2], marks=pytest.mark.slow if case[2] else ()) for case in CASES]
)
def test_a_reload_refuses_harm_and_takes_the_repaired_file(mine: WithMine, place: str, misdeed: Misdeed) -> None:
    (controller,) = mine.pids("controller")
    version = mine.version()
    mine.misbehave(place, misdeed)
    mine.is_refused("check", misdeed)
    mine.is_refused("reload", misdeed)
    assert mine.get() in mine.pids("worker")
    assert mine.version() == version
    mine.behave(place, os.urandom(4).hex())
    done = mine.run("reload")
    assert done.returncode == 0, done.stderr
    assert mine.version() == version + 1
    assert mine.pids("controller") == [controller]


def test_the_rest_of_what_is_wrong_is_said_beside_users_harm(mine: WithMine) -> None:
    mine.misbehave("filter __init__", MISDEEDS["os._exit"])
    mine.config["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"].append({
        "match": {"prefix": "/b"}, "route": {"cluster_name": "nowhere"},
    })  # fmt: skip
    mine.write()
    done = mine.run("check")
    del mine.config["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"][1]
    assert "loading it ends the process (_exit)" in done.stderr
    assert "there is no cluster" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_reload_behind_one_that_hangs_in_earnest_waits_for_the_next_controller(mine: WithMine) -> None:
    (controller,) = mine.pids("controller")
    version = mine.version()
    mine.misbehave("filter module", Misdeed(HANGS_OUTSIDE_A_TRIAL, ""))
    mine.signal(signal.SIGHUP)
    wait_until(lambda: (mine.directory / "hangs").exists(), "the second import")
    mine.behave("filter module", "repaired")
    mine.signal(signal.SIGHUP)  # one that waits
    wait_until(lambda: mine.version() == version + 1, "the repaired file", 100)
    assert "not loaded within 60 s" in mine.log_text()
    assert mine.pids("controller") != [controller]
