"""A worker whose buffers are all in use: connections wait, are served later, and nothing is raised."""

import threading
import time

from tests.process.program import wait_until
from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit, ok
from tests.process.proxy.wire import Wire, request


def configure(setting: Setting, origin: Upstream) -> None:
    setting.server["arena_size"] = "1MB"


def test_requests_that_find_no_buffer_are_served_later(setting: Setting, upstream: Upstream) -> None:
    release = threading.Event()

    def script(visit: Visit) -> None:
        visit.body(visit.message)
        release.wait(8)
        visit.send(ok(visit.message.first_line))

    upstream.script = script
    tally = setting.tally()
    clients = [setting.connect() for _ in range(300)]
    for i, client in enumerate(clients):
        client.send(request(f"/{i}"))
    wait_until(lambda: tally.of("front.arena_exhausted") > 0, "an exhausted arena")
    release.set()
    for i, client in enumerate(clients):
        assert client.response().body == b"GET /%d HTTP/1.1" % i
        client.close()
    assert tally.of("worker.exceptions") == 0


def test_uploads_that_find_no_buffer_are_served_later(setting: Setting, upstream: Upstream) -> None:
    body = bytes(range(256)) * 4000

    def script(visit: Visit) -> None:
        time.sleep(0.05)
        visit.body(visit.message)
        visit.send(ok(b"%d" % len(visit.message.body)))

    upstream.script = script
    results: list[bytes] = []

    def upload(client: Wire) -> None:
        client.send(request("/", method="POST", body=body))
        results.append(client.response().body)

    clients = [setting.connect() for _ in range(100)]
    threads = [threading.Thread(target=upload, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [b"%d" % len(body)] * len(clients)
    for client in clients:
        client.close()


def test_downloads_that_find_no_buffer_are_served_later(setting: Setting, upstream: Upstream) -> None:
    body = bytes(range(256)) * 4000
    upstream.script = lambda visit: visit.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    )
    results: list[bool] = []

    def download(client: Wire) -> None:
        client.send(request("/"))
        time.sleep(0.1)
        results.append(client.response().body == body)

    clients = [setting.connect(receive_buffer=20_000) for _ in range(100)]
    threads = [threading.Thread(target=download, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * len(clients)
    for client in clients:
        client.close()


def test_every_buffer_comes_back(setting: Setting, upstream: Upstream) -> None:
    def held() -> int:
        return int(sum(size["total"] - size["free"] for size in setting.status()["arena"]))

    with setting.connect() as client:
        assert client.get("/ping").status == 200
    wait_until(lambda: setting.counts()["front.connection_active"] == 0, "no connection")
    assert held() <= 112  # what a worker's magazines may keep for the next burst
