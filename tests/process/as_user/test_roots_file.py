"""What root starts is root's: a configuration that others can change needs `--user`, and changes nothing but itself then."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mosn_mp.master.border.names import NOBODY, Reading
from tests.process.as_user.user import FOUND, USER, check_unprivileged
from tests.process.program import Program, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to lose here")


def give(path: Path) -> None:
    os.chown(path, FOUND.pw_uid, FOUND.pw_gid)


def hand_over(program: Program) -> None:
    """Let everything be the user's."""
    program.log.parent.mkdir()
    for path in (program.path, program.directory, program.log.parent):
        give(path)


def link_below_his(program: Program) -> None:
    his = program.directory / "his"
    his.mkdir()
    (his / "mosn.json").symlink_to(program.path)
    give(his)
    program.path = his / "mosn.json"


def put_into_tmp(program: Program) -> None:
    shared = program.directory / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    program.path = program.path.rename(shared / "mosn.json")


CHANGEABLE: list[tuple[Callable[[Program], object], str]] = [
    (lambda program: give(program.path), f"it belongs to user {FOUND.pw_uid}"),
    (lambda program: program.path.chmod(0o664), "its mode 0664 lets others write"),
    (lambda program: program.directory.chmod(0o777), "others can change its directory"),
    (lambda program: give(program.directory), "others can change its directory"),
    (put_into_tmp, "others can change its directory"),
    (link_below_his, "it is a link"),
]


@pytest.mark.parametrize(("make_changeable", "problem"), CHANGEABLE)
def test_a_file_that_others_can_change_is_not_started(
    make_changeable: Callable[[Program], object], problem: str, program: Program
) -> None:
    make_changeable(program)
    master = program.spawn()
    said = master.communicate(timeout=30)[1]
    assert master.returncode == 1
    assert said.startswith(f"{program.path}: ")
    assert problem in said


def test_what_is_no_file_is_refused_without_waiting(program: Program) -> None:
    program.path.unlink()
    os.mkfifo(program.path)
    master = program.spawn()
    assert "it is no regular file" in master.communicate(timeout=30)[1]


def test_links_of_root_are_followed(program: Program) -> None:
    """As Kubernetes mounts a ConfigMap."""
    versions = program.directory / "2026"
    versions.mkdir()
    program.path.rename(versions / "mosn.json")
    (program.directory / "data").symlink_to("2026")
    program.path.symlink_to("data/mosn.json")
    program.start()
    assert program.run("reload").returncode == 0


def test_the_option_says_whom_the_program_of_a_changeable_file_becomes(program: Program) -> None:
    del program.server["user"]
    program.write()
    hand_over(program)
    program.start_options = ["--user", USER]
    program.start()
    for pid in (*program.pids("worker"), *program.pids("controller")):
        check_unprivileged(pid)


@pytest.mark.parametrize("key", ["pid", "default_log_path"])
def test_a_changeable_file_names_no_directory_of_root(key: str, program: Program) -> None:
    treasury = program.directory / "treasury"
    treasury.mkdir()
    his = program.directory / "his"
    his.mkdir()
    give(his)
    program.path = program.path.rename(his / "mosn.json")
    (program.config if key == "pid" else program.server)[key] = str(treasury / "x")
    program.write()
    give(program.path)
    program.start_options = ["--user", USER]
    master = program.spawn()
    assert str(treasury) in master.communicate(timeout=30)[1]
    assert master.returncode == 1
    assert not os.listdir(treasury)


def test_option_and_file_agree(program: Program) -> None:
    program.start_options = ["--user", "daemon"]
    master = program.spawn()
    assert f"servers[0].user: the file says '{USER}', --user says 'daemon'" in master.communicate(timeout=30)[1]


def test_a_changeable_file_changes_neither_user_nor_directories_by_a_reload(program: Program) -> None:
    hand_over(program)
    program.start_options = ["--user", USER, "-f", "auto_config=true"]
    program.start()
    for change in ({"user": "daemon"}, {"user": "root"}, {"default_log_path": "/etc/mosn_mp_test/mosn.log"}):
        before = dict(program.server)
        program.server.update(change)
        program.write()
        give(program.path)
        assert program.run("reload").returncode == 1
        program.server.clear()
        program.server.update(before)
    del program.server["user"]
    program.server["processor"] = 3
    program.write()
    give(program.path)
    program.run("reload")
    for pid in program.pids("worker"):
        check_unprivileged(pid)
    assert not Path("/etc/mosn_mp_test").exists()


def test_a_file_that_becomes_changeable_is_not_reloaded(program: Program) -> None:
    program.start()
    program.path.chmod(0o666)
    done = program.run("reload")
    assert done.returncode == 1
    assert "its mode 0666 lets others write" in done.stderr
    assert program.get()
    program.path.chmod(0o644)
    assert program.run("reload").returncode == 0


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_nobody_reads_the_file_for_root(program: Program) -> None:
    """A file that takes its reader a while, so that it can be looked at: its user, and what it holds."""
    large = program.directory / "large.json"
    large.write_text(json.dumps({"pid": "x.pid", "more": ["x"] * 3_000_000}))
    with large.open("rb") as opened:
        reading = Reading(opened.fileno(), str(large))
    try:
        (child,) = children(os.getpid())[-1:]
        (parser,) = wait_until(lambda: children(child), "a parser")

        def is_nobody() -> bool:
            lines = dict(
                line.split(":\t", 1) for line in Path(f"/proc/{parser}/status").read_text().splitlines() if ":\t" in line
            )
            return lines["Uid"].split() == [str(NOBODY)] * 4 and int(lines["CapEff"], 16) == 0

        wait_until(is_nobody, "a parser that is nobody")
        assert len(os.listdir(f"/proc/{parser}/fd")) == 2
        assert reading.wait_names().pid_path == str(program.directory / "x.pid")
    finally:
        reading.close()


@pytest.mark.parametrize(("name", "text", "problem"), [
    ("mosn.json", "{", "mosn.json:1:2: not valid JSON"),
    ("mosn.json", "[" * 100_000, "nested more than"),
    ("mosn.json", '{"pid": 1' + "0" * 5000 + "}", "too large"),
    ("mosn.json", '{"pid": 5}', "pid: expected a text, got int"),
    ("mosn.yaml", "a: [", "not valid YAML"),
])  # fmt: skip
def test_what_is_wrong_with_a_file_is_said_before_anything_is_started(
    name: str, text: str, problem: str, program: Program
) -> None:
    program.path = program.directory / name
    program.path.write_text(text)
    master = program.spawn()
    assert problem in master.communicate(timeout=30)[1]
    assert master.returncode == 1


def test_yaml_says_whom_the_program_becomes(program: Program) -> None:
    config = program.config
    program.path = program.directory / "mosn.yaml"
    program.path.write_text("# a comment\n" + yaml.safe_dump(config))
    program.start()
    for pid in (*program.pids("worker"), *program.pids("controller")):
        check_unprivileged(pid)


def test_root_checks_a_file_as_whom_the_program_would_become(program: Program) -> None:
    open_to_all = program.directory / "marks"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    program.directory.chmod(0o755)
    (program.directory / "mine.py").write_text(
        "import os\nfrom mosn_mp.filter.stream_filter import StreamFilter\n"
        f"open(f'{open_to_all}/{{os.geteuid()}}', 'w').close()\n"
        "class Mine(StreamFilter):\n    pass\n"
    )
    program.server["user"] = USER
    program.server["listeners"][0]["stream_filters"] = [{"type": "mine:Mine", "python_path": "."}]
    program.write()
    program.path.chmod(0o644)
    done = program.run("check")
    assert done.returncode == 0, done.stderr
    assert os.listdir(open_to_all) == [str(FOUND.pw_uid)]
    program.server["user"] = "no-such-user"
    program.write()
    program.path.chmod(0o644)
    assert "no-such-user" in program.run("check").stderr
    assert "0" not in os.listdir(open_to_all)


def test_root_checks_no_file_of_anothers_unless_told_as_whom(program: Program) -> None:
    program.directory.chmod(0o755)
    program.path.chmod(0o644)
    give(program.path)
    refused = program.run("check")
    assert refused.returncode == 1
    assert "root starts only what root alone can change" in refused.stderr
    assert program.run("check", "--user", USER).returncode == 0
