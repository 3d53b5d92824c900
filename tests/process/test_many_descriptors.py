"""More clients than descriptors, at the limit that systems allow by default."""

import resource
import time
from pathlib import Path
from typing import Self

import pytest

from tests.process.crowd import Crowd, FarHost
from tests.process.program import say
from tests.process.scarce import Scarce

OK = "HTTP/1.1 200 OK"


class Crowded(Scarce):
    """One worker with as many descriptors as systems allow by default; started."""

    descriptors = 20_000

    def __enter__(self) -> Self:
        self.server["processor"] = 1
        self.server["arena_size"] = "512MB"
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


@pytest.mark.slow
def test_more_clients_than_20_000_descriptors_can_serve_at_once_are_all_answered(tmp_path: Path) -> None:
    least = 20_000
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < least:
        pytest.skip(f"{least} descriptors are not allowed here")
    with FarHost() as host, Crowded(tmp_path, host) as scarce:
        (pid,) = [worker["pid"] for worker in scarce.workers()]
        host.hold()
        with Crowd(scarce.port, 12_000, "/up") as crowd:
            until = time.monotonic() + 40
            while (host.held < 8000 or scarce.sum_of("accept_paused") == 0) and time.monotonic() < until:
                crowd.run(0.2)
            held = host.held
            say(f"{held} requests at the host, {scarce.sum_of('used')} descriptors, {12_000 - held} clients in the queue")
            assert 8000 <= held < 12_000
            host.answer()
            assert crowd.run() == {OK: 12_000}
        assert scarce.counts()["up.connection_con_fail"] == 0
        assert [worker["pid"] for worker in scarce.workers()] == [pid]
