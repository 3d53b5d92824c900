"""Who reads late gets everything: what its socket did not take leaves when it does, whatever the other side does meanwhile."""

import threading
import time

from tests.process.program import wait_until
from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit
from tests.process.proxy.wire import Wire, chunked, request

MOST = 20_000_000
PIECE = 2000


def fill(setting: Setting, wire: Wire, counter: str) -> int:
    """Send small chunks until the proxy can pass on no more of them; how many bytes they held."""
    sent = 0
    while sent < MOST:
        before = setting.counts()[counter]
        wire.send(chunked(b"x" * PIECE)[:-5])
        sent += PIECE
        until = time.monotonic() + 0.2
        while setting.counts()[counter] == before:
            if time.monotonic() > until:
                return sent
    raise AssertionError(f"{MOST} bytes fit into the sockets")


def test_a_response_that_pauses_is_read_to_its_last_byte(setting: Setting, upstream: Upstream) -> None:
    held = threading.Event()
    ended = threading.Event()
    sent = 0

    def script(visit: Visit) -> None:
        nonlocal sent
        visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        visit.send(chunked(b"x" * PIECE)[:-5] * 500)  # which fits
        sent = 500 * PIECE + fill(setting, visit, "front.bytes_write_total")
        held.set()
        assert ended.wait(6), "the client has not got all that was sent"
        visit.send(b"0\r\n\r\n")

    upstream.script = script
    with setting.connect(receive_buffer=4096) as client:
        client.send(request("/"))
        assert held.wait(20)
        client.head()
        read = 0
        while read < sent:
            size = int(client.until(b"\r\n"), 16)
            read += len(client.exactly(size))
            assert client.exactly(2) == b"\r\n"
        ended.set()
        assert client.until(b"\r\n") == b"0\r\n"


def test_a_request_that_pauses_is_read_to_its_last_byte(setting: Setting, upstream: Upstream) -> None:
    read_now = threading.Event()
    seen = 0

    def script(visit: Visit) -> None:
        nonlocal seen
        read_now.wait(20)
        while (size := int(visit.until(b"\r\n"), 16)) > 0:
            seen += len(visit.exactly(size))
            visit.exactly(2)
        visit.until(b"\r\n")
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    upstream.script = script
    with setting.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = fill(setting, client, "up.connection_bytes_write")
        read_now.set()
        wait_until(lambda: seen == sent, f"{sent} bytes at the host, not {seen}", 8)
        client.send(b"0\r\n\r\n")
        assert client.response().status == 200
