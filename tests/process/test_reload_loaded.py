"""Reloads while clients are served: nobody may notice. Each test prints what was counted."""

import gc
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.process.descriptor_kinds import descriptor_kinds
from tests.process.loaded import Loaded, Result
from tests.process.program import Program, say, wait_equal, wait_until


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Loaded]:
    made = Loaded(tmp_path)
    try:
        yield made
    finally:
        made.end()


def check(loaded: Loaded, result: Result, what: str) -> None:
    say(f"\n{what}: {result}")
    assert result.failed == 0, (result.failures, loaded.log_text()[-3000:])
    assert result.wrk_errors == 0, result.wrk_text
    assert result.requests > 100
    assert "Traceback" not in loaded.log_text()


def reload(program: Program) -> str:
    done = program.run("reload")
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def change_routes_and_hosts(loaded: Loaded, times: int) -> None:
    loaded.start()
    loaded.begin_load(wrk_s=600)
    for number in range(1, times + 1):
        loaded.set_hosts(loaded.upstreams[: 1 + number % 2])
        loaded.set_answer(str(number + 1))
        assert "version" in reload(loaded)
        assert loaded.get() == number + 1  # at once, on whichever worker
    check(loaded, loaded.end_load(), f"{times} reloads of routes and hosts")
    assert loaded.status()["config_version"] == times + 1


@pytest.mark.parametrize("times", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_reloads_of_routes_and_hosts_go_unnoticed_and_leave_nothing_behind(loaded: Loaded, times: int) -> None:
    loaded.start()
    reload(loaded)  # which changes nothing: the controller has everything open once it answers
    before = descriptors(loaded)
    loaded.end()
    change_routes_and_hosts(loaded, times)
    loaded.set_hosts([])  # and with them the pools of connections to them go
    reload(loaded)
    wait_equal(lambda: descriptors(loaded), before)


def descriptors(loaded: Loaded) -> dict[str, Counter[str]]:
    """What the descriptors of each process are, by its role and slot."""
    return descriptor_kinds({process["pid"]: f"{process['role']} {process['slot']}" for process in loaded.status()["processes"]})


def change_workers(loaded: Loaded, times: int, wrk_s: int = 0) -> None:
    loaded.start()
    loaded.begin_load(wrk_s)
    chance = random.Random(5)
    for number in range(times):
        loaded.server["processor"] = chance.choice([n for n in range(1, 7) if n != loaded.server["processor"]])
        loaded.write()
        assert "workers:" in reload(loaded)
        time.sleep(0.1 if number % 2 else 0)  # some while the last one's workers and sockets are still leaving
    time.sleep(2)  # the sockets that are left are closed in this time
    check(loaded, loaded.end_load(), f"{times} changes of the number of workers")
    wait_until(lambda: len(loaded.pids("worker")) == loaded.server["processor"], "as many workers as wanted")


def test_changes_of_the_number_of_workers_go_unnoticed(loaded: Loaded) -> None:
    change_workers(loaded, 5)


@pytest.mark.slow
def test_20_changes_of_the_number_of_workers_go_unnoticed(loaded: Loaded) -> None:
    change_workers(loaded, 20, wrk_s=600)


def come_and_go(loaded: Loaded, times: int, wrk_s: int = 0) -> None:
    port = free_port()
    loaded.start()
    loaded.begin_load(wrk_s)
    listeners = loaded.server["listeners"]
    guests = 0
    for _ in range(times):
        listeners.append({**loaded.listener("guest", port), "stream_filters": []})
        loaded.write()
        assert "listeners: added guest" in reload(loaded)
        guest = Loaded.__new__(Loaded)
        guest.port = port
        guests += sum(guest.get() == 1 for _ in range(5))
        listeners.pop()
        loaded.write()
        assert "listeners: removed guest" in reload(loaded)
    assert guests == 5 * times
    check(loaded, loaded.end_load(), f"a listener added and removed {times} times, {guests} requests to it")


def test_a_listener_comes_and_goes_unnoticed_by_others(loaded: Loaded) -> None:
    come_and_go(loaded, 3)


@pytest.mark.slow
def test_a_listener_comes_and_goes_50_times_unnoticed_by_others(loaded: Loaded) -> None:
    come_and_go(loaded, 50, wrk_s=600)


def test_clients_of_a_removed_listener_are_served_to_the_end(loaded: Loaded) -> None:
    guest = Loaded(loaded.directory / "guest") if (loaded.directory / "guest").mkdir() is None else loaded
    loaded.server["listeners"].append({**loaded.listener("guest", guest.port), "stream_filters": []})
    loaded.write()
    loaded.start()
    guest.upstreams = loaded.upstreams
    guest.begin_load()
    loaded.server["listeners"].pop()
    loaded.write()
    try:
        assert "listeners: removed guest" in reload(loaded)
        time.sleep(0.3)
        result = guest.end_load()
    finally:
        guest.end()
    say(f"\n{result}")
    # New connections are not answered any more; whatever was under way is.
    refused = [text for text in result.failures if "refused" in text.lower() or "timed out" in text.lower()]
    assert result.failures == refused, result.failures
    gc.collect()
