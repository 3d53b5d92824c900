"""Evening out: when asked, by itself, and with workers that do not play along."""

import os
import signal
import threading
import time

from tests.process.moving.conftest import MovingSetting
from tests.process.program import wait_equal, wait_until
from tests.process.proxy.wire import ClosedError


def test_what_is_even_stays(moving: MovingSetting) -> None:
    moving.use_workers(2)
    assert moving.rebalance()["moved"] == 0


def test_the_report_says_what_was_and_what_is(moving: MovingSetting) -> None:
    clients = [moving.connect() for _ in range(9)]
    wait_until(lambda: moving.connections() == [9], "nine connections")
    moving.use_workers(3)
    report = moving.rebalance()
    assert report["moved"] == 6
    assert report["before"] == {"0": 9, "1": 0, "2": 0}
    assert report["after"].keys() == {"0", "1", "2"}
    assert {2, 3} >= set(report["after"].values())  # who took the last one may be about to count it
    wait_equal(moving.connections, [3, 3, 3])
    assert "6 connections moved" not in moving.run("rebalance").stdout  # it is even now
    for client in clients:
        assert client.get("/ping").status == 200
        client.close()


def test_a_lasting_imbalance_is_evened_out_by_itself(moving: MovingSetting) -> None:
    clients = [moving.connect() for _ in range(90)]
    wait_until(lambda: moving.connections() == [90], "ninety connections")
    moving.server["rebalance_interval"] = "100ms"
    moving.use_workers(2)
    wait_until(lambda: moving.connections() == [45, 45], "even numbers")
    for client in clients:
        assert client.get("/ping").status == 200
        client.close()


def test_a_small_imbalance_is_left_alone(moving: MovingSetting) -> None:
    clients = [moving.connect() for _ in range(20)]
    wait_until(lambda: moving.connections() == [20], "twenty connections")
    moving.server["rebalance_interval"] = "50ms"
    moving.use_workers(2)
    time.sleep(0.6)
    assert moving.connections() == [20, 0]
    for client in clients:
        client.close()


def test_a_receiver_that_stands_still_gets_nothing(moving: MovingSetting) -> None:
    clients = [moving.connect() for _ in range(10)]
    for client in clients:
        assert client.get("/ping").status == 200
    moving.server["worker_stall_timeout"] = "0s"
    moving.use_workers(2)
    stopped = moving.pids("worker")[1]
    os.kill(stopped, signal.SIGSTOP)
    try:
        assert moving.rebalance()["moved"] == 0
        for client in clients:
            assert client.get("/ping").status == 200
    finally:
        os.kill(stopped, signal.SIGCONT)
    time.sleep(0.2)  # what was sent to it is refused now
    for client in clients:
        assert client.get("/ping").status == 200
    assert moving.rebalance()["moved"] == 5
    for client in clients:
        assert client.get("/ping").status == 200
        client.close()


def test_a_receiver_killed_in_between_costs_only_what_it_had(moving: MovingSetting) -> None:
    clients = [moving.connect() for _ in range(60)]
    wait_until(lambda: moving.connections() == [60], "sixty connections")
    moving.use_workers(2)
    victim = moving.pids("worker")[1]
    asking = threading.Thread(target=moving.rebalance)
    asking.start()
    wait_until(lambda: moving.connections()[1] > 0 or not asking.is_alive(), "some have moved")
    os.kill(victim, signal.SIGKILL)
    asking.join()
    served = 0
    for client in clients:
        try:
            served += client.get("/ping").status == 200
        except (OSError, ClosedError):  # it was the victim's
            continue
        finally:
            client.close()
    assert served >= 30
