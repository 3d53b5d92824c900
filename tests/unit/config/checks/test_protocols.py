"""What a configuration says about protocols: names, lists, files of one's own, heartbeats."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mosn_mp.config.load import Report, load
from mosn_mp.config.model import BoltOptions, Keepalive
from tests.unit.config.conftest import place

Broken = Callable[[str, object], list[str]]
Errors = Callable[..., list[str]]
PROXY = "servers[0].listeners[0].filter_chains[0].filters[0].config"
ROUTE = "servers[0].routers[0].virtual_hosts[0].routers[0].route"
FILTERS = "servers[0].listeners[0].stream_filters"
CLUSTER = "cluster_manager.clusters[0]"
CODEC = "third_part_codec.codecs[0]"
EXAMPLE = Path(__file__).resolve().parents[4] / "docs/examples/x_example.py"
NOT_SERVED = "is not in this version of mosn_mp"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """An entry of third_part_codec whose file lies beside the configuration, under a name of its own."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    file = tmp_path / f"x_{tmp_path.name}.py".replace("-", "_")
    file.write_text(EXAMPLE.read_text())
    yield {"enable": True, "type": "python", "path": file.name, "loader_func_name": "XExample", "config": {}}
    sys.modules.pop(file.stem, None)


def loaded(report_of: Callable[..., Report], config: object, tmp_path: Path) -> Any:
    assert report_of(config).errors == ()
    return load(tmp_path / "c.json")


@pytest.mark.parametrize(
    ("text", "names", "upstream"),
    [
        ("Http1", ("Http1",), "Http1"),
        ("boltv2", ("boltv2",), "boltv2"),
        ("Http1,bolt,boltv2", ("Http1", "bolt", "boltv2"), ""),
        ("bolt, Http1", ("bolt", "Http1"), ""),
        ("Auto", (), ""),
    ],
)
def test_clients_may_speak_one_protocol_some_or_all(
    minimal: dict[str, Any], report_of: Callable[..., Report], tmp_path: Path, text: str, names: tuple[str, ...], upstream: str
) -> None:
    place(minimal, f"{PROXY}.downstream_protocol", text)
    proxy = loaded(report_of, minimal, tmp_path).server.listeners[0].proxy
    assert (proxy.downstream_protocols, proxy.upstream_protocol) == (names, upstream)


def test_hosts_may_speak_another_protocol_by_listener_and_by_route(
    minimal: dict[str, Any], report_of: Callable[..., Report], tmp_path: Path
) -> None:
    place(minimal, f"{PROXY}.upstream_protocol", "bolt")
    place(minimal, f"{ROUTE}.upstream_protocol", "boltv2")
    config = loaded(report_of, minimal, tmp_path)
    assert config.server.listeners[0].proxy.upstream_protocol == "bolt"
    assert config.server.routers[0].virtual_hosts[0].routers[0].route.upstream_protocol == "boltv2"


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        (f"{PROXY}.downstream_protocol", "Http1,,bolt", '"Http1,,bolt" is not a list of protocols; write'),
        (f"{PROXY}.downstream_protocol", "Auto,bolt", '"Auto,bolt" is not a list of protocols; write'),
        (f"{PROXY}.downstream_protocol", "bolt,Http1,bolt", 'the protocol "bolt" is given twice'),
        (f"{PROXY}.downstream_protocol", "Http1,botl", "unknown protocol \"botl\"; did you mean 'bolt'?"),
        (f"{PROXY}.downstream_protocol", "X", f'the protocol "X" {NOT_SERVED}'),
        (f"{PROXY}.upstream_protocol", "Auto", '"Auto" is not one protocol; leave it out'),
        (f"{PROXY}.upstream_protocol", "Http1,bolt", '"Http1,bolt" is not one protocol; leave it out'),
        (f"{ROUTE}.upstream_protocol", "botl", "unknown protocol \"botl\"; did you mean 'bolt'?"),
        (f"{ROUTE}.upstream_protocol", "dubbo", f'the protocol "dubbo" {NOT_SERVED}'),
        (f"{CLUSTER}.keepalive", {"interval": "0s"}, '.interval: "0s" is too small'),
        (f"{PROXY}.extend_config", {"bolt": {"max_frame_size": 1}}, ".bolt.max_frame_size: 1 is too small; the least is 64"),
        (f"{PROXY}.extend_config", {"dubbo": {"a": 1}}, f".dubbo: the protocol dubbo {NOT_SERVED}"),
    ],
)
def test_what_is_no_protocol_is_named(broken: Broken, path: str, value: object, error: str) -> None:
    (found,) = broken(path, value)
    assert found.startswith(path) and error in found


def test_options_of_bolt_and_heartbeats_have_mosns_defaults(
    minimal: dict[str, Any], report_of: Callable[..., Report], tmp_path: Path
) -> None:
    place(minimal, f"{PROXY}.extend_config", {"bolt": {"enable_bolt_goaway": True}, "boltv2": {"max_frame_size": "1MB"}})
    place(minimal, f"{CLUSTER}.keepalive", {"interval": "30s"})
    config = loaded(report_of, minimal, tmp_path)
    options = config.server.listeners[0].proxy.extend_config
    assert options.bolt == BoltOptions(enable_bolt_goaway=True, max_frame_size=8 << 20)
    assert options.boltv2 == BoltOptions(enable_bolt_goaway=False, max_frame_size=1 << 20)
    assert config.cluster_manager.clusters[0].keepalive == Keepalive(interval=30.0, timeout=1.0)
    assert Keepalive() == Keepalive(interval=15.0, timeout=1.0)


def test_a_file_beside_the_configuration_adds_a_protocol(
    minimal: dict[str, Any], own: dict[str, Any], report_of: Callable[..., Report], tmp_path: Path
) -> None:
    minimal["third_part_codec"] = {"codecs": [own]}
    place(minimal, f"{PROXY}.downstream_protocol", "Http1,x_example")
    config = loaded(report_of, minimal, tmp_path)
    assert config.third_part_codec.codecs[0].path == str(tmp_path / own["path"])
    assert config.server.listeners[0].proxy.downstream_protocols == ("Http1", "x_example")


def test_an_entry_that_is_not_enabled_adds_nothing_and_is_not_looked_at(
    minimal: dict[str, Any], own: dict[str, Any], errors_of: Errors
) -> None:
    minimal["third_part_codec"] = {"codecs": [{**own, "enable": False}, {"type": "go-plugin", "path": "codec.so"}]}
    assert errors_of(minimal) == []
    place(minimal, f"{PROXY}.downstream_protocol", "x_example")
    (error,) = errors_of(minimal)
    assert 'unknown protocol "x_example"; there are Http1, bolt, boltv2' in error


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"type": "go-plugin"}, f'{CODEC}.type: codec type "go-plugin" {NOT_SERVED}'),
        ({"type": "pyhton"}, f'{CODEC}.type: unknown codec type "pyhton"; expected "python"; did you mean \'python\'?'),
        ({"path": "nothing.py"}, f"{CODEC}.path: there is no file "),
        ({"loader_func_name": "XExampel"}, f"{CODEC}.loader_func_name: "),
        ({"loader_func_name": "Struct"}, f"{CODEC}: "),
    ],
)
def test_a_file_that_adds_none_is_one_error(
    minimal: dict[str, Any], own: dict[str, Any], errors_of: Errors, changes: dict[str, str], error: str
) -> None:
    minimal["third_part_codec"] = {"codecs": [{**own, **changes}]}
    place(minimal, f"{PROXY}.downstream_protocol", "x_example")
    (found,) = errors_of(minimal)
    assert found.startswith(error)


def test_the_protocols_that_a_transcoder_chooses_must_be_there(minimal: dict[str, Any], errors_of: Errors) -> None:
    rules = [{"rule_info": {"upstream_protocol": name}} for name in ("bolt", "x_example")]
    place(minimal, FILTERS, [{"type": "transcoder", "config": {"rules": rules}}])
    (error,) = errors_of(minimal)
    assert error.startswith(f'{FILTERS}[0].config.rules[1].rule_info.upstream_protocol: unknown protocol "x_example"')
