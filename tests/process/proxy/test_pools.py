"""Pools of upstream connections: reuse, limits, idle time."""

import threading
import time

from tests.process.program import wait_until
from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit, answer, ok
from tests.process.proxy.wire import request


def configure(setting: Setting, origin: Upstream) -> None:
    log_format = "%path% %response_code% %response_flags%"
    setting.change_listener("front", access_logs=[{"log_path": "logs/front.log", "log_format": log_format}])
    setting.add_cluster("third", origin.port, max_request_per_conn=3)
    setting.add_cluster("two", origin.port, circuit_breakers=[{"max_connections": 2}])
    setting.add_cluster("brief", origin.port, idle_timeout="500ms")


def test_clients_share_upstream_connections(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    for _ in range(20):
        with setting.connect() as client:
            assert client.get("/").status == 200
    tally.wait("up.request_total", 20)
    assert tally.of("up.connection_total") == 1


def test_the_connection_that_was_used_last_is_taken_first(setting: Setting, upstream: Upstream) -> None:
    numbers: list[int] = []
    together = threading.Barrier(4)

    def script(visit: Visit) -> None:
        if b"/all" in visit.message.first_line:
            together.wait(5)
        numbers.append(visit.connection)
        visit.send(ok())

    upstream.script = script
    clients = [setting.connect() for _ in range(4)]
    for client in clients:
        client.send(request("/all"))
    for client in clients:
        assert client.response().status == 200
    assert len(set(numbers)) == 4
    for _ in range(10):
        assert clients[0].get("/").status == 200
    assert len(set(numbers[4:])) == 1
    for client in clients:
        client.close()


def test_a_connection_carries_no_more_requests_than_allowed(setting: Setting, upstream: Upstream) -> None:
    numbers: list[int] = []

    def script(visit: Visit) -> None:
        numbers.append(visit.number)
        visit.send(ok())

    upstream.script = script
    tally = setting.tally()
    with setting.connect() as client:
        for _ in range(9):
            assert client.get("/third").status == 200
    assert numbers == [1, 2, 3] * 3
    tally.wait("third.connection_total", 3)
    tally.wait("third.connection_active", 0)


def test_connections_beyond_the_limit_are_refused(setting: Setting, upstream: Upstream) -> None:
    release = threading.Event()

    def script(visit: Visit) -> None:
        assert release.wait(5)
        visit.send(ok())

    upstream.script = script
    tally = setting.tally()
    busy = [setting.connect() for _ in range(2)]
    for client in busy:
        client.send(request("/two"))
    upstream.wait_messages(2)
    with setting.connect() as client:
        for _ in range(3):
            response = client.get("/two")
            assert (response.status, response.body) == (503, b"upstream connection limit reached\n")
        wait_until(lambda: setting.log_lines("front.log").count("/two 503 UO") == 3, "the log lines")
        release.set()
        for other in busy:
            assert other.response().status == 200
            other.close()
        assert client.get("/two").status == 200
    tally.wait("two.connection_overflow", 3)
    assert tally.of("two.connection_total") == 2


def test_the_limit_is_given_back_by_failures(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        for _ in range(5):
            upstream.script = lambda visit: visit.shut()
            assert client.get("/two").status == 502
        upstream.script = answer(ok())
        assert client.get("/two").status == 200


def test_a_connection_that_idles_too_long_is_closed(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect() as client:
        assert client.get("/brief").status == 200
        tally.wait("brief.connection_idle", 1)
        begun = time.monotonic()
        tally.wait("brief.connection_active", 1)
        wait_until(lambda: tally.of("brief.connection_active") == 0, "the idle connection is closed")
        assert 0.2 < time.monotonic() - begun < 5
        tally.wait("brief.connection_idle", 0)
        tally.wait("brief.connection_local_close", 1)
        assert client.get("/brief").status == 200
    assert tally.of("brief.request_retry") == 0


def test_a_connection_that_is_used_does_not_idle(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect() as client:
        for _ in range(5):
            assert client.get("/brief").status == 200
            assert client.is_quiet(0.15)
        upstream.script = lambda visit: (time.sleep(0.7), visit.send(ok()))[1]
        assert client.get("/brief").status == 200
    assert tally.of("brief.connection_total") == 1
