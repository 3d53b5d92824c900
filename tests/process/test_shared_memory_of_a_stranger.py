"""A worker that was taken over writes what it likes into shared memory; a controller that was cannot write there at all."""

import http.client
import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.process.infiltrated import inside, interpreter, program
from tests.process.program import DEADLINE_S, Program, free_port, wait_until

__all__ = ["interpreter", "program"]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="there is nothing to be had from a program that root did not start")

FILL = """
import ctypes
PAGE = 4096
found = 0
for words in map(str.split, open("/proc/self/maps")):
    if "memfd:mosn_mp-" not in words[-2] or words[1] != "rw-s":
        continue
    start, end = (int(number, 16) for number in words[0].split("-"))
    filled = min(end - start, 1 << 20 if "arena" not in words[-2] else 32 * PAGE)
    ctypes.memset(start, 0xFF, filled)
    for at in range(start + filled, end, 997 * PAGE):
        ctypes.memset(at, 0xFF, 8)
    found += 1
"""

WRITE_ALL_THE_SAME = """
import mmap, os
found = []
for name in os.listdir("/proc/self/fd"):
    try:
        if "mosn_mp-" not in os.readlink(f"/proc/self/fd/{name}"):
            continue
        size = os.fstat(int(name)).st_size
    except OSError:
        continue
    for how in ("as it is", "anew"):
        try:
            fd = int(name) if how == "as it is" else os.open(f"/proc/self/fd/{name}", os.O_RDWR)
            mmap.mmap(fd, size, access=mmap.ACCESS_WRITE)
            found.append(f"{os.readlink(f'/proc/self/fd/{name}')} {how}")
        except OSError:
            pass
"""


@pytest.fixture
def serving(program: Program) -> Iterator[tuple[Program, int]]:
    """The program with an admin API, and its port."""
    port = free_port()
    program.config["admin"] = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}
    program.write()
    program.start()
    wait_until(lambda: program.status()["admin_address"], "the admin API")
    yield program, port


def ask(port: int, path: str) -> bytes:
    """The body of an answer of the admin API."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)) as admin:
        admin.request("GET", path)
        answer = admin.getresponse()
        body = answer.read()
        assert answer.status == 200
        return body


def test_whatever_a_worker_writes_master_and_controller_go_on(serving: tuple[Program, int]) -> None:
    program, port = serving
    assert program.master is not None
    controller = program.pids("controller")[0]
    for _ in range(2):
        victim = program.pids("worker")[0]
        assert inside(victim, FILL) == 4
        assert len(program.status()["processes"]) == 4
        assert b"arena_blocks{" in ask(port, "/metrics")
        assert set(json.loads(ask(port, "/api/v1/stats"))) >= {"worker", "downstream"}
        assert program.run("status").returncode == program.run("reload").returncode == 0
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda gone=victim: gone not in program.pids("worker") and len(program.pids("worker")) == 2, "another worker")
        assert program.run("status").returncode == 0
    assert program.master.poll() is None and program.pids("controller") == [controller]
    assert "Traceback" not in program.log_text()


def test_the_controller_has_shared_memory_to_look_at_only(serving: tuple[Program, int]) -> None:
    program, port = serving
    ask(port, "/metrics")
    controller = program.pids("controller")[0]
    maps = [line.split() for line in Path(f"/proc/{controller}/maps").read_text().splitlines() if "memfd:mosn_mp-" in line]
    assert {words[5].removeprefix("/memfd:") for words in maps} >= {"mosn_mp-holdings", "mosn_mp-metrics"}
    assert {words[1] for words in maps} == {"r--s"}
    assert inside(controller, WRITE_ALL_THE_SAME) == []
