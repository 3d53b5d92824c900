"""What a configuration says about protocols: names and lists."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mosn_mp.config.load import Report, load
from tests.unit.config.conftest import place

Broken = Callable[[str, object], list[str]]
Errors = Callable[..., list[str]]
PROXY = "servers[0].listeners[0].filter_chains[0].filters[0].config"
ROUTE = "servers[0].routers[0].virtual_hosts[0].routers[0].route"
FILTERS = "servers[0].listeners[0].stream_filters"
NOT_SERVED = "is not in this version of mosn_mp"


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
        (f"{ROUTE}.upstream_protocol", "botl", "unknown protocol \"botl\"; did you mean 'bolt'?"),
        (f"{ROUTE}.upstream_protocol", "dubbo", f'the protocol "dubbo" {NOT_SERVED}'),
        (f"{PROXY}.upstream_protocol", "Auto", '"Auto" is not one protocol; leave it out'),
        (f"{PROXY}.upstream_protocol", "Http1,bolt", '"Http1,bolt" is not one protocol; leave it out'),
    ],
)
def test_what_is_no_protocol_is_named(broken: Broken, path: str, value: object, error: str) -> None:
    (found,) = broken(path, value)
    assert found.startswith(path) and error in found


def test_the_protocols_that_a_transcoder_chooses_must_be_there(minimal: dict[str, Any], errors_of: Errors) -> None:
    rules = [{"rule_info": {"upstream_protocol": name}} for name in ("bolt", "x_example")]
    place(minimal, FILTERS, [{"type": "transcoder", "config": {"rules": rules}}])
    (error,) = errors_of(minimal)
    assert error.startswith(f'{FILTERS}[0].config.rules[1].rule_info.upstream_protocol: unknown protocol "x_example"')
