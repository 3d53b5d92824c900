import os
import resource
import stat
from pathlib import Path

import pytest

from mosn_mp.config.load import load
from mosn_mp.controller.config_file import config_text, replace_file
from mosn_mp.controller.stamp import stamp_of

ROOT = Path(__file__).parents[3]
GLOBS = ("conf/*.json", "docs/examples/**/*.json", "docs/examples/**/*.yaml")
EXAMPLES = sorted(file for glob in GLOBS for file in ROOT.glob(glob))

TRICKY = """{"servers": [{"mosn_server_name": "0x1F", "graceful_timeout": "1m0.5s", "arena_size": "64MB", "listeners": [
  {"address": "127.0.0.1:1", "filter_chains": [{"filters": [{"type": "proxy", "config": {"router_config_name": "yes"}}]}]}],
  "routers": [{"router_config_name": "yes", "virtual_hosts": [{"name": "1e3", "domains": ["*"], "routers": [
    {"match": {"path": "/\u00e4: #x"}, "direct_response": {"status": 200, "body": "a\\nb\\t\u2028 \\"c\\" {% %} ~ null"}},
    {"match": {"prefix": "/"}, "route": {"cluster_name": "on", "timeout": "-1s"}}]}]}]}],
  "cluster_manager": {"clusters": [{"name": "on", "connect_timeout": "300ms",
    "hosts": [{"address": "[::1]:80", "weight": 7}]}]}}"""


@pytest.fixture
def tricky(tmp_path: Path) -> Path:
    made = tmp_path / "conf" / "tricky.json"
    made.parent.mkdir()
    made.write_text(TRICKY)
    return made


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml"])
def test_what_is_written_loads_as_what_is_served(tricky: Path, suffix: str) -> None:
    served = load(tricky)
    written = tricky.with_suffix(f".written{suffix}")
    written.write_text(config_text(served, str(written)))
    assert load(written) == served
    assert "worker_stall_timeout" not in written.read_text()  # which is as by default


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.name for path in EXAMPLES])
@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_the_examples_are_written_such_that_they_load_as_before(path: Path, suffix: str, tmp_path: Path) -> None:
    served = load(path)
    written = tmp_path / f"written{suffix}"
    written.write_text(config_text(served, str(written)))
    assert load(written) == served


def test_the_file_is_replaced_with_its_mode_and_links_are_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old")
    target.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(target, 1234, 2345)
    link.symlink_to(target)
    before = target.stat()
    stamp = replace_file(str(link), b"new", stamp_of(str(link)))
    after = target.stat()
    assert link.is_symlink() and target.read_text() == "new"
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (0o640, before.st_uid, before.st_gid)
    assert stamp == stamp_of(str(target)) and after.st_ino != before.st_ino
    assert sorted(os.listdir(tmp_path)) == ["link.json", "target.json"]


def test_a_file_that_somebody_changed_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    stamp = stamp_of(str(file))
    file.write_text("edited")
    with pytest.raises(ValueError, match="somebody changed it"):
        replace_file(str(file), b"new", stamp)
    assert file.read_text() == "edited"


def test_a_write_that_nobody_was_told_of_is_known_again(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    stamp = stamp_of(str(file))
    replace_file(str(file), b"new", stamp)
    assert replace_file(str(file), b"new", stamp) == stamp_of(str(file))


def test_what_a_killed_writer_left_behind_is_replaced(tmp_path: Path) -> None:
    file, left = tmp_path / "a.json", tmp_path / ".a.json.mosn_mp"
    file.write_text("old")
    left.symlink_to("/etc/passwd")
    replace_file(str(file), b"new", stamp_of(str(file)))
    assert file.read_text() == "new" and not file.is_symlink()
    assert os.listdir(tmp_path) == ["a.json"]


def test_nothing_is_left_when_there_is_no_room(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            replace_file(str(file), b"x" * 10_000, stamp_of(str(file)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]
