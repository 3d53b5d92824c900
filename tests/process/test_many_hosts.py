"""Configurations that grow far beyond what they were at the start, and shrink again: shared memory follows."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.process.dynamic import Dynamic
from tests.process.program import Program, say, wait_until

MANY = 6_000


def hosts(count: int, generation: int = 0) -> list[dict[str, str]]:
    """Addresses of this machine at which nobody listens."""
    return [{"address": f"127.{10 + generation}.{n >> 8}.{n & 255}:9"} for n in range(count)]


def shared_bytes(pid: int) -> dict[str, int]:
    """The memory behind each segment that the master has."""
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        name = os.readlink(link)
        for kind in ("metrics", "state"):
            if f"memfd:mosn_mp-{kind}" in name:
                found[kind] = os.stat(link).st_blocks * 512
    return found


@pytest.fixture
def dynamic(program: Program, tmp_path: Path) -> Dynamic:
    return Dynamic(tmp_path)


def refuse_all(program: Program, requests: int) -> None:
    """Requests to hosts in turn: each of them takes two or three connects, which are counted there."""
    with socket.create_connection(("127.0.0.1", program.port), timeout=10) as sock:
        file = sock.makefile("rb")
        for _ in range(requests):
            sock.sendall(b"GET /up HTTP/1.1\r\nHost: a\r\n\r\n")
            assert file.readline().startswith(b"HTTP/1.1 502")
            length = 0
            while (line := file.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            file.read(length)


def take(dynamic: Any, some: list[dict[str, str]]) -> dict[str, Any]:
    answer: dict[str, Any] = dynamic.change("update_config", "cluster", {"name": "up", "hosts": some})
    return answer


def test_a_reload_takes_hosts_that_nobody_thought_of_at_the_start(running: Program) -> None:
    running.config["cluster_manager"] = {"clusters": [{"name": f"c{n}", "hosts": hosts(100, n)} for n in range(MANY // 100)]}
    running.write()
    done = running.run("reload")
    assert done.returncode == 0, done.stderr
    assert "hosts: added c0/127.10.0.0:9, c0/127.10.0.1:9" in done.stdout
    assert f" and {MANY - 30:,} more" in done.stdout
    assert running.run("host", "disable", "c59", "127.69.0.99:9").returncode == 0
    assert running.status()["disabled_hosts"] == ["c59/127.69.0.99:9"]


def test_shared_memory_follows_the_hosts_that_are_used_and_gives_back_those_that_left(dynamic: Dynamic) -> None:
    try:
        dynamic.start()
        assert dynamic.master is not None
        few = shared_bytes(dynamic.master.pid)
        take(dynamic, hosts(MANY))
        many = shared_bytes(dynamic.master.pid)
        assert many["metrics"] == few["metrics"]  # nothing is counted at any of them yet
        peaks = []
        for generation in range(1, 4):
            refuse_all(dynamic, MANY // 2)
            peaks.append(shared_bytes(dynamic.master.pid)["metrics"])
            assert dynamic.ask("GET", "/metrics")[1].count("upstream_connection_con_fail{") > MANY // 2
            take(dynamic, hosts(MANY, generation))
            wait_until(lambda: shared_bytes(dynamic.master.pid)["metrics"] <= few["metrics"] + 40_960, "pages given back", 20)
            assert "127.10." not in dynamic.ask("GET", "/metrics")[1]
        say(f"\nshared memory: {few} at the start, {many} with {MANY} hosts, metrics of used ones {peaks}")
        assert min(peaks) > MANY * 640 // 2
        assert max(peaks) < 1.2 * min(peaks)
    finally:
        dynamic.end()


def test_no_worker_can_take_the_shared_memory_of_the_others_away(running: Program) -> None:
    for pid in running.pids("worker"):
        held = {os.readlink(link): link for link in Path(f"/proc/{pid}/fd").iterdir() if "memfd:mosn_mp-" in os.readlink(link)}
        assert held
        for name, link in held.items():
            fd = os.open(link, os.O_RDWR)
            with pytest.raises(PermissionError):
                os.ftruncate(fd, 0)
            with pytest.raises(PermissionError):
                os.ftruncate(fd, 1 << 40)
            os.close(fd)
            say(f"worker {pid} holds {name}")
