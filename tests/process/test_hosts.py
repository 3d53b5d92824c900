"""Hosts that an operator takes out of rotation."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.loaded import Loaded


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Loaded]:
    made = Loaded(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.end()


def requests_at(loaded: Loaded, port: int, count: int = 20) -> int:
    """How many of *count* requests went to the host at *port*: each host is asked for, by what it answers of itself."""
    before = loaded.hits(port)
    for number in range(count):
        assert loaded.get_text(f"/up/{number}/8") == f"{number:08}"
    return loaded.hits(port) - before


def test_a_disabled_host_gets_nothing_in_any_worker_until_it_is_enabled(loaded: Loaded) -> None:
    first, second = loaded.upstreams
    assert 0 < requests_at(loaded, first) < 20
    done = loaded.run("host", "disable", "up", f"127.0.0.1:{first}")
    assert done.returncode == 0, done.stderr
    assert "is out of rotation, 0 requests under way; 1 other hosts of the cluster are in rotation" in done.stdout
    assert requests_at(loaded, first) == 0
    assert loaded.status()["disabled_hosts"] == [f"up/127.0.0.1:{first}"]
    loaded.set_answer("2")
    assert loaded.run("reload").returncode == 0
    assert requests_at(loaded, first) == 0  # a reload does not put it back
    assert loaded.run("host", "enable", "up", f"127.0.0.1:{first}").returncode == 0
    assert requests_at(loaded, first) > 0
    assert loaded.status()["disabled_hosts"] == []
    assert requests_at(loaded, second) > 0


def test_drain_waits_for_the_requests_and_show_only_looks(loaded: Loaded) -> None:
    first = f"127.0.0.1:{loaded.upstreams[0]}"
    loaded.begin_load()
    done = loaded.run("host", "drain", "up", first, "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["active"], report["in_rotation"]) == (0, 0, False)
    assert json.loads(loaded.run("host", "show", "up", first, "--json").stdout)["in_rotation"] is False
    result = loaded.end_load()
    assert result.failed == 0, result.failures


@pytest.mark.parametrize(("cluster", "address", "problem"), [
    ("nothing", "127.0.0.1:1", "there is no cluster 'nothing' with hosts; there are up"),
    ("up", "127.0.0.1:1", "cluster 'up' has no host '127.0.0.1:1'; there are 127.0.0.1:"),
])  # fmt: skip
def test_a_host_that_is_not_there(loaded: Loaded, cluster: str, address: str, problem: str) -> None:
    done = loaded.run("host", "disable", cluster, address)
    assert done.returncode == 1
    assert problem in done.stderr
