"""Want of descriptors and memory between our own processes: what cannot be done is refused, and nothing else is lost.

System calls of master and workers fail while a configuration is changed, logs are opened anew and connections move; and a worker
that may really open no more gets descriptors, which the kernel then closes on the way (MSG_CTRUNC).
"""

import errno
import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosn_mp.observe.proc import read_process
from tests.process.faults.shim import Faults
from tests.process.program import say, settled, wait_equal, wait_until
from tests.process.proxy.setting import Setting

PLACES = (1, 2, 3)
SETTLE_S = 2.0  # sockets of a listener that is gone are closed after 1.5 s
WORKER_CALLS = ("recvmsg", "sendmsg", "fcntl", "open", "epoll_ctl")
CONTROLLER_CALLS = ("recvmsg", "sendmsg", "memfd_create", "open", "fcntl")
MASTER_CALLS = ("recvmsg", "sendmsg", "accept4", "socket", "memfd_create", "open", "fcntl", "epoll_ctl")
NO_DESCRIPTORS = "a worker has no descriptors left for it"


class Changing(Setting):
    """Two workers, an access log, and a second listener that comes and goes."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.faults = Faults(directory)
        self.environment.update(self.faults.environment())
        self.server["processor"] = 2
        self.change_listener("front", access_logs=[{"log_path": str(directory / "logs" / "access.log")}])

    def change(self) -> bool:
        """Reload with the second listener if there is none, without it if there is; whether that was accepted."""
        if len(self.server["listeners"]) == 1:
            self.add_listener("second")
        else:
            del self.server["listeners"][1]
        self.write()
        done = self.run("reload")
        assert "Traceback" not in done.stdout + done.stderr
        said = done.stdout + done.stderr
        assert (done.returncode == 0) == ("refused" not in said and "does not answer" not in said), said
        return done.returncode == 0

    def upset(self) -> list[bool]:
        """Everything that costs descriptors between processes; whether the changes were accepted."""
        self.signal(signal.SIGUSR1)
        accepted = [self.change(), self.change()]
        self.run("rebalance")
        return accepted

    def serves(self) -> None:
        """All is as it should be."""
        with self.connect() as client:
            assert client.get("/ping").status == 200
        assert self.status()["state"] == "running"

    def fds_of(self, pid: int) -> int:
        """How many descriptors a process has."""
        reading = read_process(pid)
        assert reading is not None
        return reading.open_fds


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Changing]:
    """Serving."""
    made = Changing(Path(tmp_path_factory.mktemp("control")))
    try:
        made.start()
        assert made.upset() == [True, True]
        yield made
    finally:
        made.end()


def fail(changing: Changing, pid: int, call: str, first: int) -> None:
    """Let *call* of process *pid* fail once, the *first* time, while everything is changed; then all can be changed again."""
    changing.faults.plan(pid, call, errno.ENOBUFS if call in ("recvmsg", "sendmsg") else errno.EMFILE, first)
    accepted = changing.upset()
    hits = changing.faults.end()
    say(f"{call} {first}: {hits} failed, accepted: {accepted}")
    changing.serves()
    wait_until(lambda: changing.status()["processes"][1]["state"] == "running", "the controller")
    if len(changing.server["listeners"]) > 1:
        assert changing.change()
    assert changing.change() and changing.change()


def each(calls: tuple[str, ...], quick: str = "") -> pytest.MarkDecorator:
    """A test of each of *calls* at each place; that of *quick* at the first one is part of every run."""
    found = [(call, first) for call in calls for first in PLACES]
    return pytest.mark.parametrize(
        ("call", "first"), [pytest.param(*one, marks=[] if one == (quick, 1) else pytest.mark.slow) for one in found]
    )


@each(WORKER_CALLS, "recvmsg")
def test_a_worker_lives_on(changing: Changing, call: str, first: int) -> None:
    workers = changing.pids("worker")
    before = settled(lambda: [changing.fds_of(pid) for pid in workers], SETTLE_S)
    fail(changing, workers[0], call, first)
    assert changing.pids("worker") == workers
    wait_equal(lambda: [changing.fds_of(pid) for pid in workers], before)


@each(CONTROLLER_CALLS)
def test_the_controller_lives_on_or_another_one_takes_over(changing: Changing, call: str, first: int) -> None:
    workers = changing.pids("worker")
    fail(changing, changing.pids("controller")[0], call, first)
    assert changing.pids("worker") == workers


@each(MASTER_CALLS, "memfd_create")
def test_the_master_lives_on(changing: Changing, call: str, first: int) -> None:
    assert changing.master is not None
    master, workers = changing.master.pid, changing.pids("worker")
    before = settled(lambda: changing.fds_of(master), SETTLE_S)
    fail(changing, master, call, first)
    assert changing.pids("master") == [master]
    assert changing.pids("worker") == workers
    wait_equal(lambda: changing.fds_of(master), before)


# -- a worker that may really open no more ---------------------------------------------------------------------------------------


def highest_of(pid: int) -> int:
    """The highest descriptor of process *pid*."""
    return max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))


def allow(pid: int, limit: int) -> int:
    """Let process *pid* open descriptors below *limit*; what it was allowed before."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, hard))
    return soft


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Changing]:
    """The second worker may open no more; the first one may."""
    made = Changing(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.end()


def test_a_change_that_a_worker_has_no_descriptors_for_is_refused(full: Changing) -> None:
    worker = full.pids("worker")[1]
    before = allow(worker, 1)
    full.add_listener("second")
    full.write()
    done = full.run("reload")
    assert done.returncode == 1
    assert NO_DESCRIPTORS in done.stdout + done.stderr
    full.serves()
    assert full.pids("worker")[1] == worker
    allow(worker, before)
    assert full.run("reload").returncode == 0
    with full.connect("second") as client:
        assert client.get("/ping").status == 200


def test_the_queue_of_a_dead_worker_does_not_stay_with_one_that_cannot_take_it(full: Changing) -> None:
    dead, other = full.pids("worker")
    before = allow(other, 1)
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: "Lend frame lost its descriptors" in full.log_text(), "the lost sockets")
    wait_until(lambda: len([p for p in full.status()["processes"] if p["state"] == "serving"]) == 2, "another worker")
    allow(other, before)
    for _ in range(20):
        full.serves()
    assert full.pids("worker")[1] == other


@pytest.mark.slow
def test_connections_stay_where_they_are_if_the_other_worker_cannot_take_them(full: Changing) -> None:
    full.server["processor"] = 1
    full.server["rebalance_interval"] = "0s"
    full.write()
    assert full.run("reload").returncode == 0
    clients = [full.connect() for _ in range(10)]
    for client in clients:
        assert client.get("/ping").status == 200
    full.server["processor"] = 2
    full.write()
    assert full.run("reload").returncode == 0
    first, second = full.pids("worker")
    before = allow(second, highest_of(second) + 2)  # a channel still gets there
    full.run("rebalance")
    allow(second, before)
    for client in clients:
        assert client.get("/ping").status == 200
    full.run("rebalance")
    for client in clients:
        assert client.get("/ping").status == 200
        client.close()
    assert full.pids("worker") == [first, second]


@pytest.mark.slow
def test_a_log_that_cannot_be_opened_anew_is_tried_again(full: Changing) -> None:
    assert full.run("reload").returncode == 0
    log = full.directory / "logs" / "access.log"
    full.serves()
    wait_until(lambda: log.exists() and log.read_text(), "a line")
    workers = full.pids("worker")
    before = [allow(worker, 1) for worker in workers]
    log.rename(log.with_suffix(".old"))
    full.signal(signal.SIGUSR1)
    wait_until(lambda: "Too many open files" in full.log_text(), "the problem in the log")
    for worker, limit in zip(workers, before, strict=True):
        allow(worker, limit)
    wait_until(log.exists, "the new file")
    began = time.monotonic()
    while not log.read_text():
        full.serves()
        assert time.monotonic() - began < 10
