"""docs/config.md says what the model says: every struct, every key, every default."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from mosn_mp.config import model
from mosn_mp.config.decoding.units import format_duration, format_size
from mosn_mp.config.decoding.unserved import UNSERVED_KEYS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "config.md"
SECTIONS: dict[str, type[Struct]] = {
    "The file": model.Config,
    "server": model.Server,
    "listener": model.Listener,
    "access_log": model.AccessLog,
    "filter_chain": model.FilterChain,
    "network_filter": model.NetworkFilter,
    "proxy": model.Proxy,
    "extend_config": model.ExtendConfig,
    "Http1": model.Http1Options,
    "bolt": model.BoltOptions,
    "stream_filter": model.StreamFilter,
    "router": model.Router,
    "virtual_host": model.VirtualHost,
    "route": model.Route,
    "match": model.Match,
    "header_match": model.HeaderMatch,
    "route_action": model.RouteAction,
    "retry_policy": model.RetryPolicy,
    "header_to_add": model.HeaderToAdd,
    "header_value": model.HeaderValue,
    "redirect": model.Redirect,
    "direct_response": model.DirectResponse,
    "cluster_manager": model.ClusterManager,
    "cluster": model.Cluster,
    "circuit_breaker": model.Thresholds,
    "keepalive": model.Keepalive,
    "host": model.Host,
    "admin": model.Admin,
    "admin_address": model.AdminAddress,
    "socket_address": model.SocketAddress,
    "pipe": model.Pipe,
    "third_part_codec": model.ThirdPartCodecs,
    "codec": model.ThirdPartCodec,
}
ROW = re.compile(r"\| `(\w+)` \| (.+?) \| (.+) \|")


def sections() -> dict[str, dict[str, str]]:
    """Heading -> key -> default, as the page has them."""
    found: dict[str, dict[str, str]] = {}
    for part in PAGE.read_text().split("\n## ")[1:]:
        found[part.partition("\n")[0]] = {row[1]: row[2] for row in ROW.finditer(part)}
    return found


def written_default(field: FieldInfo) -> str:
    if field.required:
        return "required"
    value: Any = field.default_factory() if field.default_factory is not NODEFAULT else field.default
    if value is None:
        return "none"
    if isinstance(value, Struct):
        return "`{}`"
    units = {meta.extra["unit"] for meta in getattr(field.type, "__metadata__", ()) if meta.extra and "unit" in meta.extra}
    if "duration" in units:
        return f'`"{format_duration(value)}"`'
    if "size" in units and value:
        return f'`"{format_size(value)}"`'
    return f"`{json.dumps(value)}`"


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_has_every_key_with_its_default(name: str) -> None:
    assert sections()[name] == {field.encode_name: written_default(field) for field in fields(SECTIONS[name])}


def test_every_struct_has_a_section_and_every_section_a_struct() -> None:
    bases = (model.Frozen, model.HeaderEdits, model.Metrics)
    structs = {s for s in vars(model).values() if isinstance(s, type) and issubclass(s, model.Frozen) and s not in bases}
    assert set(SECTIONS.values()) == structs
    assert list(sections()) == list(SECTIONS)


def test_links_within_the_page_lead_to_sections() -> None:
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE.read_text())) <= {name.lower() for name in SECTIONS}


def test_no_key_is_both_served_and_not_served() -> None:
    for cls, keys in UNSERVED_KEYS.items():
        assert not keys.keys() & {field.encode_name for field in fields(cls)}
