"""Whole files: ours, one of the benchmark of MOSN's kind, and MOSN's annotated example with every section it has."""

import json
from pathlib import Path

import pytest

from mosn_mp.config.load import check, load

ROOT = Path(__file__).resolve().parents[3]
NOT_SERVED = "is not in this version of mosn_mp"
BENCHMARK = {
    "disable_upgrade": True,
    "pid": "/tmp/p.pid",
    "servers": [
        {
            "default_log_path": "/tmp/log",
            "default_log_level": "ERROR",
            "processor": 1,
            "listeners": [
                {
                    "name": "l",
                    "address": "127.0.0.1:2045",
                    "bind_port": True,
                    "filter_chains": [
                        {
                            "filters": [
                                {
                                    "type": "proxy",
                                    "config": {
                                        "downstream_protocol": "Http1",
                                        "upstream_protocol": "Http1",
                                        "router_config_name": "r",
                                    },
                                }
                            ]
                        }
                    ],
                }
            ],
            "routers": [
                {
                    "router_config_name": "r",
                    "virtual_hosts": [
                        {"name": "v", "domains": ["*"], "routers": [{"match": {"prefix": "/"}, "route": {"cluster_name": "b"}}]}
                    ],
                }
            ],
        }
    ],
    "cluster_manager": {
        "clusters": [
            {
                "name": "b",
                "type": "SIMPLE",
                "lb_type": "LB_ROUNDROBIN",
                "max_request_per_conn": 1000000000,
                "conn_buffer_limit_bytes": 32768,
                "hosts": [{"address": "127.0.0.1:8080"}],
            }
        ]
    },
}


@pytest.mark.parametrize("file", sorted((ROOT / "conf").iterdir()), ids=lambda file: file.name)
def test_our_examples_load_without_a_warning(file: Path) -> None:
    report = check(file)
    assert (report.errors, report.warnings) == ((), ())


def test_a_benchmark_file_of_mosn_loads_unchanged(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps(BENCHMARK))
    config = load(tmp_path / "c.json")
    assert config.pid == "/tmp/p.pid"
    assert config.server.processor == 1
    assert config.cluster_manager.clusters[0].max_request_per_conn == 1000000000


def test_every_section_of_mosn_is_served_or_named_as_not_served() -> None:
    report = check(Path(__file__).with_name("mosn_annotated.json"))
    assert report.config is None
    assert all(error.line and error.column for error in report.errors)
    assert not [str(error) for error in report.errors if error.problem.startswith("unknown")]
    others = [f"{e.path}: {e.text}" for e in report.errors if NOT_SERVED not in e.problem]
    assert others == ["servers[0].listeners[0].filter_chains[0].filters: has 2 entries; at most 1 can be served"]
    named = {error.path for error in report.errors}
    for section in (
        "uds_dir", "pprof", "tracing", "plugin", "extends", "wasm_global_plugins", "node",
        "third_part_codec.codecs[0].type",
        "dynamic_resources", "static_resources", "metrics.sinks", "servers[0].global_log_roller",
        "servers[0].listeners[0].inspector",
        "cluster_manager.clusters[0].health_check", "cluster_manager.clusters[0].slow_start", "cluster_manager.clusters[1].type",
    ):  # fmt: skip
        assert section in named
