"""diff, summary, snapshot, address, cpus: what is asked of a configuration once it is loaded."""

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mosn_mp.config.cpus import usable_cpus, worker_count
from mosn_mp.config.decoding.address import parse_address
from mosn_mp.config.diff import diff
from mosn_mp.config.load import load
from mosn_mp.config.model import Config
from mosn_mp.config.snapshot import decode, decode_cluster, decode_router, encode
from mosn_mp.config.summary import summary
from mosn_mp.plugin import NO_SOURCES, Module, Sources

Load = Callable[[dict[str, Any]], Config]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """load() of a configuration given as values."""

    def load_values(config: dict[str, Any]) -> Config:
        (tmp_path / "c.json").write_text(json.dumps(config))
        return load(tmp_path / "c.json")

    return load_values


def test_a_snapshot_is_the_configuration_and_the_python_that_it_names(minimal: dict[str, Any], loaded: Load) -> None:
    config = loaded(minimal)
    sources = Sources({"a": Module("/a.py", b"A = 1"), "b": Module("", None, ["/b"])}, ["/"], {"codec": {"x": "y:Z"}})
    for snapshot in (decode(encode(config, sources)), decode(memoryview(encode(config, sources)))):
        assert (snapshot.config(), snapshot.sources) == (config, sources)


def test_a_snapshot_tells_which_clusters_and_routers_are_the_same(minimal: dict[str, Any], loaded: Load) -> None:
    config = loaded(minimal)
    (cluster,) = config.cluster_manager.clusters
    other = replace(cluster, name="other", connect_timeout=3.0)
    manager = replace(config.cluster_manager, clusters=(other, cluster))
    before, after = (decode(encode(one, NO_SOURCES)) for one in (config, replace(config, cluster_manager=manager)))
    assert [part.name for part in after.clusters] == ["other", cluster.name]
    assert after.clusters[1] == before.clusters[0]
    assert after.clusters[0].digest != before.clusters[0].digest
    assert after.routers == before.routers
    assert (decode_cluster(after.clusters[0]), decode_router(after.routers[0])) == (other, config.server.routers[0])


def test_a_configuration_does_not_differ_from_itself(minimal: dict[str, Any], loaded: Load) -> None:
    changes = diff(loaded(minimal), loaded(minimal))
    assert not changes
    assert changes.lines() == []


def test_what_was_added_changed_and_removed_is_named(minimal: dict[str, Any], loaded: Load) -> None:
    new = copy.deepcopy(minimal)
    server = new["servers"][0]
    server["graceful_timeout"] = "5s"
    server["listeners"][0]["name"] = "second"
    server["routers"][0]["virtual_hosts"].append({"name": "w", "domains": ["a.com"]})
    new["cluster_manager"]["clusters"][0]["hosts"] = [{"address": "127.0.0.1:8081"}]
    changes = diff(loaded(minimal), loaded(new))
    assert changes
    assert changes.lines() == [
        "settings: changed servers[0].graceful_timeout",
        "listeners: added second; removed front",
        "routers: changed r",
        "virtual hosts: added r/w",
        "clusters: changed b",
        "hosts: added b/127.0.0.1:8081; removed b/127.0.0.1:8080",
    ]


def test_the_summary_counts_in_one_line(minimal: dict[str, Any], loaded: Load) -> None:
    minimal["servers"][0]["processor"] = 2
    minimal["cluster_manager"]["clusters"][0]["hosts"].append({"address": "127.0.0.1:8081"})
    assert str(summary(loaded(minimal))) == "1 listener, 1 router (1 route), 1 cluster (2 hosts), 2 workers"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("127.0.0.1:80", "127.0.0.1:80"), ("[::1]:80", "[::1]:80"), ("[0:0:0::1]:65535", "[::1]:65535"), ("0.0.0.0:1", "0.0.0.0:1")],
)
def test_an_address_is_read_into_one_form(text: str, canonical: str) -> None:
    assert str(parse_address(text)) == canonical
    assert parse_address(text).is_ipv6 == text.startswith("[")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("127.0.0.1", "not an address with a port, as in '127.0.0.1:80'"),
        ("::1", r"not an address with a port, as in '\[::1\]:80'"),
        ("::1:80", r"not an address with a port, as in '\[::1:80\]:80'"),
        ("", "not an address with a port"),
        (":80", r"the IP address is missing; for all of this machine's write '0.0.0.0:80' or '\[::\]:80'"),
        ("127.0.0.1:0", "'0' is not a port"),
        ("127.0.0.1:65536", "'65536' is not a port"),
        ("127.0.0.1:http", "'http' is not a port"),
        ("127.0.0.1:²", "'²' is not a port"),
        ("127.0.0.1:", "'' is not a port"),
        ("127.0.0.256:80", "'127.0.0.256' is not an IP address"),
        ("[127.0.0.1:80", "is not an IP address"),
        ("localhost:80", "'localhost' is not an IP address; write '127.0.0.1:80'"),
        ("unix:/x", "a unix socket is not in this version"),
    ],
)
def test_what_is_no_address_says_what_would_be(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_address(text)


def cgroup(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "100000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/host/name\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ({"proc/self/cgroup": "5:cpu,cpuacct:/a\n4:memory:/\n", "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "100000\n",
          "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"}, 1),
        ({"proc/self/cgroup": "5:cpu:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
          "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"proc/self/cgroup": "0::/../x\n"}, None),
    ],
)  # fmt: skip
def test_the_quota_of_a_cgroup_limits_the_workers(tmp_path: Path, files: dict[str, str], quota: int | None) -> None:
    mask = len(os.sched_getaffinity(0))
    assert usable_cpus(cgroup(tmp_path, files)) == (mask if quota is None else min(mask, quota))


def test_a_number_of_workers_is_taken_as_it_is(minimal: dict[str, Any], loaded: Load) -> None:
    minimal["servers"][0]["processor"] = 7
    assert worker_count(loaded(minimal)) == 7
    minimal["servers"][0]["processor"] = "auto"
    assert worker_count(loaded(minimal)) == usable_cpus()
