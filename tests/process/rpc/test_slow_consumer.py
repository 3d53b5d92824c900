"""One client that never reads, among fifty on the same upstream connection."""

import os
import threading
import time
from pathlib import Path

import pytest

from tests.process.program import wait_until
from tests.process.rpc.conftest import Start
from tests.process.rpc.load import Echo, Load, LoadedSetting
from tests.process.rpc.setting import RpcSetting
from tests.rpc.client import Client
from tests.rpc.upstream import Upstream, Visit, echo, silent
from tests.rpc.wire import BUSY, SUCCESS, request

MIB = 1 << 20
OTHERS = 49
RATE = 1500
SECONDS = 2.0
ROUNDS = 3  # the best of each side counts,
TRIES = 4  # and one try: this machine is shared


class SlowConsumer:
    """Asks for 64 KiB again and again and reads nothing of it, until its own socket takes no more requests."""

    def __init__(self, port: int) -> None:
        self.client = Client(port, receive_buffer=4096, reads=False)
        self.client.sock.settimeout(0.2)
        self.asked = 0
        self.is_blocked = False
        self._goes_on = True
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        while self._goes_on:
            raw = request(self.asked + 1, b"big" + bytes(200), timeout_ms=-1).encode()
            try:
                self.client.send(raw)
                self.asked += 1
            except TimeoutError:
                self.is_blocked = True
                return

    def end(self) -> None:
        """Let go."""
        self._goes_on = False
        self._thread.join()
        self.client.close()


def best_p99_ms(port: int) -> float:
    found = []
    for _ in range(ROUNDS):
        result = Load(port, OTHERS, RATE, SECONDS).result()
        assert result["right"] == result["sent"] > 0, result
        found.append(result["p99_ms"])
    return min(found)


def blocks(setting: RpcSetting) -> int:
    """Blocks of the arena that are not free."""
    return sum(int(size["total"]) - int(size["free"]) for size in setting.status()["arena"])


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_fifty_share_a_connection_with_one_that_never_reads(tmp_path: Path) -> None:
    with Echo() as echo, LoadedSetting(tmp_path, 1, [echo]) as setting:
        port = setting.ports["bolt"]
        for _ in range(TRIES):
            alone_ms = best_p99_ms(port)
            memory = setting.pss_bytes()
            slow = SlowConsumer(port)
            try:
                wait_until(lambda slow=slow: slow.is_blocked or slow.asked > 20_000, "stuck, or limitless", 20)  # type: ignore[misc]
                assert slow.is_blocked, f"{slow.asked} requests were taken from a client that reads nothing"
                beside_ms = best_p99_ms(port)
                grown = setting.pss_bytes() - memory
                assert setting.counts()["bolt.limit_in_flight"] > 0
                assert setting.counts()["bolt.connection_active"] >= 1, "the slow consumer was closed before the end"
            finally:
                slow.end()
            print(f"p99 {alone_ms:.2f} ms alone, {beside_ms:.2f} ms beside it; {grown / MIB:.1f} MiB")  # noqa: T201  figures
            assert grown < 80 * MIB, f"{grown / MIB:.1f} MiB for a client that reads nothing"
            with setting.client() as client:
                assert client.call().status == SUCCESS
            if beside_ms <= 1.5 * alone_ms:
                return
        pytest.fail(f"p99 {alone_ms:.2f} ms alone, {beside_ms:.2f} ms beside it, the last of {TRIES} tries")


@pytest.mark.timeout(120)
def test_memory_held_for_a_slow_consumer_comes_back(tmp_path: Path) -> None:
    with Echo() as echo, LoadedSetting(tmp_path, 1, [echo]) as setting:

        with setting.client() as client:
            client.call()
        before = blocks(setting)
        for _ in range(3):
            slow = SlowConsumer(setting.ports["bolt"])
            wait_until(lambda slow=slow: slow.is_blocked, "the slow consumer stuck", 20)  # type: ignore[misc]
            slow.end()
        wait_until(lambda: setting.counts()["bolt.connection_active"] == 0, "the end of its connections")
        wait_until(lambda: blocks(setting) <= before + 8, "the blocks given back")
        assert os.path.exists(f"/proc/{setting.pids('worker')[0]}")


def test_an_answer_that_cannot_wait_is_replaced_by_an_error_and_the_others_arrive(start: Start, server: Upstream) -> None:
    held: list[Visit] = []
    server.script = held.append
    setting = start()
    client = Client(setting.ports["bolt"], receive_buffer=4096, reads=False)
    ids = [client.ask(b"%d" % i) for i in range(200)]
    wait_until(lambda: len(held) == 200, "all requests at the upstream")
    for visit in held:
        visit.reply(visit.frame.content + bytes(1 << 20))
    wait_until(lambda: setting.counts()["bolt.request_active"] == 0, "the end of the streams, while the client reads nothing", 20)
    refused = setting.counts()["bolt.limit_unread"]
    assert 100 < refused < 150
    client.start()
    answers = [client.wait(id_, 30) for id_ in ids]
    assert [frame.status for frame in answers].count(BUSY) == refused
    for i, frame in enumerate(answers):
        assert frame.status == BUSY or frame.content == b"%d" % i + bytes(1 << 20)
    server.script = echo
    assert client.call(b"afterwards").content == b"afterwards"
    client.close()


def test_a_client_that_reads_nothing_is_closed_after_the_write_timeout(tmp_path: Path, server: Upstream) -> None:
    server.script = lambda visit: visit.reply(bytes(1 << 20))
    setting = RpcSetting(tmp_path)
    setting.add_cluster("up", server.port)
    setting.add_route({"prefix": "/"}, route={"cluster_name": "up"})
    setting.add_protocol("bolt", "bolt", write_timeout="1s")
    setting.start()
    try:
        client = Client(setting.ports["bolt"], receive_buffer=4096, reads=False)
        for _ in range(20):
            client.ask()
        wait_until(lambda: setting.counts()["bolt.timeout_write"] == 1, "the close of the client")
        wait_until(lambda: setting.counts()["bolt.connection_active"] == 0, "its end")
        client.close()
    finally:
        setting.end()


def test_a_client_that_reads_a_little_now_and_then_is_closed_too(tmp_path: Path, server: Upstream) -> None:
    server.script = lambda visit: visit.reply(bytes(1 << 20))
    setting = RpcSetting(tmp_path)
    setting.add_cluster("up", server.port)
    setting.add_route({"prefix": "/"}, route={"cluster_name": "up"})
    setting.add_protocol("bolt", "bolt", write_timeout="600ms", write_min_rate="100KB")
    setting.start()
    try:
        client = Client(setting.ports["bolt"], receive_buffer=4096, reads=False)
        for _ in range(20):
            client.ask()
        until = time.monotonic() + 4
        while not setting.counts()["bolt.timeout_write"] and time.monotonic() < until:
            client.sock.recv(2000)
            time.sleep(0.05)
        assert setting.counts()["bolt.timeout_write"] == 1
        wait_until(lambda: setting.counts()["bolt.connection_active"] == 0, "its end")
        client.close()
    finally:
        setting.end()


def test_requests_in_flight_share_the_blocks_that_they_came_in(start: Start, server: Upstream) -> None:
    server.script = silent
    setting = start()
    with setting.client() as client:
        client.ask()
        server.wait_requests(1)
        before = blocks(setting)
        for i in range(400):
            client.ask(bytes(100))
            server.wait_requests(i + 2)  # each comes by itself
        assert blocks(setting) - before < 64


def test_a_client_with_large_requests_under_way_is_not_read_beyond_their_bytes(start: Start, server: Upstream) -> None:
    server.script = silent
    setting = start()
    client = Client(setting.ports["bolt"], reads=False)
    client.sock.settimeout(1)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 64:
            client.ask(bytes(1 << 20))
            sent += 1
    assert setting.counts()["bolt.request_active"] <= 5
    assert setting.counts()["bolt.limit_in_flight"] == 1
    client.close()
    wait_until(lambda: setting.counts()["bolt.request_active"] == 0, "the end of its streams")
