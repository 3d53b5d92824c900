"""Heads that have not come as a whole: each takes no more than its bytes, and when memory runs short the oldest go first."""

import time

from tests.process.program import wait_until
from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream
from tests.process.proxy.wire import Wire, request

COUNT = 400  # the arena has 40 blocks
PLACE = 256 << 10
LARGE = b"GET / HTTP/1.1\r\nHost: a\r\nX-Large: " + b"x" * 6000


def configure(setting: Setting, origin: Upstream) -> None:
    setting.server["arena_size"] = "1MB"
    setting.server["unfinished_size"] = PLACE
    log = {"log_path": str(setting.directory / "logs" / "late"), "log_format": "%start_time% %request_path% %response_code%"}
    setting.add_listener("hurried", request_header_timeout="400ms", access_logs=[log])
    setting.add_listener("leaving")


def begun(setting: Setting, first_bytes: bytes, count: int, listener: str = "front") -> list[Wire]:
    """Clients that have sent the beginning of a head, all of it read."""
    tally = setting.tally()
    clients = [setting.connect(listener) for _ in range(count)]
    for client in clients:
        client.send(first_bytes)
    wait_until(lambda: tally.of(f"{listener}.bytes_read_total") >= count * len(first_bytes), "the beginnings of all heads")
    return clients


def close(clients: list[Wire]) -> None:
    for client in clients:
        client.close()


def test_one_byte_of_a_head_holds_neither_buffer_nor_greenlet(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as honest:
        assert honest.get("/").status == 200
        tally = setting.tally()
        clients = begun(setting, b"G", COUNT)
        wait_until(lambda: tally.of("front.connection_parked") == COUNT, "no greenlet for any of them")
        assert [honest.get("/").status for _ in range(100)] == [200] * 100
        for client in clients:
            client.send(b"ET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert [client.response().status for client in clients] == [200] * COUNT
        assert tally.of("front.limit_unfinished") == tally.of("front.timeout_header") == 0
        close(clients)


def test_a_head_of_any_size_may_come_in_pieces_of_any_size(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        for length in (0, 3000, 4040, 4096, 14_000):
            wire = request("/", "X-Long: " + "x" * length)
            for size in (1, 700, 4096, 9000):
                if len(wire) // size < 100:
                    client.send_pieces(wire, size)
                    assert client.response().status == 200
        assert upstream.messages[-1].get(b"x-long") == b"x" * 14_000


def test_what_comes_behind_a_head_in_pieces_is_the_next_one(setting: Setting, upstream: Upstream) -> None:
    one = request("/1", method="POST", body=b"12345")
    with setting.connect() as client:
        for at in range(1, len(one) + len(one)):
            client.send_split(one + one, at)
            assert [client.response().body for _ in range(2)] == [b"12345"] * 2


def test_a_late_head_is_in_the_access_log_with_what_there_is_of_it(setting: Setting, upstream: Upstream) -> None:
    started = time.time()
    with setting.connect("hurried") as client:
        client.send(b"GET /late HTTP/1.1\r\n")
        time.sleep(0.2)
        client.send(b"Host: a\r\n")
        assert client.response().status == 408
    line = setting.wait_lines("late", 1)[-1]
    assert line.endswith("/late 408")
    assert time.time() - started > 0.4


def test_a_large_head_that_is_late_is_408_too(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    clients = begun(setting, LARGE, 5, "hurried")
    assert [client.response().status for client in clients] == [408] * 5
    tally.wait("hurried.timeout_header", 5)
    close(clients)


def test_when_the_place_for_beginnings_is_used_up_the_oldest_go(setting: Setting, upstream: Upstream) -> None:
    first_bytes = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 3500
    tally = setting.tally()
    clients = begun(setting, first_bytes, COUNT)
    wait_until(lambda: tally.of("front.limit_unfinished") > COUNT - PLACE // len(first_bytes) - 1, "the end of the oldest")
    gone = tally.of("front.limit_unfinished")
    assert gone < COUNT - PLACE // (len(first_bytes) + 200) + 1
    assert all(client.ends() == b"" for client in clients[:gone])
    for client in clients[gone:]:
        client.send(b"\r\n\r\n")
        assert client.response().status == 200
    close(clients)
    wait_until(lambda: setting.counts()["worker.unfinished_bytes"] == 0, "an empty place")


def test_when_blocks_run_short_the_oldest_unfinished_heads_go(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect() as honest:
        clients = begun(setting, LARGE, 20)
        for _ in range(4):
            clients += [setting.connect() for _ in range(20)]
            for client in clients[-20:]:
                client.send(LARGE)
            assert [honest.get("/").status for _ in range(20)] == [200] * 20
        wait_until(lambda: tally.of("front.limit_unfinished") > 40, "the end of the oldest")
        clients[-1].send(b"\r\n\r\n")
        assert clients[-1].response().status == 200
        assert clients[0].ends() == b""
    close(clients)
    tally.wait("front.connection_active", 0)


def test_a_head_that_had_begun_is_served_when_the_listener_goes(setting: Setting, upstream: Upstream) -> None:
    (client,) = begun(setting, b"GET / HT", 1, "leaving")
    with client:
        setting.server["listeners"] = [one for one in setting.server["listeners"] if one["name"] != "leaving"]
        setting.write()
        assert setting.run("reload").returncode == 0
        time.sleep(0.6)  # who waits between requests is closed by then
        client.send(b"TP/1.1\r\nHost: a\r\n\r\n")
        response = client.response()
        assert response.status == 200 and response.get(b"connection") == b"close"
