"""The chain of stream filters: phases, verdicts, bodies, and objects that belong to one stream."""

from typing import ClassVar

import pytest

from mosn_mp.filter.chain import FilterChain
from mosn_mp.filter.stream_filter import CONTINUE, RE_CHOOSE, RE_MATCH, STOP, TERMINATE, StreamFilter, Verdict
from mosn_mp.filter.stream_view import StreamView
from mosn_mp.filter.testing import SampleStream


class Trace(StreamFilter):
    """Writes down each call under its name."""

    def __init__(self, name: str) -> None:
        super().__init__(None)
        self.name = name

    def on_request(self, stream: StreamView) -> Verdict:
        stream.variables.setdefault("calls", []).append(f"{self.name}.request")
        return None

    def on_response(self, stream: StreamView) -> Verdict:
        stream.variables.setdefault("calls", []).append(f"{self.name}.response")
        return CONTINUE

    def on_end(self, stream: StreamView) -> None:
        stream.variables.setdefault("calls", []).append(f"{self.name}.end")


class Returns(StreamFilter):
    """Returns from every phase what it was made with."""

    def __init__(self, value: object, replies: bool = False) -> None:
        super().__init__(None)
        self.value, self.replies = value, replies

    def on_request(self, stream: StreamView) -> Verdict:
        if self.replies:
            stream.reply(418)
        return self.value  # type: ignore[return-value]

    on_route = on_host = on_response = on_request


def test_a_phase_that_no_filter_wants_is_empty() -> None:
    chain = FilterChain([Trace("a")])
    assert (chain.has_request, chain.has_response, chain.has_end) == (True, True, True)
    assert not (chain.has_route or chain.has_host or chain.has_request_data or chain.has_response_data)
    assert not (chain.has_request_trailers or chain.has_response_trailers)
    assert not FilterChain().has_request


def test_filters_run_forwards_to_the_upstream_and_backwards_to_the_client() -> None:
    chain, stream = FilterChain([Trace("a"), Trace("b")]), SampleStream()
    for phase in ("on_request", "on_response", "on_end"):
        assert chain.run(phase, stream) == 0
    assert stream.variables["calls"] == ["a.request", "b.request", "b.response", "a.response", "b.end", "a.end"]


def test_a_reply_stops_the_phase_even_without_a_verdict() -> None:
    chain, stream = FilterChain([Returns(None, replies=True), Trace("late")]), SampleStream()
    assert chain.run("on_request", stream) == STOP
    assert stream.response.status == 418 and "calls" not in stream.variables


def test_response_filters_all_run_over_a_local_reply() -> None:
    chain, stream = FilterChain([Trace("a"), Trace("b")]), SampleStream()
    stream.reply(404)
    assert chain.run("on_response", stream) == CONTINUE
    assert stream.variables["calls"] == ["b.response", "a.response"]


@pytest.mark.parametrize(
    ("phase", "verdict"),
    [
        ("on_request", TERMINATE),
        ("on_route", RE_MATCH),
        ("on_host", RE_CHOOSE),
        ("on_response", STOP),
        ("on_response", TERMINATE),
    ],
)
def test_a_verdict_ends_the_phase(phase: str, verdict: int) -> None:
    late = Returns("never called")
    filters = [late, Returns(verdict)] if phase == "on_response" else [Returns(verdict), late]
    assert FilterChain(filters).run(phase, SampleStream()) == verdict


@pytest.mark.parametrize(
    ("phase", "value", "problem"),
    [
        ("on_request", RE_MATCH, "only on_route"),
        ("on_route", RE_CHOOSE, "only on_host"),
        ("on_host", RE_MATCH, "only on_route"),
        ("on_request", STOP, "without having called stream.reply"),
        ("on_request", "stop", "returned 'stop'"),
        ("on_request", 9, "returned 9"),
        ("on_request", -1, "returned -1"),
    ],
)
def test_a_wrong_verdict_names_the_filter(phase: str, value: object, problem: str) -> None:
    with pytest.raises((TypeError, ValueError, RuntimeError), match=rf"Returns\.{phase}.*{problem}"):
        FilterChain([Returns(value)]).run(phase, SampleStream())


class Shout(StreamFilter):
    """Upper case: as long as before."""

    def on_request_data(self, stream: StreamView, data: bytes, end: bool) -> bytes | None:
        return data.upper() if data else None


class Double(StreamFilter):
    """Every piece twice."""

    changes_request_body: ClassVar[bool] = True

    def on_request_data(self, stream: StreamView, data: bytes, end: bool) -> bytes | None:
        return data * 2


class Collect(StreamFilter):
    """Holds the body back until its end; one object a stream."""

    per_stream: ClassVar[bool] = True
    changes_response_body: ClassVar[bool] = True

    def __init__(self, config: object) -> None:
        super().__init__(None)
        self.pieces: list[bytes] = []

    def on_response_data(self, stream: StreamView, data: bytes, end: bool) -> bytes | None:
        self.pieces.append(data)
        return b"".join(self.pieces) if end else b""


def test_pieces_of_a_body_pass_all_filters() -> None:
    chain = FilterChain([Shout(None), Double(None)])
    assert chain.changes_request_body and not chain.changes_response_body
    assert chain.run("on_request_data", SampleStream(), b"ab", False) == b"ABAB"
    assert chain.run("on_request_data", SampleStream(), b"", True) == b""


def test_a_body_that_changes_its_length_without_notice_fails() -> None:
    class Silent(StreamFilter):
        def on_response_data(self, stream: StreamView, data: bytes, end: bool) -> bytes | None:
            return data + b"!"

    with pytest.raises(ValueError, match="changes_response_body = True"):
        FilterChain([Silent(None)]).run("on_response_data", SampleStream(), b"a", True)


def test_a_body_filter_that_returns_text_is_told_so() -> None:
    class Text(StreamFilter):
        def on_request_data(self, stream: StreamView, data: bytes, end: bool) -> bytes | None:
            return "a"  # type: ignore[return-value]

    with pytest.raises(TypeError, match="returned str"):
        FilterChain([Text(None)]).run("on_request_data", SampleStream(), b"a", True)


def test_a_per_stream_filter_has_an_object_for_each_request() -> None:
    chain = FilterChain([(Collect, None), (Collect, None)])
    one, other = SampleStream(), SampleStream()
    assert chain.run("on_response_data", one, b"a", False) == b""
    assert chain.run("on_response_data", other, b"x", False) == b""
    assert chain.run("on_response_data", one, b"b", True) == b"ab"
    chain.begin(one)
    assert chain.run("on_response_data", one, b"c", True) == b"c"


def test_every_on_end_runs_and_the_failure_is_raised_afterwards() -> None:
    class Fails(StreamFilter):
        def on_end(self, stream: StreamView) -> None:
            raise KeyError("boom")

    chain, stream = FilterChain([Trace("a"), Fails(None), Trace("b")]), SampleStream()
    with pytest.raises(KeyError, match="boom"):
        chain.run("on_end", stream)
    assert stream.variables["calls"] == ["b.end", "a.end"]


def test_an_exception_of_a_filter_reaches_the_stream() -> None:
    class Fails(StreamFilter):
        def on_request(self, stream: StreamView) -> Verdict:
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        FilterChain([Fails(None)]).run("on_request", SampleStream())
