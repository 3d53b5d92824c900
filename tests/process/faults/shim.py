"""Faults from outside: shim.c, compiled once, and the plan by which it lets system calls of a running process fail."""

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CALLS = (
    "accept4", "socket", "connect", "send", "recv", "sendmsg", "recvmsg", "splice", "pipe2", "epoll_ctl", "epoll_wait",
    "getsockopt", "setsockopt", "getsockname", "getpeername", "socketpair", "shutdown", "eventfd", "dup", "poll", "write", "open",
    "fcntl", "memfd_create",
)  # fmt: skip
_PLAN = struct.Struct("=4i3q")
_SEEN = struct.Struct(f"={len(CALLS)}q")


def compile_shim(directory: Path) -> Path:
    """The shared object in *directory*; the test is skipped, by name, without a C compiler (which the program itself needs)."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to make the faults with")
    made = directory / "faults.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-w", "-o", str(made), str(HERE / "shim.c"), "-ldl"], check=True)
    return made


class Faults:
    """The plan of one program: to be started with environment()."""

    def __init__(self, directory: Path) -> None:
        self._shim = compile_shim(directory)
        self._path = directory / "faults"
        self._path.write_bytes(bytes(_PLAN.size + _SEEN.size))
        with self._path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def environment(self) -> dict[str, str]:
        """What the program needs in its environment."""
        return {"LD_PRELOAD": str(self._shim), "FAULTS": str(self._path)}

    def plan(self, pid: int, call: str, error: int, first: int, times: int = 1) -> None:
        """Let *call* fail in process *pid* with errno *error*, from the *first* one on, *times* in a row."""
        self._map[:] = bytes(len(self._map))
        self._map[: _PLAN.size] = _PLAN.pack(0, CALLS.index(call), error, times, first, 0, 0)
        self._map[:4] = struct.pack("=i", pid)  # last: from here on it counts

    def watch(self, pid: int) -> None:
        """Let nothing fail, and count the calls of process *pid* from now on."""
        self._map[:] = bytes(len(self._map))
        self._map[4:8] = struct.pack("=i", -1)
        self._map[:4] = struct.pack("=i", pid)

    def end(self) -> int:
        """Let nothing fail any more; how many calls failed by the plan."""
        self._map[:4] = bytes(4)
        return self.hits

    @property
    def hits(self) -> int:
        """How many calls failed by the plan so far."""
        return int(_PLAN.unpack(self._map[: _PLAN.size])[6])

    def seen(self, call: str) -> int:
        """How often *call* was called since the plan, or watch()."""
        return int(_SEEN.unpack(self._map[_PLAN.size :])[CALLS.index(call)])
