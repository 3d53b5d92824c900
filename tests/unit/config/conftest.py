"""A small configuration to break, and what check() says about it."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mosn_mp.config.load import Report, check
from mosn_mp.config.problems import parse_path

MINIMAL: dict[str, Any] = {
    "servers": [
        {
            "listeners": [
                {
                    "name": "front",
                    "address": "127.0.0.1:2045",
                    "filter_chains": [{"filters": [{"type": "proxy", "config": {"router_config_name": "r"}}]}],
                }
            ],
            "routers": [
                {
                    "router_config_name": "r",
                    "virtual_hosts": [
                        {
                            "name": "v",
                            "domains": ["*"],
                            "routers": [{"match": {"prefix": "/"}, "route": {"cluster_name": "b"}}],
                        }
                    ],
                }
            ],
        }
    ],
    "cluster_manager": {"clusters": [{"name": "b", "hosts": [{"address": "127.0.0.1:8080"}]}]},
}

ROUTE = "servers[0].routers[0].virtual_hosts[0].routers[0]"


@pytest.fixture
def minimal() -> dict[str, Any]:
    """A configuration without anything wrong in it, to be changed."""
    return copy.deepcopy(MINIMAL)


@pytest.fixture
def report_of(tmp_path: Path) -> Callable[..., Report]:
    """check() of a configuration given as values or as text."""

    def report(config: object, name: str = "c.json") -> Report:
        file = tmp_path / name
        file.write_text(config if isinstance(config, str) else json.dumps(config, indent=1))
        return check(file)

    return report


@pytest.fixture
def errors_of(report_of: Callable[..., Report]) -> Callable[..., list[str]]:
    """The errors as `path: text`, without file and position."""

    def errors(config: object, name: str = "c.json") -> list[str]:
        return [f"{e.path}: {e.text}" for e in report_of(config, name).errors]

    return errors


@pytest.fixture
def warnings_of(report_of: Callable[..., Report]) -> Callable[..., list[str]]:
    """The warnings as `path: text`, of a configuration without errors."""

    def warnings(config: object) -> list[str]:
        report = report_of(config)
        assert report.errors == ()
        return [f"{w.path}: {w.text}" for w in report.warnings]

    return warnings


def place(config: dict[str, Any], path: str, value: object) -> None:
    """Set the value at *path* (`servers[0].listeners[0].address`) of *config*."""
    *outer, last = parse_path(path)
    at: Any = config
    for step in outer:
        at = at[step]
    at[last] = value


@pytest.fixture
def broken(errors_of: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """The errors of MINIMAL with one value changed."""

    def errors(path: str, value: object) -> list[str]:
        config = copy.deepcopy(MINIMAL)
        place(config, path, value)
        return errors_of(config)

    return errors
