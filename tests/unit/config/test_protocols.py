"""What a configuration says about protocols: names and lists."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mosn_mp.config.load import Report, load
from tests.unit.config.conftest import place

Broken = Callable[[str, object], list[str]]
PROXY = "servers[0].listeners[0].filter_chains[0].filters[0].config"
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


def test_hosts_may_speak_another_protocol(minimal: dict[str, Any], report_of: Callable[..., Report], tmp_path: Path) -> None:
    place(minimal, f"{PROXY}.upstream_protocol", "bolt")
    assert loaded(report_of, minimal, tmp_path).server.listeners[0].proxy.upstream_protocol == "bolt"


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
    ],
)
def test_what_is_no_protocol_is_named(broken: Broken, path: str, value: object, error: str) -> None:
    (found,) = broken(path, value)
    assert found.startswith(path) and error in found
