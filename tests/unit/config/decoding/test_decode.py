from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from mosn_mp.config import model
from mosn_mp.config.decoding.decode import Decoder
from mosn_mp.config.load import Report
from mosn_mp.config.model import Bytes, Seconds
from mosn_mp.config.problems import Findings, path_text
from mosn_mp.errors import ConfigError

Broken = Callable[[str, object], list[str]]
LISTENER = "servers[0].listeners[0]"
HTTP1 = f"{LISTENER}.filter_chains[0].filters[0].config.extend_config"
NOT_SERVED = "is not in this version of mosn_mp"


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        # names
        ("severs", [], "unknown key; did you mean 'servers'?"),
        ("cluster_manager.Clusters", [], "unknown key; did you mean 'clusters'?"),
        (f"{LISTENER}.bind_prot", True, "unknown key; did you mean 'bind_port'?"),
        (f"{LISTENER}.tls", {}, "unknown key; there are access_logs, address, backlog, bind_port, connection_idle_timeout, "
         "default_read_buffer_size, filter_chains, max_connections, name, network, request_header_timeout, stream_filters, "
         "type, write_min_rate, write_timeout"),
        # types
        ("pid", 1, "expected a text, got 1"),
        ("servers", {}, "expected a list, got an object"),
        ("servers[0]", [], "expected an object, got a list"),
        (f"{LISTENER}.backlog", "4096", 'expected a whole number, got "4096"'),
        (f"{LISTENER}.backlog", 1.5, "expected a whole number, got 1.5"),
        (f"{LISTENER}.backlog", True, "expected a whole number, got true"),
        (f"{LISTENER}.bind_port", 1, "expected true or false, got 1"),
        ("servers[0].processor", "atuo", 'unknown value "atuo"; did you mean \'auto\'?'),
        ("servers[0].processor", "all", 'unknown value "all"; expected "auto"'),
        ("servers[0].processor", 1.5, 'expected a whole number or "auto", got 1.5'),
        # limits
        ("servers[0].processor", 0, "0 is too small; the least is 1"),
        ("servers[0].processor", 251, "251 is too large; the most is 250"),
        ("servers", [], "must not be empty"),
        ("cluster_manager.clusters[0].max_request_per_conn", -1, "-1 is negative"),
        (f"{LISTENER}.filter_chains", [], "must not be empty"),
        # durations and sizes
        ("servers[0].graceful_timeout", "30",
         "\"30\" is not a duration; write numbers with units as in '30s', '300ms' or '1m30s'"),
        ("servers[0].graceful_timeout", 30, "30 is not a duration; write its unit, as in '30s'"),
        ("servers[0].graceful_timeout", 1.5, "1.5 is not a duration; write its unit, as in '1.5s'"),
        ("servers[0].graceful_timeout", "-1s", '"-1s" is negative'),
        ("servers[0].graceful_timeout", True, "expected a duration such as '30s', got true"),
        (f"{LISTENER}.write_timeout", "0s", '"0s" is too small; it must be more than 0'),
        ("servers[0].arena_size", "256MiB", "\"256MiB\" is not a size; write a number of bytes or as in '64KB' or '256MB'"),
        ("servers[0].arena_size", "64KB", '"64KB" is too small; the least is 1048576'),
        ("servers[0].arena_size", [], "expected a size such as '64KB', got a list"),
        # choices
        ("servers[0].default_log_level", "INF", 'unknown value "INF"; did you mean \'INFO\'?'),
        (f"{LISTENER}.network", "udp", f'network "udp" {NOT_SERVED}'),
        (f"{LISTENER}.network", "sctp", 'unknown network "sctp"; expected "tcp"'),
        (f"{LISTENER}.bind_port", False,
         f"a listener without a socket (for transparent proxying) {NOT_SERVED}; set it to true or leave it out"),
        (f"{LISTENER}.filter_chains[0].filters[0].type", "tcp_proxy", f'network filter "tcp_proxy" {NOT_SERVED}'),
        (f"{LISTENER}.filter_chains[0].filters[0].type", "prox", 'unknown network filter "prox"; did you mean \'proxy\'?'),
        ("cluster_manager.clusters[0].type", "EDS", f'cluster type "EDS" {NOT_SERVED}'),
        # features
        (f"{LISTENER}.filter_chains[0].tls_context", {"status": True}, f"TLS {NOT_SERVED}"),
        (HTTP1, {"Http2": {"http2_use_stream": True}}, None),
        ("metrics", {"flush_mosn": True}, None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_value(broken: Broken, path: str, value: object, problem: str | None) -> None:
    errors = broken(path, value)
    if problem is None:
        assert len(errors) == 1 and errors[0].endswith(NOT_SERVED)
    else:
        assert errors[0] == f"{path}: {problem}"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{LISTENER}.filter_chains[0].tls_context", {}),
        (f"{LISTENER}.filter_chains[0].tls_context", {"status": False, "cert_chain": "x"}),
        (f"{LISTENER}.filter_chains[0].tls_context_set", [{"status": False}]),
        (f"{LISTENER}.inspector", False),
        (f"{LISTENER}.listener_filters", []),
        (f"{LISTENER}.use_original_dst", ""),
        (f"{LISTENER}.stream_filters", None),
        ("tracing", {"enable": False, "driver": "SOFATracer"}),
        ("admin", None),
        ("servers[0].graceful_timeout", 0),
        ("cluster_manager.clusters[0].circuit_breakers", [{"max_connections": 4, "max_retries": 0}]),
    ],
)
def test_a_key_that_asks_for_nothing_more_than_this_version_does_is_no_error(broken: Broken, path: str, value: object) -> None:
    assert broken(path, value) == []


def test_a_key_that_belongs_one_level_down_says_so(broken: Broken) -> None:
    assert broken(HTTP1, {"max_header_size": 8192}) == [
        f"{HTTP1}.max_header_size: unknown key; did you mean 'Http1.max_header_size'?"
    ]


def test_an_error_is_one_line_whatever_the_file_says(report_of: Callable[[object], Report]) -> None:
    (unknown,) = report_of({"a\n\x1b[31m": 1}).errors
    assert str(unknown).partition("c.json")[2].startswith(r":2:2: a\n\x1b[31m: unknown key")
    assert unknown.path == "a\n\x1b[31m"


def test_one_cause_gives_one_error(broken: Broken) -> None:
    filters = [{"type": "tcp_proxy", "config": {"cluster": "raw"}}]
    assert len(broken(f"{LISTENER}.filter_chains[0].filters", filters)) == 1
    route = "servers[0].routers[0].virtual_hosts[0].routers[0]"
    assert len(broken(f"{route}.route", {"weighted_clusters": [{"cluster": {"name": "b", "weight": 1}}]})) == 1
    assert len(broken(f"{route}.match", {"variables": [{"name": "x", "value": "y"}]})) == 1
    assert len(broken("servers[0].listeners[0].filter_chains", 5)) == 1


class Inner(Struct):
    number: Annotated[int, Meta(ge=1, multiple_of=2)]


class PluginConfig(Struct, rename="kebab"):
    """A Config as the author of a filter may write it."""

    wait_time: Seconds = 1.0
    most_bytes: Bytes = 0
    inner: Inner | None = None
    mode: Literal["a", "b"] = "a"
    code: Annotated[str, Meta(pattern="^[a-z]+$")] = "x"
    names: list[str] = []
    by_name: dict[str, int] = {}
    either: int | str = 0
    ratio: float = 0.5
    anything: Any = None
    pair: tuple[int, str] = (1, "")
    kinds: set[str] = set()

    def __post_init__(self) -> None:
        if self.mode == "b" and not self.names:
            raise ConfigError("names", "mode b needs names")
        if self.ratio > 1:
            raise ValueError("ratio is more than 1")


def decode(value: object) -> tuple[Any, list[str]]:
    findings = Findings()
    made = Decoder(findings).decode_struct(PluginConfig, value, ("config",))
    return made, [f"{path_text(finding.path)}: {finding.problem}" for finding in findings.errors]


def test_a_plugins_config_is_decoded_by_its_types() -> None:
    value = {
        "wait-time": "2s", "most-bytes": "1KB", "inner": {"number": 2}, "mode": "b", "names": ["n"], "by-name": {"x": 1},
        "either": "e",
        "ratio": 1, "anything": [{}], "pair": [2, "p"], "kinds": ["k"],
    }  # fmt: skip
    made, errors = decode(value)
    assert errors == []
    assert made == PluginConfig(
        wait_time=2.0, most_bytes=1024, inner=Inner(number=2), mode="b", names=["n"], by_name={"x": 1}, either="e", ratio=1.0,
        anything=[{}], pair=(2, "p"), kinds={"k"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "errors"),
    [
        ({"wait-tim": "2s"}, ["config.wait-tim: unknown key"]),
        (
            {"inner": {"number": 0, "nmber": 1}},
            ["config.inner.nmber: unknown key", "config.inner.number: 0 is too small; the least is 1"],
        ),
        ({"inner": {"number": 3}}, ["config.inner.number: expected `int` that's a multiple of 2"]),
        ({"inner": {}}, ["config.inner: 'number' is missing"]),
        ({"mode": "c"}, ['config.mode: unknown value "c"; expected "a" or "b"']),
        ({"code": "A"}, ["config.code: expected `str` matching regex '^[a-z]+$'"]),
        ({"names": ["a", 1]}, ["config.names[1]: expected a text, got 1"]),
        ({"by-name": {"x": "y"}}, ['config.by-name.x: expected a whole number, got "y"']),
        ({"either": 1.5}, ["config.either: expected a whole number or a text, got 1.5"]),
        ({"pair": [1]}, ["config.pair: expected `array` of length 2, got 1"]),
        ({"kinds": [1]}, ["config.kinds[0]: expected `str`, got `int`"]),
        ({"mode": "b"}, ["config.names: mode b needs names"]),
        ({"ratio": 2.0}, [f"config: ratio is more than 1 ({__file__}:148)"]),
    ],
)
def test_what_is_wrong_in_a_plugins_config_has_its_path(value: object, errors: list[str]) -> None:
    assert decode(value)[1] == errors


HOST_VALUES = st.dictionaries(
    st.sampled_from(["address", "hostname", "weight", "metadata", "adress"]),
    st.sampled_from(["10.0.0.1:80", "", "x", 1, 0, 128, 129, -1, 1.0, True, None, [], {}, 1 << 70]),
    max_size=4,
)


@given(HOST_VALUES | st.sampled_from([None, 1, "x", [], [1]]))
def test_an_entry_of_a_list_is_decoded_as_it_is_alone(value: object) -> None:
    alone, listed = Findings(), Findings()
    one = Decoder(alone).decode(model.Host, value, (0,))
    (entry,) = Decoder(listed).decode(tuple[model.Host, ...], [value], ())
    assert entry == one
    assert listed.errors == alone.errors
