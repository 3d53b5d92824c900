"""System calls that fail for want of descriptors or memory: nothing is lost but what the call was for, and the worker lives on.

Each call of a small verified load fails once, at each place where it is called, with each errno; then everything is as before.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosn_mp.observe.proc import read_process
from tests.process.faults.load import Load, serve
from tests.process.faults.shim import Faults
from tests.process.program import say, wait_equal, wait_until
from tests.process.proxy.upstream import Upstream as HttpUpstream
from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream as BoltUpstream

ERRORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
QUICK = errno.ENOBUFS  # which is tried in every run of the tests
# What a stream is served by. (By their manual pages close, shutdown and epoll_wait fail with none of these.)
COUNTED = ("accept4", "socket", "connect", "send", "recv", "sendmsg", "splice", "epoll_ctl", "getsockopt")
# Whose failure costs a request nothing: options that save time, counts of descriptors, log lines that are written again.
HARMLESS = ("setsockopt", "poll", "write", "fcntl", "getsockname")
MOST_PLACES = 200
# The loop turns every 16 ms and for each event; a load is over within a second.
BUSY_TURNS = 2000


class Faulty(RpcSetting):
    """A proxy whose worker's system calls fail as planned."""

    def __init__(self, directory: Path, http: HttpUpstream, bolt: BoltUpstream) -> None:
        super().__init__(directory)
        self.http, self.bolt = http, bolt
        self.faults = Faults(directory)
        self.environment.update(self.faults.environment())
        self.server["rebalance_interval"] = "0s"
        self.change_listener("front", access_logs=[{"log_path": str(directory / "logs" / "access.log")}])
        self.add_cluster("up", bolt.port)
        self.add_cluster("web", http.port)
        self.add_route({"prefix": "/"}, route={"cluster_name": "up"})
        self.load = Load(self)

    def start(self) -> None:
        super().start()
        self.worker = self.pids("worker")[0]
        for _ in range(3):
            assert self.load.run() == 0
        wait_until(lambda: pipes_of(self.worker) == 0, "the end of the pipes at rest")
        wait_until(lambda: self.counts()["worker.connections"] == 0, "the end of the clients")
        self.before = self.possessions()

    def possessions(self) -> tuple[int, int]:
        """Descriptors and buffers of the worker without clients and hosts."""
        self.http.hang_up()
        for connection in list(self.bolt.connections):
            connection.close()
        counts = self.counts()
        reading = read_process(self.worker)
        assert reading is not None
        return reading.open_fds, counts["worker.arena_bytes"]

    def check(self) -> None:
        """The worker is the one that it was, serves everything, and holds nothing more."""
        assert self.faults.end() >= 0
        assert self.load.run() == 0
        assert self.pids("worker") == [self.worker]
        wait_equal(self.possessions, self.before)
        assert "Traceback" not in self.log_text(), self.log_text()


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    """Serving, with both hosts."""
    http, bolt = HttpUpstream(), BoltUpstream()
    http.script = serve
    made = Faulty(Path(tmp_path_factory.mktemp("faults")), http, bolt)
    try:
        made.start()
        yield made
    finally:
        made.end()
        http.close()
        bolt.stop()


def sweep(faulty: Faulty, call: str, error: int) -> int:
    """Let *call* fail at each place; how many there are."""
    for first in range(1, MOST_PLACES):
        faulty.faults.plan(faulty.worker, call, error, first)
        failed = faulty.load.run()
        assert faulty.faults.seen("epoll_wait") < BUSY_TURNS, f"{call} {first}: a busy loop"
        if faulty.faults.end() == 0:
            return first - 1
        assert failed <= 1, f"{call} {first}: {failed} clients failed by one call"
    raise AssertionError(f"{call} was called more than {MOST_PLACES} times")


@pytest.mark.parametrize(
    "error",
    [pytest.param(error, id=errno.errorcode[error], marks=[] if error == QUICK else pytest.mark.slow) for error in ERRORS],
)
@pytest.mark.parametrize("call", COUNTED)
def test_a_call_that_fails_costs_only_what_it_was_for(faulty: Faulty, call: str, error: int) -> None:
    before = faulty.counts()["worker.shortages"]
    places = sweep(faulty, call, error)
    say(f"{call} {errno.errorcode[error]}: {places} places")
    assert places > 0
    faulty.check()
    assert faulty.counts()["worker.shortages"] >= before + places


@pytest.mark.parametrize("call", HARMLESS)
def test_a_call_that_is_no_part_of_a_request_costs_none(faulty: Faulty, call: str) -> None:
    wait_until(lambda: pipes_of(faulty.worker) == 0, "the end of the pipes at rest")
    faulty.faults.plan(faulty.worker, call, errno.ENOMEM, 1, times=3)
    wait_until(lambda: faulty.load.run() == 0 and faulty.faults.hits > 0, "a failed call")
    faulty.check()


@pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.__getitem__)
def test_without_a_pipe_bodies_are_copied(faulty: Faulty, error: int) -> None:
    wait_until(lambda: pipes_of(faulty.worker) == 0, "the end of the pipes at rest")
    before = faulty.counts()["worker.shortages"]
    faulty.faults.plan(faulty.worker, "pipe2", error, 1, times=1000)
    assert faulty.load.run() == 0
    hits = faulty.faults.end()
    assert hits > 0
    assert faulty.counts()["worker.shortages"] == before + hits
    faulty.check()


def pipes_of(pid: int) -> int:
    """How many ends of pipes *pid* has open, beside what it was started with."""
    count = 0
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            count += int(fd.name) > 2 and os.readlink(fd).startswith("pipe:")
    return count


@pytest.mark.parametrize("call", ["accept4", "socket", "connect", "epoll_ctl"])
def test_a_want_that_lasts_is_waited_out(faulty: Faulty, call: str) -> None:
    """Clients wait, and the worker does not spin meanwhile."""
    faulty.http.hang_up()
    faulty.faults.plan(faulty.worker, call, errno.ENFILE, 1, times=8)
    failed = faulty.load.run()
    turns = faulty.faults.seen("epoll_wait")
    say(f"{call}: {failed} clients failed, {turns} turns")
    assert faulty.faults.end() > 0
    assert turns < BUSY_TURNS
    assert failed == 0 or call == "epoll_ctl", "an accepted client that cannot be watched is closed"
    faulty.check()


def test_send_and_receive_are_tried_again_without_a_loss(faulty: Faulty) -> None:
    for call in ("send", "recv", "sendmsg", "splice"):
        for first in (1, 3, 7):
            faulty.faults.plan(faulty.worker, call, errno.ENOBUFS, first, times=3)
            assert faulty.load.run() == 0, f"{call} {first}"
            assert faulty.faults.seen("epoll_wait") < BUSY_TURNS
            faulty.faults.end()
    faulty.check()
