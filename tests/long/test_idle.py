"""What an idle keep-alive connection costs."""

import resource
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.interop.conftest import Nginx
from tests.long.proxied import Proxied
from tests.process.program import wait_until

MAX_BYTES = 300
REQUEST = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"


def read_answer(client: socket.socket) -> None:
    """One answer of nginx's /hello."""
    answer = b""
    while not answer.endswith(b"\r\n\r\nhello"):
        more = client.recv(4096)
        assert more, answer
        answer += more


def connect(port: int, number: int, stack: ExitStack) -> socket.socket:
    """A connection that has carried one request."""
    client = stack.enter_context(socket.socket())
    client.settimeout(10)
    client.bind((f"127.0.0.{2 + number // 5000}", 0))
    client.connect(("127.0.0.1", port))
    client.sendall(REQUEST)
    read_answer(client)
    return client


@pytest.mark.interop("nginx")
@pytest.mark.parametrize("count", [1000, pytest.param(8000, marks=pytest.mark.slow)])
def test_an_idle_connection_takes_few_bytes(
    nginx: Nginx, proxy_to: Callable[..., Proxied], count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < 2 * count + 500:
        pytest.skip(f"{hard} open files are allowed here: too few for {count} connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    proxied = proxy_to(nginx.port, workers=1)
    with ExitStack() as stack:
        for number in range(100):  # what the first requests of a process take is not theirs
            connect(proxied.port, number, stack)
        before = proxied.reading()
        own_before = proxied.own_bytes()
        clients = [connect(proxied.port, number, stack) for number in range(count)]
        time.sleep(2)  # for the arena to give back what served them
        own_after = proxied.own_bytes()  # first: to list so many descriptors takes memory too
        wait_until(lambda: proxied.counter("downstream_connection_parked", 'listener="front"') == count + 100, "all parked")
        after = proxied.reading()
        for client in (clients[0], clients[count // 2], clients[-1]):  # they still live
            client.sendall(REQUEST)
            read_answer(client)
    each = (own_after - own_before) / count
    with capsys.disabled():
        sys.stdout.write(f"\n{count} idle connections: {each:.0f} bytes each; before {before}, after {after}\n")
    if count >= 8000:  # fewer do not show beside the pages that memory comes in
        assert each <= MAX_BYTES
    assert abs(after.fds - before.fds - count) <= 4  # connections of the readings come and go
    assert after.arena_blocks <= before.arena_blocks + 32
    assert after.greenlets == before.greenlets
