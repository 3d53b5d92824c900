"""More clients than descriptors: those that fit are served, the others wait in the queue, and nobody gets an error."""

import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosn_mp.observe.proc import read_process
from tests.process.crowd import Crowd, QuickHost
from tests.process.program import free_port, say, wait_until
from tests.process.proxy.wire import Wire, request
from tests.process.scarce import Scarce

OK = "HTTP/1.1 200 OK"


def cpu_s(pid: int) -> float:
    """CPU time that *pid* has used."""
    reading = read_process(pid)
    assert reading is not None
    return reading.cpu_s


@pytest.fixture
def host() -> Iterator[QuickHost]:
    """The upstream."""
    made = QuickHost()
    yield made
    made.close()


@pytest.fixture
def scarce(tmp_path: Path, host: QuickHost) -> Iterator[Scarce]:
    """Not started yet."""
    made = Scarce(tmp_path, host)
    try:
        yield made
    finally:
        made.end()


def test_seven_hundred_clients_of_two_workers_with_256_descriptors_are_all_answered(scarce: Scarce) -> None:
    scarce.start()
    pids = [worker["pid"] for worker in scarce.workers()]
    with Crowd(scarce.port, 700, "/up") as crowd:
        assert crowd.run() == {OK: 700}
    assert scarce.counts()["up.connection_con_fail"] == 0
    assert scarce.sum_of("accept_pauses") > 0
    assert [worker["pid"] for worker in scarce.workers()] == pids


def test_what_a_filter_keeps_open_is_part_of_the_budget(scarce: Scarce) -> None:
    scarce.start()
    before = scarce.sum_of("used")
    for _ in range(8):
        with scarce.connect() as client:
            client.get("/hoard/10")
    wait_until(lambda: scarce.sum_of("used") > before + 60, "the files are seen")
    with Crowd(scarce.port, 700, "/up") as crowd:
        assert crowd.run() == {OK: 700}
    assert scarce.counts()["up.connection_con_fail"] == 0


def test_files_that_a_filter_opens_under_load_cost_nobody_an_answer(scarce: Scarce) -> None:
    scarce.start()
    with (
        Crowd(scarce.port, 350, "/up") as first,
        Crowd(scarce.port, 2, "/hoard/10") as hoarders,
        Crowd(scarce.port, 350, "/up") as rest,
    ):
        while first.left or hoarders.left or rest.left:
            for crowd in (first, hoarders, rest):
                crowd.run(0.01)
        assert first.answers + rest.answers == {OK: 700}
        assert hoarders.answers == {OK: 2}


def test_clients_that_would_stay_are_parted_from_while_others_wait(scarce: Scarce) -> None:
    scarce.start()
    with Crowd(scarce.port, 700, "/up", stays=True) as crowd:
        assert crowd.run() == {OK: 700}
    with scarce.connect() as client:
        answer = client.get("/up")
        assert answer.get(b"connection") is None, "there is room again, and clients may stay"


def test_idle_clients_give_way_to_those_that_wait(scarce: Scarce) -> None:
    scarce.server["processor"] = 1
    scarce.change_listener("front", request_header_timeout="1s")
    scarce.start()
    idle = [socket.create_connection(("127.0.0.1", scarce.port)) for _ in range(300)]
    try:
        wait_until(lambda: scarce.workers()[0]["descriptors"]["accept_paused"], "the pause")
        began = time.monotonic()
        with scarce.connect() as client:
            assert client.get("/up").status == 200
        assert time.monotonic() - began < 8
        assert scarce.worker_count("spare_closed") > 0
    finally:
        for one in idle:
            one.close()


def test_a_pause_costs_no_time(scarce: Scarce, host: QuickHost) -> None:
    """Clients that are being served hold every descriptor, others wait, and the worker sleeps."""
    scarce.server["processor"] = 1
    scarce.start()
    host.holds.set()
    with Crowd(scarce.port, 300, "/up") as crowd:
        crowd.run(1.0)
        worker = scarce.workers()[0]
        assert worker["descriptors"]["accept_paused"]
        assert crowd.left == 300
        assert host.held < 128
        before = cpu_s(worker["pid"])
        time.sleep(2.0)
        spent = cpu_s(worker["pid"]) - before
        say(f"{spent:.3f} s of 2 s")
        assert spent < 0.15
        host.holds.clear()
        assert crowd.run() == {OK: 300}


def test_idle_connections_to_other_hosts_make_room(scarce: Scarce, host: QuickHost) -> None:
    scarce.server["processor"] = 1
    scarce.start()
    host.holds.set()
    with Crowd(scarce.port, 80, "/hosts") as crowd:
        crowd.run(0.5)
        wait_until(lambda: host.held == 80, "80 connections to the host")
        host.holds.clear()
        assert crowd.run() == {OK: 80}
    wait_until(lambda: scarce.counts()["hosts.connection_idle"] == 80, "the pool")
    host.holds.set()
    with Crowd(scarce.port, 90, "/up") as crowd:
        crowd.run(0.5)
        wait_until(lambda: host.held == 90, "90 connections to the host of the other cluster")
        host.holds.clear()
        assert crowd.run() == {OK: 90}
    assert scarce.counts()["hosts.connection_idle"] < 80
    assert scarce.worker_count("spare_closed") > 0


def hoard_all(scarce: Scarce, hoarder: Wire) -> None:
    """Let the filter open what is left, but for a few."""
    open_now = scarce.sum_of("used")
    assert hoarder.get(f"/hoard/{scarce.descriptors - open_now - 6}").status == 200
    wait_until(lambda: scarce.sum_of("used") >= scarce.descriptors - 8, "the files are seen")


def test_a_stream_waits_for_a_descriptor(scarce: Scarce) -> None:
    scarce.server["processor"] = 1
    scarce.start()
    with scarce.connect() as client, scarce.connect() as hoarder:
        assert client.get("/ping").status == 200
        hoard_all(scarce, hoarder)
        client.send(request("/up"))
        assert client.is_quiet(0.5)
        assert scarce.worker_count("connect_waits") == 1
        assert hoarder.get("/release").status == 200
        assert client.response().status == 200


def test_a_stream_that_waits_in_vain_is_told_so(scarce: Scarce) -> None:
    scarce.server["processor"] = 1
    scarce.config["cluster_manager"]["clusters"][0]["connect_timeout"] = "300ms"
    scarce.start()
    with scarce.connect() as client, scarce.connect() as hoarder:
        assert client.get("/ping").status == 200
        hoard_all(scarce, hoarder)
        answer = client.get("/up")
        assert (answer.status, answer.body) == (503, b"overloaded\n")
        assert hoarder.get("/release").status == 200
        assert client.get("/up").status == 200


def open_files(pid: int) -> int:
    """How many descriptors *pid* has, as the kernel says."""
    return len(list((Path("/proc") / str(pid) / "fd").iterdir()))


def test_the_budget_is_shown(scarce: Scarce) -> None:
    scarce.start()
    text = scarce.run("status").stdout
    assert "descriptors" in text and "reserved" in text and "pauses" in text
    for worker in scarce.workers():
        budget = worker["descriptors"]
        assert budget["limit"] == 256
        assert 0 < budget["used"] < 60
        assert 0 < budget["reserved"] < 60
        assert not budget["accept_paused"]
    wait_until(lambda: scarce.sum_of("used") == sum(open_files(worker["pid"]) for worker in scarce.workers()), "the exact number")
    for key, least in (("fd_limit", 512), ("fd_used", 20), ("fd_reserved", 60), ("accept_paused", 0), ("accept_pauses", 0)):
        assert scarce.worker_count(key) >= least


def test_a_limit_that_leaves_no_room_for_clients_is_refused(scarce: Scarce) -> None:
    scarce.descriptors = 60
    scarce.write()
    master = scarce.spawn()
    error = master.communicate(timeout=20)[1]
    assert master.returncode == 1
    assert "a worker may open 60 descriptors and needs" in error


def test_a_full_worker_takes_a_new_configuration(scarce: Scarce, host: QuickHost) -> None:
    scarce.start()
    host.holds.set()
    with Crowd(scarce.port, 700, "/up") as crowd:
        crowd.run(1.0)
        assert scarce.sum_of("accept_paused") == 2
        scarce.add_listener("more")
        scarce.write()
        done = scarce.run("reload")
        assert done.returncode == 0, done.stdout + done.stderr
        host.holds.clear()
        assert crowd.run() == {OK: 700}
    with scarce.connect("more") as client:
        assert client.get("/up").status == 200


def test_who_waits_in_the_queue_is_served_before_the_end(scarce: Scarce, host: QuickHost) -> None:
    scarce.server["graceful_timeout"] = "20s"
    scarce.start()
    host.holds.set()
    with Crowd(scarce.port, 700, "/up") as crowd:
        crowd.run(1.0)
        assert crowd.left == 700
        assert scarce.master is not None
        scarce.master.terminate()
        crowd.run(2.0)
        host.holds.clear()
        assert crowd.run() == {OK: 700}
    assert scarce.wait_exit() == 0


def test_the_queue_of_a_listener_that_goes_is_served(scarce: Scarce, host: QuickHost) -> None:
    scarce.server["processor"] = 1
    scarce.add_listener("second")
    scarce.start()
    host.holds.set()
    with Crowd(scarce.ports["second"], 300, "/up") as crowd:
        crowd.run(1.0)
        assert crowd.left == 300
        scarce.server["listeners"].pop()
        scarce.write()
        assert scarce.run("reload").returncode == 0
        crowd.run(2.5)
        host.holds.clear()
        assert crowd.run() == {OK: 300}


def test_a_port_that_nobody_listens_on_is_no_want_of_descriptors(scarce: Scarce) -> None:
    scarce.add_cluster("down", free_port())
    scarce.start()
    with scarce.connect() as client:
        assert client.get("/down").status == 502
    assert scarce.worker_count("shortages") == 0


def test_the_queue_of_a_full_worker_is_served_by_one_with_room(scarce: Scarce, host: QuickHost) -> None:
    scarce.server["rebalance_interval"] = "0s"
    scarce.start()
    full = scarce.workers()[0]["pid"]
    allow(full, 90)
    wait_until(lambda: scarce.workers()[0]["descriptors"]["limit"] == 90, "the new limit")
    host.holds.set()
    with Crowd(scarce.port, 100, "/up") as crowd:
        crowd.run(0.5)
        wait_until(lambda: crowd.run(0.1) is not None and host.held == 100, "all are served")
        budgets = [worker["descriptors"] for worker in scarce.workers()]
        assert [budget["accept_paused"] for budget in budgets] == [True, False]
        host.holds.clear()
        assert crowd.run() == {OK: 100}
    allow(full, scarce.descriptors)
    wait_until(lambda: scarce.sum_of("accept_paused") == 0, "room")
    assert crowd_of(scarce, 50) == {OK: 50}


def allow(pid: int, limit: int) -> None:
    """Let process *pid* open descriptors below *limit*."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))


def crowd_of(scarce: Scarce, count: int) -> dict[str, int]:
    """What so many clients are answered."""
    with Crowd(scarce.port, count, "/up") as crowd:
        return crowd.run()
