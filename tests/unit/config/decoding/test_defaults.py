import json
from pathlib import Path
from typing import Any

import pytest

from mosn_mp.config.decoding.defaults import base_directory
from mosn_mp.config.load import load
from mosn_mp.config.model import Config


def loaded(config: dict[str, Any], directory: Path) -> Config:
    directory.mkdir(exist_ok=True)
    (directory / "c.json").write_text(json.dumps(config))
    return load(directory / "c.json")


def test_paths_start_above_a_directory_that_is_called_conf(minimal: dict[str, Any], tmp_path: Path) -> None:
    minimal["servers"][0]["listeners"][0]["access_logs"] = [
        {},
        {"log_path": "x/y.log"},
        {"log_path": "/z.log"},
        {"log_path": "stdout"},
    ]
    config = loaded(minimal, tmp_path / "conf")
    assert config.pid == f"{tmp_path}/logs/mosn.pid"
    assert config.server.default_log_path == f"{tmp_path}/logs/mosn.log"
    assert [log.log_path for log in config.server.listeners[0].access_logs] == [
        f"{tmp_path}/logs/front_access.log", f"{tmp_path}/x/y.log", "/z.log", "stdout",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "base"), [("/a/conf/c.json", "/a"), ("/a/configs/c.json", "/a"), ("/a/b/c.json", "/a/b"), ("/c.json", "/")]
)
def test_the_base_directory_follows_from_the_file(file: str, base: str) -> None:
    assert base_directory(file) == base


def test_names_and_protocols_that_are_left_out_are_filled_in(minimal: dict[str, Any], tmp_path: Path) -> None:
    del minimal["servers"][0]["listeners"][0]["name"]
    listener = loaded(minimal, tmp_path).server.listeners[0]
    assert listener.name == "127.0.0.1:2045"
    assert listener.proxy.upstream_protocol == listener.proxy.downstream_protocol == "Http1"


def test_zero_means_the_default_where_it_does_in_mosn(minimal: dict[str, Any], tmp_path: Path) -> None:
    minimal["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"][0]["route"]["timeout"] = "0s"
    minimal["cluster_manager"]["clusters"][0]["max_request_per_conn"] = 0
    config = loaded(minimal, tmp_path)
    action = config.server.routers[0].virtual_hosts[0].routers[0].route
    assert action is not None
    assert action.timeout == 60.0
    assert config.cluster_manager.clusters[0].max_request_per_conn == 1024


def test_a_negative_timeout_of_a_route_means_none(minimal: dict[str, Any], tmp_path: Path) -> None:
    minimal["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"][0]["route"]["timeout"] = "-1s"
    action = loaded(minimal, tmp_path).server.routers[0].virtual_hosts[0].routers[0].route
    assert action is not None
    assert action.timeout == -1.0
