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
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert (done.returncode, report["active"], report["in_rotation"]) == (0, 0, False)
    shown = loaded.run("host", "show", "up", first, "--json")
    assert shown.stdout, shown.stderr
    assert json.loads(shown.stdout)["in_rotation"] is False
    result = loaded.end_load()
    assert result.failed == 0, result.failures


def share(loaded: Loaded) -> float:
    """How much of what the two hosts get goes to the first one."""
    before = [loaded.hits(port) for port in loaded.upstreams]
    requests_at(loaded, loaded.upstreams[0], 100)
    first, second = (loaded.hits(port) - count for port, count in zip(loaded.upstreams, before, strict=True))
    return first / (first + second)


def test_a_weight_takes_effect_in_all_workers_and_keeps_connections(loaded: Loaded) -> None:
    first, second = (f"127.0.0.1:{port}" for port in loaded.upstreams)
    loaded.begin_load()
    assert 0.3 < share(loaded) < 0.7
    done = loaded.run("host", "weight", "up", first, "128")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"up/{first} is in rotation with weight 128, " in done.stdout
    assert share(loaded) > 0.9
    assert json.loads(loaded.run("host", "show", "up", first, "--json").stdout)["weight"] == 128
    assert json.loads(loaded.run("host", "show", "up", second, "--json").stdout)["weight"] == 1
    assert loaded.status()["weights"] == {f"up/{first}": 128}
    assert f"weight 128: up/{first}" in loaded.run("status").stdout
    assert f"hosts: changed up/{first}" in loaded.run("reload", "--dry-run").stdout
    assert loaded.run("host", "weight", "up", first, "1").returncode == 0
    assert 0.3 < share(loaded) < 0.7
    result = loaded.end_load()
    assert result.failed == 0, result.failures
    assert loaded.status()["config_version"] == 3


WEIGHTS_THAT_CANNOT_BE = [
    (("weight", "up", "127.0.0.1:1", "5"), 'there is no host of "up" "127.0.0.1:1"'),
    (("weight", "upp", "127.0.0.1:1", "5"), 'there is no cluster "upp"; did you mean'),
    (("weight", "up", "127.0.0.1:1", "0"), "0 is not in the range 1<=x<=128"),
    (("weight", "up", "127.0.0.1:1"), "`host weight` takes a weight"),
    (("disable", "up", "127.0.0.1:1", "5"), "`host weight` takes a weight"),
]
HOSTS_THAT_ARE_NOT_THERE = [
    (("disable", "nothing", "127.0.0.1:1"), "there is no cluster 'nothing' with hosts; there are up"),
    (("disable", "up", "127.0.0.1:1"), "cluster 'up' has no host '127.0.0.1:1'; there are 127.0.0.1:"),
]


def test_what_cannot_be_given_to_a_host_or_is_none_is_refused(loaded: Loaded) -> None:
    for arguments, problem in (*WEIGHTS_THAT_CANNOT_BE, *HOSTS_THAT_ARE_NOT_THERE):
        done = loaded.run("host", *arguments)
        assert done.returncode != 0, arguments
        assert problem in done.stderr, arguments
    assert loaded.status()["config_version"] == 1
