"""bolt connections that move between workers, with requests under way and without."""

import os
import signal
import threading
import time

from tests.process.moving.conftest import MovingSetting
from tests.process.program import wait_until
from tests.rpc.client import Client
from tests.rpc.upstream import Upstream, after
from tests.rpc.wire import SUCCESS, request


def test_idle_connections_serve_on(moving: MovingSetting) -> None:
    clients = [moving.client() for _ in range(10)]
    for client in clients:
        assert client.call(b"one").content == b"one"
    assert moving.shift() == 5
    for client in clients:
        assert client.call(b"two").content == b"two"
    moving.use_workers(1)
    for client in clients:
        assert client.call(b"three").content == b"three"
        client.close()
    wait_until(lambda: moving.counts()["bolt.connection_active"] == 0, "no connection is counted")


def test_answers_that_are_owed_arrive(moving: MovingSetting, bolt_origin: Upstream) -> None:
    bolt_origin.script = after(1.0)
    clients = [moving.client() for _ in range(4)]
    asked = [[client.ask(b"%d" % turn) for turn in range(20)] for client in clients]
    bolt_origin.wait_requests(80)
    assert moving.shift() == 2
    late = [client.ask(b"late") for client in clients]
    for client, ids, last in zip(clients, asked, late, strict=True):
        assert [client.wait(one).content for one in ids] == [b"%d" % turn for turn in range(20)]
        assert client.wait(last).content == b"late"
        client.close()
    wait_until(lambda: moving.counts()["bolt.request_active"] == 0, "the end of all requests")
    wait_until(lambda: moving.counts()["bolt.connection_active"] == 0, "no connection is counted")


def test_large_answers_that_are_owed_arrive(moving: MovingSetting, bolt_origin: Upstream) -> None:
    content = bytes(range(256)) * 2000
    bolt_origin.script = after(0.7, lambda visit: visit.reply(content))
    with moving.client() as client, moving.client() as other:
        assert other is not client
        ids = [one.ask() for one in (client, other) for _ in range(6)]
        bolt_origin.wait_requests(12)
        assert moving.shift() == 1
        for one, own in ((client, ids[:6]), (other, ids[6:])):
            for id_ in own:
                answer = one.wait(id_)
                assert answer.status == SUCCESS
                assert answer.content == content


def test_half_a_frame_is_read_on(moving: MovingSetting) -> None:
    with moving.client() as client, moving.client() as other:
        client.call()
        other.call()
        raw = request(77, b"x" * 3000).encode()
        for one in (client, other):
            one.send(raw[:1000])
        time.sleep(0.05)
        moving.shift()
        for one in (client, other):
            one.send(raw[1000:])
            assert one.wait(77).content == b"x" * 3000


def test_a_killed_giver_owes_error_answers(moving: MovingSetting, bolt_origin: Upstream) -> None:
    bolt_origin.script = after(8.0)  # long after all is over, and before the timeout of ten seconds
    clients = [moving.client() for _ in range(2)]
    ids = [client.ask() for client in clients]
    bolt_origin.wait_requests(2)
    first = moving.pids("worker")[0]
    assert moving.shift() == 1
    os.kill(first, signal.SIGKILL)
    moved = wait_until(lambda: next((c for c, one in zip(clients, ids, strict=True) if c.answers(one)), None), "an error answer")
    assert moved.answers(ids[clients.index(moved)])[0].status != SUCCESS
    assert not moved.closed.is_set()
    bolt_origin.script = after(0.0)
    assert moved.call(b"on").content == b"on"


def test_nothing_is_lost_or_doubled_while_connections_move(moving: MovingSetting) -> None:
    clients = [moving.client() for _ in range(12)]
    over = threading.Event()
    counts: list[int] = []

    def load(client: Client) -> None:
        done = 0
        while not over.is_set():
            ids = [client.ask(b"%d" % turn) for turn in range(8)]
            for turn, id_ in enumerate(ids):
                assert client.wait(id_).content == b"%d" % turn
            done += 8
        counts.append(done)

    threads = [threading.Thread(target=load, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    moved = 0
    for _ in range(4):
        moved += moving.shift()
        moving.use_workers(1)
    over.set()
    for thread in threads:
        thread.join()
    assert len(counts) == 12
    assert moved >= 12
    for client in clients:
        assert not client.closed.is_set()
        client.close()
