"""Whom the programs of these tests become, and what that costs, seen from outside, in /proc."""

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.program import ROOT, Program

USER = "nobody"
FOUND = pwd.getpwnam(USER)


def can_run(python: str, path: str = "") -> bool:
    """Whether USER can run *python* with our code and libraries."""
    command = [python, "-c", "import msgspec, gevent, mosn_mp.config.load"]
    environment = {"PYTHONPATH": path or str(ROOT)}
    try:
        subprocess.run(command, env=environment, user=USER, group=FOUND.pw_gid, cwd="/", capture_output=True, check=True)
    except (PermissionError, subprocess.CalledProcessError):
        return False
    return True


@pytest.fixture(scope="module")
def interpreter() -> tuple[str, str]:
    """A Python that USER can run, and its path to modules: the tests' own one may lie in a home directory."""
    if can_run(sys.executable):
        return sys.executable, str(ROOT)
    system = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/local/bin:/usr/bin") or ""
    path = f"{ROOT}:{sysconfig.get_path('purelib')}"
    if not system or not can_run(system, path):
        pytest.skip(f"'{USER}' can run neither {sys.executable} nor another Python of its version")
    return system, path


@contextlib.contextmanager
def made_for_user(interpreter: tuple[str, str]) -> Iterator[Program]:
    """A program of root's for USER, in a directory where he may read (pytest's own are root's alone) and not write."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        made = Program(Path(directory))
        made.python, made.environment["PYTHONPATH"] = interpreter
        made.server["user"] = USER
        try:
            yield made
        finally:
            made.end()


def ids(pid: int) -> dict[str, list[str]]:
    """What /proc/PID/status says of users, groups and capabilities."""
    lines = (line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: value.split() for name, value in lines if name in ("Uid", "Gid", "Groups") or name.startswith("Cap")}


def check_unprivileged(pid: int) -> None:
    """*pid* is USER in every way and may do nothing that he may not."""
    found = ids(pid)
    assert found["Uid"] == [str(FOUND.pw_uid)] * 4
    assert found["Gid"] == [str(FOUND.pw_gid)] * 4
    assert sorted(found["Groups"]) == sorted(map(str, os.getgrouplist(USER, FOUND.pw_gid)))
    assert {int(found[kind][0], 16) for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {0}
