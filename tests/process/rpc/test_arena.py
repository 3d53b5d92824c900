"""RPC when the arena is used up: everything takes longer, nothing waits for ever."""

import threading
from pathlib import Path

import pytest

from tests.process.program import wait_until
from tests.process.rpc.setting import RpcSetting
from tests.rpc.client import Client
from tests.rpc.upstream import Upstream, Visit
from tests.rpc.wire import SUCCESS, Frame, request

CLIENTS = 60
SIZES = [100, 1000, 12_000, 15_900, 16_300, 20_000, 30_000, 33_000, 60_000, 150_000]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("pieces", [False, True], ids=["at once", "in pieces"])
def test_a_tiny_arena_ends_in_no_deadlock(tmp_path: Path, server: Upstream, pieces: bool) -> None:
    held: list[Visit] = []
    server.script = held.append
    setting = RpcSetting(tmp_path)
    setting.server["processor"] = 1
    setting.server["arena_size"] = "1MB"
    setting.add_cluster("up", server.port)
    setting.add_route({"prefix": "/"}, route={"cluster_name": "up"})
    setting.start()
    clients: list[Client] = []
    try:
        clients += [setting.client() for _ in range(CLIENTS)]
        frames = {
            client: [request(j + 1, bytes(SIZES[(i + j) % len(SIZES)]), timeout_ms=30_000) for j in range(10)]
            for i, client in enumerate(clients)
        }
        senders = [threading.Thread(target=send, args=(client, frames[client], pieces)) for client in clients]
        for sender in senders:
            sender.start()
        tally = setting.tally()
        wait_until(lambda: setting.counts()["bolt.arena_exhausted"] > 0, "an exhausted arena", 20)
        answerer = Answerer(held)
        answerer.start()
        for client in clients:
            for frame in frames[client]:
                answer = client.wait(frame.id, 40)
                assert (answer.status, answer.content) == (SUCCESS, frame.content)
        answerer.goes_on = False
        assert tally.of("bolt.request_failed") == 0
        for sender in senders:
            sender.join()
    finally:
        for client in clients:
            client.close()
        setting.end()


def send(client: Client, frames: list[Frame], pieces: bool) -> None:
    """All frames, in one write or many."""
    wire = b"".join(frame.encode() for frame in frames)
    step = 7001 if pieces else len(wire)
    for at in range(0, len(wire), step):
        client.send(wire[at : at + step])


class Answerer(threading.Thread):
    """Answers what is held, last in first out, as it comes."""

    def __init__(self, held: list[Visit]) -> None:
        super().__init__(daemon=True)
        self.held = held
        self.goes_on = True

    def run(self) -> None:
        while self.goes_on:
            while self.held:
                self.held.pop().reply()
            threading.Event().wait(0.01)
