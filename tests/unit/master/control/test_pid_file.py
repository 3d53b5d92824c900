"""The pid file and its lock; a lock belongs to a process, so rivals are other processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mosn_mp.master.control.pid_file import AlreadyRunningError, PidFile, holder_of

HOLD = """
import sys
from mosn_mp.master.control.pid_file import PidFile
held = PidFile(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def running_pid(path: str) -> int | None:
    """Who holds the file, as somebody else sees it."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return holder_of(fd)
    finally:
        os.close(fd)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "logs" / "mosn.pid")


def hold(path: str) -> subprocess.Popen[str]:
    """Another process that holds the pid file at *path*."""
    rival = subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert rival.stdout is not None
    assert rival.stdout.readline() == "held\n"
    return rival


def test_it_holds_the_pid_and_a_newline_as_mosn_writes_it(path: str) -> None:
    held = PidFile(path)
    assert Path(path).read_text() == f"{os.getpid()}\n"
    held.release()
    assert not Path(path).exists()


def test_a_second_process_is_told_who_runs(path: str) -> None:
    rival = hold(path)
    assert running_pid(path) == rival.pid
    with pytest.raises(AlreadyRunningError, match=f"pid {rival.pid} holds"):
        PidFile(path)
    rival.communicate()


def test_a_killed_holder_leaves_a_stale_file_that_is_taken_over(path: str) -> None:
    rival = hold(path)
    rival.kill()
    rival.communicate()
    assert Path(path).read_text() == f"{rival.pid}\n"
    assert running_pid(path) is None
    held = PidFile(path)
    assert Path(path).read_text() == f"{os.getpid()}\n"
    held.release()


def test_a_longer_stale_text_leaves_nothing_behind(path: str) -> None:
    os.makedirs(os.path.dirname(path))
    Path(path).write_text("99999999999999\nrubbish\n")
    held = PidFile(path)
    assert Path(path).read_text() == f"{os.getpid()}\n"
    held.release()


def test_a_symbolic_link_is_not_followed(path: str, tmp_path: Path) -> None:
    os.makedirs(os.path.dirname(path))
    (tmp_path / "victim").write_text("precious")
    os.symlink(tmp_path / "victim", path)
    with pytest.raises(OSError):
        PidFile(path)
    assert (tmp_path / "victim").read_text() == "precious"


def test_releasing_leaves_the_file_of_somebody_else_alone(path: str) -> None:
    held = PidFile(path)
    os.unlink(path)
    Path(path).write_text("1\n")
    held.release()
    assert Path(path).read_text() == "1\n"


def test_no_file_is_nobody(path: str) -> None:
    assert running_pid(path) is None


def test_a_fork_does_not_share_the_lock(path: str) -> None:
    """Workers that outlive a killed master must not keep its pid file locked."""
    held = PidFile(path)
    child = os.fork()
    if child == 0:
        os._exit(0 if running_pid(path) == os.getppid() else 1)
    assert os.waitpid(child, 0)[1] == 0
    held.release()
