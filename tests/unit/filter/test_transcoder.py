"""The transcoder filter: which requests it sends upstream in another protocol."""

from typing import Any

import pytest

from mosn_mp.config.model import StreamFilter
from mosn_mp.errors import ConfigError
from mosn_mp.filter.chain import FilterChain
from mosn_mp.filter.compile import compile_filters
from mosn_mp.filter.testing import SampleStream
from mosn_mp.plugin import Catalogue

PLACE = {"stream_filter": {"transcoder": "mosn_mp.filter.transcoder:Transcoder"}}


def compiled(config: dict[str, Any]) -> FilterChain:
    return compile_filters([StreamFilter(type="transcoder", config=config)], Catalogue(PLACE))


def chosen(config: dict[str, Any], protocol: str = "Http1", phase: str = "on_route", **headers: str) -> str | None:
    """The protocol that the filter chooses for the host of a request."""
    stream = SampleStream(headers=headers)
    stream.protocol = protocol
    compiled(config).run(phase, stream)
    return stream.variables.get("upstream_protocol")


def rule(protocol: str, **header: str) -> dict[str, Any]:
    matcher = {"matcher_config": {"matcher_type": "simpleMatcher", "config": header}} if header else {}
    return {**matcher, "rule_info": {"upstream_protocol": protocol}}


def test_http2bolt_simple_takes_requests_of_http1_alone() -> None:
    config = {"type": "http2bolt_simple"}
    assert chosen(config) == "bolt" and chosen(config, "bolt") is None


def test_the_first_rule_that_matches_decides() -> None:
    config = {"rules": [rule("bolt", name="to", value="b"), rule("x_example", name="to", value="x"), rule("boltv2")]}
    assert [chosen(config, to=to) for to in ("b", "x", "?")] == ["bolt", "x_example", "boltv2"]
    assert chosen({"rules": config["rules"][:2]}) is None


@pytest.mark.parametrize(("number", "phase"), list(enumerate(("on_request", "on_route", "on_host"))))
def test_it_looks_in_the_phase_that_is_asked_for(number: int, phase: str) -> None:
    config = {"type": "http2bolt_simple", "trans": {"receiver_phase": number}}
    phases = ("on_request", "on_route", "on_host")
    assert {phase: chosen(config, phase=phase) for phase in phases} == {p: "bolt" if p == phase else None for p in phases}


def test_the_sub_protocol_of_x_counts() -> None:
    assert chosen({"rules": [{"rule_info": {"upstream_protocol": "X", "upstream_sub_protocol": "bolt"}}]}) == "bolt"


@pytest.mark.parametrize(
    ("config", "path", "problem"),
    [
        ({}, "config", "either 'type' or 'rules'"),
        ({"type": "http2bolt_simple", "rules": [rule("bolt")]}, "config", "either 'type' or 'rules'"),
        ({"type": "http2dubbo"}, "config.type", "unknown type 'http2dubbo'; there is http2bolt_simple"),
        ({"type": "httpTohttp2"}, "config.type", "needs HTTP/2, which is not in this version"),
        ({"rules": [{}]}, "config.rules[0]", "'rule_info' is missing"),
        ({"rules": [rule("bolt", name="a")]}, "config.rules[0].matcher_config.config", "'value' is missing"),
        ({"rules": [rule("bolt")], "trans": {"receiver_phase": 3}}, "config.trans.receiver_phase", "unknown value 3"),
        (
            {"rules": [{"rule_info": {"upstream_protocol": "bolt", "config": {"a": 1}}}]},
            "config.rules[0].rule_info.config",
            "MOSN",
        ),
        ({"go_plugin_config": {}}, "config.go_plugin_config", "unknown key"),
    ],
)
def test_what_cannot_be_done_is_refused(config: dict[str, Any], path: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compiled(config)
    assert caught.value.path == f"stream_filters[0].{path}" and problem in caught.value.problem
