"""How many system calls messages cost: those of many streams leave in one send per connection and wake-up, seen by strace."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.process.program import wait_until
from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream, Visit
from tests.rpc.wire import request, response

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

CALLS = "trace=sendto,sendmsg,recvfrom"
LINE = re.compile(r"(sendto|sendmsg|recvfrom)\((\d+), .* = (\d+)$")


class Calls(dict[str, list[int]]):
    """Name of a system call: the bytes of each call that moved any."""


@contextmanager
def traced(setting: RpcSetting, directory: Path) -> Iterator[Calls]:
    """The calls of the worker while this lasts; filled in at the end."""
    (pid,) = setting.pids("worker")
    file = directory / "strace"
    tracer = subprocess.Popen(
        ["strace", "-f", "-e", CALLS, "-s", "0", "-o", str(file), "-p", str(pid)], stderr=subprocess.PIPE, text=True
    )
    assert tracer.stderr is not None
    assert "attached" in tracer.stderr.readline()
    calls = Calls(sendto=[], sendmsg=[], recvfrom=[])
    try:
        yield calls
        time.sleep(0.1)
    finally:
        tracer.terminate()
        tracer.communicate()
    for line in file.read_text().splitlines():
        if found := LINE.search(line):
            calls[found[1]].append(int(found[3]))


def large(sizes: list[int], least: int = 60) -> list[int]:
    """The calls that moved messages, and not a line of the worker's own talk with the master."""
    return [size for size in sizes if size >= least]


def test_requests_that_came_together_leave_together_and_so_do_answers(
    setting: RpcSetting, upstream: Upstream, tmp_path: Path
) -> None:
    held: list[Visit] = []
    upstream.script = held.append
    with setting.client() as client:
        client.ask(b"so that there is a connection")
        wait_until(lambda: len(held) == 1, "the first request")
        held.pop().reply()
        client.wait(1)
        with traced(setting, tmp_path) as calls:
            client.send(b"".join(request(100 + i, b"%d" % i).encode() for i in range(64)))
            wait_until(lambda: len(held) == 64, "all requests at the upstream")
            held[0].connection.send(*[response(visit.frame, visit.frame.content) for visit in held])
            wait_until(lambda: len(client.frames) == 65, "all answers")
    moved = large(calls["recvfrom"])
    sent = large(calls["sendto"] + calls["sendmsg"])
    assert sum(sent) > 64 * 100
    assert len(sent) <= len(moved) + 1 <= 6, f"{len(sent)} sends for {len(moved)} reads of 64 requests and 64 answers: {sent}"


def test_requests_of_many_clients_leave_in_one_send(setting: RpcSetting, upstream: Upstream, tmp_path: Path) -> None:
    clients = [setting.client() for _ in range(20)]
    for client in clients:
        client.call()
    held: list[Visit] = []
    upstream.script = held.append
    (pid,) = setting.pids("worker")
    with traced(setting, tmp_path) as calls:
        os.kill(pid, signal.SIGSTOP)  # so that all requests are there when it wakes up
        try:
            for client in clients:
                client.ask(b"together")
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: len(held) == 20, "all requests at the upstream")
    sent = large(calls["sendto"] + calls["sendmsg"])
    assert len(large(calls["recvfrom"])) >= 20
    assert len(sent) <= 2, f"{len(sent)} sends of 20 requests: {sent}"
    for visit in held:
        visit.reply()
    for client in clients:
        client.close()
