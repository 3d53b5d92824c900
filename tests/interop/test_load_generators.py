"""wrk and h2load through the proxy to nginx: not one error."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.conftest import Nginx
from tests.long.proxied import Proxied
from tests.process.program import wait_until

SECONDS = 1
REQUESTS = 10_000
MIX = """
local bodies = {"", string.rep("x", 100), string.rep("y", 20000)}
local at = 0
request = function()
  at = at + 1
  if at % 7 == 0 then return wrk.format("GET", "/1m") end
  if at % 3 == 0 then return wrk.format("PUT", "/put/" .. at % 10, nil, bodies[at % 3 + 1]) end
  if at % 11 == 0 then return wrk.format("GET", "/hasty") end
  return wrk.format("GET", "/hello")
end
"""


@pytest.fixture(scope="module")
def proxied(shared_nginx: Nginx, shared_proxy_to: Callable[..., Proxied]) -> Proxied:
    return shared_proxy_to(shared_nginx.port)


def failures(proxied: Proxied) -> int:
    """Requests that failed, but for those that wrk broke off when its time was up."""
    failed, broken_off = (proxied.counter(f"downstream_request_{key}", 'listener="front"') for key in ("failed", "reset"))
    return failed - broken_off


def run_wrk(*arguments: str) -> str:
    """The output of wrk, which has seen no error."""
    done = subprocess.run(["wrk", "-t1", f"-d{SECONDS}s", *arguments], capture_output=True, text=True, timeout=30, check=True)
    assert "Socket errors" not in done.stdout, done.stdout
    assert "Non-2xx" not in done.stdout, done.stdout
    return done.stdout


@pytest.mark.interop("wrk", "nginx")
def test_wrk_on_kept_connections(shared_nginx: Nginx, proxied: Proxied) -> None:
    before = shared_nginx.connections()
    output = run_wrk("-c100", f"http://127.0.0.1:{proxied.port}/hello")
    done = int(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]
    assert proxied.counter("downstream_request_200_total", 'listener="front"') >= done
    wait_until(lambda: failures(proxied) == 0, "as many failures as requests that wrk broke off")
    assert len(shared_nginx.connections() - before) <= 2 * 100  # both workers keep what they opened


@pytest.mark.interop("wrk", "nginx")
def test_wrk_with_a_connection_per_request(proxied: Proxied) -> None:
    run_wrk("-c20", "-H", "Connection: close", f"http://127.0.0.1:{proxied.port}/hello")
    wait_until(lambda: failures(proxied) == 0, "as many failures as requests that wrk broke off")


@pytest.mark.interop("wrk", "nginx")
def test_wrk_with_a_mix_of_bodies_and_hosts_that_close(proxied: Proxied, tmp_path: Path) -> None:
    script = tmp_path / "mix.lua"
    script.write_text(MIX)
    run_wrk("-c32", "-s", str(script), f"http://127.0.0.1:{proxied.port}")
    wait_until(lambda: failures(proxied) == 0, "as many failures as requests that wrk broke off")


@pytest.mark.interop("h2load", "nginx")
@pytest.mark.parametrize("depth", [1, 16])
def test_h2load_over_http1(proxied: Proxied, depth: int) -> None:
    command = ["h2load", "--h1", "-t1", "-c50", f"-m{depth}", f"-n{REQUESTS}", f"http://127.0.0.1:{proxied.port}/hello"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    n = REQUESTS
    assert f"{n} total, {n} started, {n} done, {n} succeeded, 0 failed, 0 errored, 0 timeout" in output, output
    assert f"status codes: {n} 2xx" in output
