"""Millions of requests with connection churn: nothing may grow."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.interop.conftest import Nginx
from tests.long.proxied import Proxied, Reading

REQUESTS = int(os.environ.get("SOAK_REQUESTS", "5000000"))
WARM_UP = 100_000
MILLION = 1_000_000
SLICE_S = 8
CONNECTIONS = 64
MAX_PSS = 80 * 10**6
FLAT = 2 * 10**6
FRONT = 'listener="front"'


class Churn:
    """Load in slices: kept connections, then a connection per request; adds up what was answered."""

    def __init__(self, proxied: Proxied) -> None:
        self.url = f"http://127.0.0.1:{proxied.port}/fast"
        self.proxied = proxied
        self.done = 0

    def until(self, count: int) -> None:
        """Until at least *count* requests are answered in all."""
        while self.done < count:
            left = count - self.done
            seconds = min(SLICE_S, max(1, left // 20_000))
            self.wrk(seconds, f"-c{CONNECTIONS}")
            self.wrk(max(1, seconds // 4), "-c16", "-H", "Connection: close")

    def wrk(self, seconds: int, *arguments: str) -> None:
        """One slice; not one error."""
        command = ["wrk", "-t1", f"-d{seconds}s", *arguments, self.url]
        output = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
        assert "Socket errors" not in output, output
        assert "Non-2xx" not in output, output
        self.done += int(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.interop("wrk", "nginx")
def test_nothing_grows_over_millions_of_requests(
    nginx: Nginx, proxy_to: Callable[..., Proxied], capsys: pytest.CaptureFixture[str]
) -> None:
    proxied = proxy_to(nginx.port, cluster={"max_request_per_conn": 5000, "idle_timeout": "1s"})
    churn = Churn(proxied)
    begun = time.monotonic()

    def read(what: str) -> Reading:
        reading = proxied.settled_reading()
        with capsys.disabled():
            sys.stdout.write(f"\n{what}: {churn.done} requests in {time.monotonic() - begun:.0f} s: {reading}")
        return reading

    started = read("started")
    churn.until(WARM_UP)
    warm = read("warm")
    churn.until(min(MILLION, REQUESTS))
    million = read("a million")
    while churn.done < REQUESTS:
        churn.until(min(REQUESTS, churn.done + MILLION))
        last = read("on")
    last = read("end")
    failed, broken_off = (proxied.counter(f"downstream_request_{key}", FRONT) for key in ("failed", "reset"))
    assert failed == broken_off  # by wrk, when the time of a slice was up
    assert proxied.counter("downstream_request_total", FRONT) >= REQUESTS
    assert started.pss_bytes <= MAX_PSS
    assert million.pss_bytes <= MAX_PSS
    for later in (million, last):
        assert abs(later.own_bytes - warm.own_bytes) <= FLAT
        assert later.fds <= warm.fds + 16
        assert later.arena_blocks <= 64  # the magazines of idle workers
        assert later.greenlets <= started.greenlets + 2 * CONNECTIONS  # which worker gets how many of them is chance
    assert million.own_bytes - started.own_bytes <= FLAT
