"""A hundred thousand clients that begin a request and leave it at that, beside a load that must not notice."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.interop.conftest import Nginx
from tests.long.loaded import Loaded
from tests.long.proxied import MIB, Proxied
from tests.process.program import wait_until

PROCESSES, EACH = 6, 16_667
COUNT = PROCESSES * EACH
WORKERS = 12  # a client that may yet want a host's connection counts as two of the 20,000 descriptors of a process
LIMIT_S = 45.0  # all of them are open at once
FRONT = 'listener="front"'


def start(port: int) -> list[subprocess.Popen[bytes]]:
    """The processes of all beginners, once they have begun."""
    program = str(Path(__file__).parent / "beginners.py")
    commands = [[sys.executable, program, str(port), str(EACH), str(10 + i)] for i in range(PROCESSES)]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for command in commands]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"begun")
    return started


def end_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What a process saw, once all its clients have been thrown out."""
    with process:
        assert process.stdout is not None
        seen: dict[str, Any] = json.loads(process.stdout.readline())
        return seen


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.interop("nginx", "python:gevent")
def test_100000_heads_that_do_not_go_on_are_thrown_out_and_the_load_does_not_notice(
    nginx: Nginx, proxy_to: Callable[..., Proxied], capsys: pytest.CaptureFixture[str]
) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 20_000:
        pytest.skip("fewer than 20000 open files are allowed here")
    http1 = {"request_header_timeout": f"{LIMIT_S}s"}
    proxied = proxy_to(nginx.port, workers=WORKERS, http1=http1)
    before = proxied.settled_reading()
    with Loaded(proxied.port, 10) as load, Loaded(proxied.port, 10, "think") as newcomers:
        begun = time.monotonic()
        beginners = start(proxied.port)
        opened_s = time.monotonic() - begun
        active = lambda: proxied.counter("downstream_connection_active", FRONT)  # noqa: E731
        wait_until(lambda: active() >= COUNT, "all of them at once", LIMIT_S - opened_s)
        at_once, then = active(), proxied.reading()
        found = [end_of(process) for process in beginners]
        lasted_s = time.monotonic() - begun
    late, made_way = (proxied.counter(f"downstream_{name}", FRONT) for name in ("timeout_header", "limit_unfinished"))
    exhausted = proxied.counter("downstream_arena_exhausted", FRONT)
    each_bytes = (then.own_bytes - before.own_bytes) / COUNT
    with capsys.disabled():
        sys.stdout.write(
            f"\nopened in {opened_s:.1f} s, {at_once} at once, all ended after {lasted_s:.1f} s; {late} late, {made_way} made way"
            f"\nmemory: {before.own_bytes / MIB:.1f} MiB, then {then.own_bytes / MIB:.1f}: {each_bytes:.0f} bytes each; "
            f"arena blocks {before.arena_blocks}, then {then.arena_blocks}; greenlets {then.greenlets}"
            f"\nload: {load.counts}\nnewcomers: {newcomers.counts}\n"
        )
    assert load.failed == newcomers.failed == 0, load.examples + newcomers.examples
    assert load.counts["ok"] > 1000 and newcomers.counts["ok"] > 1000
    assert sum(kind["ended"] for kind in found) == COUNT
    assert late + made_way == COUNT and exhausted == 0
    assert then.arena_blocks <= before.arena_blocks + 500
    assert each_bytes < 2048
