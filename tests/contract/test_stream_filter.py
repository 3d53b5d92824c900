"""The contract of stream filters, checked over every filter of the catalogue with the configuration that its module documents."""

import ast
import inspect
import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mosn_mp.config import model
from mosn_mp.errors import ConfigError
from mosn_mp.filter.compile import compile_filters
from mosn_mp.filter.stream_filter import StreamFilter
from mosn_mp.filter.testing import SampleStream
from mosn_mp.plugin import CATALOGUE

NAMES = CATALOGUE.names("stream_filter")
PHASES = ("on_request", "on_route", "on_host", "on_response")


def documented_config(name: str) -> dict[str, Any]:
    """The example of the filter's module: the first JSON object in its docstring."""
    module = inspect.getmodule(CATALOGUE.resolve("stream_filter", name))
    assert module is not None and module.__file__ is not None
    with open(module.__file__) as source:
        text = ast.get_docstring(ast.parse(source.read()))
    match = re.search(r"^ *(\{.*?\}) *$\n\n", text or "", re.DOTALL | re.MULTILINE)
    assert match, f"the module of {name} documents no example"
    example: dict[str, Any] = json.loads(match[1])
    assert example["type"] == name
    config: dict[str, Any] = example["config"]
    return config


def entry(name: str, **extra: object) -> model.StreamFilter:
    return model.StreamFilter(type=name, config={**documented_config(name), **extra})


@pytest.mark.parametrize("name", NAMES)
def test_a_filter_is_made_from_its_documented_example(name: str) -> None:
    cls = CATALOGUE.resolve("stream_filter", name)
    assert isinstance(cls, type) and issubclass(cls, StreamFilter)
    compile_filters([entry(name)])


@pytest.mark.parametrize("name", NAMES)
def test_a_filter_refuses_a_key_that_it_does_not_know(name: str) -> None:
    with pytest.raises(ConfigError, match="no_such_key"):
        compile_filters([entry(name, no_such_key=1)])


names = st.text(alphabet="abcXYZ-_1", min_size=1, max_size=12).filter(lambda n: n.lower() not in ("te", "host"))
values = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)
fields = st.lists(st.tuples(names, values), max_size=20)
known_fields = st.lists(
    st.tuples(st.sampled_from(["x-forwarded-for", "via", "x-debug", "server", "set-cookie", "X-Gateway"]), values), max_size=6
)


@pytest.mark.parametrize("name", NAMES)
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    request=st.tuples(fields, known_fields),
    response=st.tuples(fields, known_fields),
    remote=st.sampled_from(["10.0.0.1", "::1", ""]),
)
def test_a_filter_survives_any_head(name: str, request: Any, response: Any, remote: str) -> None:
    chain = compile_filters([entry(name)])
    stream = SampleStream(headers=request[0] + request[1], remote_address=(remote, 1))
    for phase in PHASES:
        if phase == "on_response" and not stream.replied:
            stream.answer(200, response[0] + response[1])
        assert chain.run(phase, stream) in range(5)
    for data, end in ((b"abc", False), (b"", True)):
        assert isinstance(chain.run("on_request_data", stream, data, end), bytes)
        assert isinstance(chain.run("on_response_data", stream, data, end), bytes)
    chain.run("on_end", stream)


@pytest.mark.parametrize("name", NAMES)
def test_a_filter_does_to_a_stream_what_it_does_to_the_first(name: str) -> None:
    """Whatever streams came before, and whatever else is under way, the same request ends the same."""
    chain = compile_filters([entry(name)])

    def outcome(stream: SampleStream) -> object:
        for phase in PHASES:
            if phase == "on_response" and not stream.replied:
                stream.answer(200, {"server": "s"})
            chain.run(phase, stream)
        return stream.request.items(), stream.response.status, stream.response.items(), stream.variables

    def make(remote: str) -> SampleStream:
        return SampleStream(headers={"x-debug": "1", "via": "2"}, remote_address=(remote, 1))

    first = outcome(make("10.0.0.1"))
    other, untouched = make("10.1.2.3"), make("10.0.0.1")
    before = untouched.request.items()
    chain.run("on_request", other)
    assert untouched.request.items() == before
    outcome(make("192.0.2.7"))
    assert outcome(make("10.0.0.1")) == first
