"""Users' Python as it was accepted: whatever happens to the files, processes that come later serve what the others do."""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.dynamic import Dynamic
from tests.process.program import ROOT, wait_until

FILTER = """
from mosn_mp.filter.stream_filter import STOP, StreamFilter

from pack.numbers import BASE


class Mine(StreamFilter):
    def on_request(self, stream):
        if stream.request.path == b"/fail":
            raise RuntimeError("an accepted line")
        if stream.request.path == b"/late":
            from . import late

            stream.reply(200, b"%d" % (BASE + late.MORE))
            return STOP
        stream.reply(200, b"%d" % BASE)
        return STOP
"""


class WithPython(Dynamic):
    """Answers by a filter of the user's: 100 at /, 101 at /late."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.package = directory / "python" / "pack"
        self.package.mkdir(parents=True)
        for name, text in (("__init__", ""), ("filter", FILTER), ("numbers", "BASE = 100\n"), ("late", "MORE = 1\n")):
            (self.package / f"{name}.py").write_text(text)
        self.server["listeners"][0]["stream_filters"] = [{"type": "pack.filter:Mine", "python_path": "python"}]
        self.config |= {"disable_upgrade": False, "close_graceful": False}
        self.write()

    def spoil(self, how: str) -> None:
        """Edit the files without having them accepted, or delete them."""
        if how == "deleted":
            shutil.rmtree(self.package.parent)
            return
        (self.package / "numbers.py").write_text("BASE = 200\n" if how == "edited" else "nonsense(")
        (self.package / "late.py").write_text("MORE = 2\n")

    def replace(self, role: str) -> None:
        """Kill every process of *role*, and wait for those that come after."""
        victims = self.pids(role)
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(self.pids(role)) == len(victims) and not {*victims} & {*self.pids(role)}, f"other {role}s")
        wait_until(lambda: all(one["version"] for one in self.status()["processes"] if one["role"] == "worker"), "they serve")

    def answers(self) -> set[int]:
        """What each worker answers, all in all."""
        return {self.get(path) for path in ("/", "/late") for _ in range(8)}


@pytest.fixture
def made(tmp_path: Path) -> Iterator[WithPython]:
    program = WithPython(tmp_path)
    try:
        yield program
    finally:
        program.end()
        for pid in program.family():  # of another generation
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("how", ["edited", pytest.param("broken", marks=pytest.mark.slow), "deleted"])
def test_a_worker_that_replaces_a_dead_one_serves_what_was_accepted(made: WithPython, how: str) -> None:
    made.start()
    made.spoil(how)
    assert made.answers() == {100, 101}  # by workers that had not imported `late` yet
    made.replace("worker")
    assert made.answers() == {100, 101}
    assert made.run("reload").returncode == (0 if how == "edited" else 1)
    made.replace("worker")
    assert made.answers() == ({200, 202} if how == "edited" else {100, 101})
    assert "cannot serve" not in made.log_text()


@pytest.mark.parametrize("how", ["edited", "broken", pytest.param("deleted", marks=pytest.mark.slow)])
def test_a_controller_that_replaces_a_dead_one_judges_what_was_accepted(made: WithPython, how: str) -> None:
    made.start()
    made.spoil(how)
    made.replace("controller")
    made.wait_admin()
    limited = {**made.dump()["listener"]["front"], "max_connections": 500}
    assert made.change("update_config", "listener", limited)["changes"]["listeners"]["changed"] == ["front"]
    made.replace("worker")
    assert made.answers() == {100, 101}
    done = made.run("reload")
    assert done.returncode == (0 if how == "edited" else 1)
    if how == "edited":
        assert f"python: changed {made.package}/late.py, {made.package}/numbers.py" in done.stdout
        assert made.answers() == {200, 202}
    else:
        assert ("SyntaxError" if how == "broken" else "there is no module 'pack'") in done.stderr
        assert made.answers() == {100, 101}
    made.replace("worker")
    assert made.answers() == ({200, 202} if how == "edited" else {100, 101})


def test_a_file_that_only_a_later_import_needs_is_a_difference(made: WithPython) -> None:
    made.start()
    assert "nothing differs" in made.run("reload").stdout
    (made.package / "late.py").write_text("MORE = 2\n")
    assert f"python: changed {made.package}/late.py" in made.run("reload", "--dry-run").stdout
    assert made.answers() == {100, 101}
    assert f"python: changed {made.package}/late.py" in made.run("reload").stdout
    assert made.answers() == {100, 102}
    (made.package / "later.py").touch()
    assert f"python: added {made.package}/later.py" in made.run("reload").stdout
    assert "nothing differs" in made.run("reload").stdout


def test_a_change_of_the_same_size_at_the_same_time_is_one(made: WithPython) -> None:
    """Neither a .pyc nor a time of change is believed."""
    made.start()
    file = made.package / "numbers.py"
    at = file.stat()
    file.write_text("BASE = 300\n")
    os.utime(file, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert f"python: changed {file}" in made.run("reload").stdout
    made.replace("worker")
    assert made.answers() == {300, 301}


def test_python_of_another_directory_is_taken_by_a_reload(made: WithPython) -> None:
    """As a deployment does it: a directory for each release, files of the same names."""
    made.start()
    other = made.directory / "python2"
    shutil.copytree(made.package.parent, other)
    (other / "pack" / "numbers.py").write_text("BASE = 500\n")
    made.server["listeners"][0]["stream_filters"][0]["python_path"] = "python2"
    made.write()
    assert made.run("reload").returncode == 0
    assert made.answers() == {500, 501}


def test_tracebacks_show_the_accepted_lines(made: WithPython) -> None:
    made.start()
    (made.package / "filter.py").write_text("# another\n" * 40)
    made.replace("worker")
    made.get_text("/fail")
    wait_until(lambda: "an accepted line" in made.log_text(), "the traceback")
    assert f'File "{made.package}/filter.py", line 10, in on_request' in made.log_text()
    assert 'raise RuntimeError("an accepted line")' in made.log_text()
    assert "# another" not in made.log_text()


@pytest.mark.parametrize("inherit", [False, True])
def test_an_upgrade_reads_the_files_anew_unless_it_inherits_what_was_accepted(made: WithPython, inherit: bool) -> None:
    made.config["inherit_old_mosnconfig"] = inherit
    made.write()
    made.start()
    made.spoil("edited")
    done = made.run("upgrade")
    assert done.returncode == 0, done.stderr
    assert made.answers() == ({100, 101} if inherit else {200, 202})
    made.replace("worker")
    assert made.answers() == ({100, 101} if inherit else {200, 202})


def test_a_protocol_of_the_users_is_there_without_its_file(made: WithPython) -> None:
    file = made.directory / "x_example.py"
    shutil.copy(ROOT / "docs" / "examples" / "x_example.py", file)
    codec = {"enable": True, "type": "python", "path": "x_example.py", "loader_func_name": "XExample", "config": {}}
    made.config["third_part_codec"] = {"codecs": [codec]}
    made.server["listeners"][0]["filter_chains"][0]["filters"][0]["config"]["downstream_protocol"] = "Http1,x_example"
    made.write()
    made.start()
    file.unlink()
    made.replace("worker")
    assert made.answers() == {100, 101}
    made.replace("controller")
    made.wait_admin()
    made.change("update_config", "router", made.router(2))
    refused = made.run("reload")
    assert refused.returncode == 1
    assert "there is no file" in refused.stderr
    made.replace("worker")
    assert made.answers() == {100, 101}


def test_too_much_python_is_refused_with_its_size(made: WithPython) -> None:
    made.start()
    (made.package / "large.py").write_bytes(b"#" * (15 << 20))
    assert made.run("reload").returncode == 0
    (made.package / "larger.py").write_bytes(b"#" * (3 << 20))
    refused = made.run("reload")
    assert refused.returncode == 1
    assert "have 18.0 MiB, 'pack' alone 18.0; 16 MiB may" in refused.stderr
    assert made.answers() == {100, 101}
    checked = made.run("check")
    assert checked.returncode == 1
    assert "16 MiB may" in checked.stderr
