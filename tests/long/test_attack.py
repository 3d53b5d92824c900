"""Clients that hold on to connections, together with a load that must not notice."""

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
from tests.long.proxied import MIB, Proxied, Reading
from tests.process.program import wait_until

COUNT = 1000  # of each kind
LIMIT_S = 2.0  # of head, body and write alike
OPTIONS = {"write_timeout": f"{LIMIT_S}s"}
HTTP1 = {"request_header_timeout": f"{LIMIT_S}s", "request_body_timeout": f"{LIMIT_S}s"}
GROWTH = 1.1  # of memory, once the attackers have been gone for GIVEN_BACK_S
GIVEN_BACK_S = 60.0
FRONT = 'listener="front"'


def attack(port: int) -> dict[str, Any]:
    """How each kind of attacker ended."""
    command = [sys.executable, str(Path(__file__).parent / "attackers.py"), str(port), str(COUNT)]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=50, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def give_back(proxied: Proxied, before: Reading, capsys: pytest.CaptureFixture[str]) -> None:
    """Wait until memory has followed the connections."""
    began = time.monotonic()
    limit = before.own_bytes * GROWTH
    wait_until(lambda: proxied.own_bytes() <= limit, f"at most {limit / MIB:.1f} MiB, as before the attack", GIVEN_BACK_S)
    with capsys.disabled():
        sys.stdout.write(f"\ngiven back after {time.monotonic() - began:.0f} s\n")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.interop("nginx", "python:gevent")
def test_3000_slow_clients_are_thrown_out_and_the_load_does_not_notice(
    nginx: Nginx, proxy_to: Callable[..., Proxied], capsys: pytest.CaptureFixture[str]
) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 5 * COUNT:
        pytest.skip(f"fewer than {5 * COUNT} open files are allowed here")
    proxied = proxy_to(nginx.port, options=OPTIONS, http1=HTTP1)
    with Loaded(proxied.port, 20):
        time.sleep(1)  # what a program takes that serves, and gives to nobody
    before = proxied.mapped_mib()
    readings = [proxied.reading()]
    for turn in (1, 2):
        with Loaded(proxied.port, 20) as load:
            found = attack(proxied.port)
        highest = proxied.mapped_mib()
        readings.append(proxied.settled_reading())
        give_back(proxied, readings[0], capsys)
        counters = {name: proxied.counter(f"downstream_timeout_{name}", FRONT) for name in ("header", "body", "write")}
        with capsys.disabled():
            sys.stdout.write(f"\nload: {load.counts}\nattackers: {found}; counters: {counters}\nafter: {readings[-1]}\n")
            sys.stdout.write(f"MiB before {before}\n     then {highest}\n      now {proxied.mapped_mib()}\n")
        assert load.failed == 0, load.examples
        assert load.counts["ok"] > 1000
        assert {name: kind["ended"] for name, kind in found.items()} == dict.fromkeys(found, COUNT)
        assert max(kind["longest_s"] for kind in found.values()) < LIMIT_S + 6  # 3,000 of them on a busy machine
        assert list(found["head"]["answers"]) == ["HTTP/1.1 408 Request Timeout"]
        assert list(found["body"]["answers"]) == ["HTTP/1.1 408 Request Timeout"]
        assert counters == dict.fromkeys(counters, turn * COUNT)
        assert proxied.counter("upstream_request_active", 'cluster="hosts"') == 0
    first, second, third = readings
    assert third.arena_blocks <= first.arena_blocks + 32
    assert third.fds <= second.fds + 32
    assert third.greenlets <= second.greenlets + 100
