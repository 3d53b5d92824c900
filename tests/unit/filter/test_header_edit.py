"""The stream filter header_edit."""

from mosn_mp.config import model
from mosn_mp.filter.chain import FilterChain
from mosn_mp.filter.compile import compile_filters
from mosn_mp.filter.testing import SampleStream


def chain(**config: object) -> FilterChain:
    return compile_filters([model.StreamFilter(type="header_edit", config=config)])


def test_edits_are_done_in_the_documented_order() -> None:
    stream = SampleStream(headers=[("a", "1"), ("b", "2"), ("c", "3"), ("B", "4"), ("c", "5")])
    edits = {"remove": ["a"], "set": {"b": "new"}, "append": {"c": "x", "e": "y"}, "add": {"a": "z", "d": "6"}}
    chain(request=edits).run("on_request", stream)
    assert stream.request.items() == [
        (b"b", b"new"),
        (b"c", b"3, x"),
        (b"c", b"5"),
        (b"e", b"y"),
        (b"a", b"z"),
        (b"d", b"6"),
    ]


def test_a_response_is_edited_and_the_request_left_alone() -> None:
    edit = chain(response={"remove": ["server"], "add": {"x": "y"}})
    assert edit.has_response and not edit.has_request
    stream = SampleStream()
    stream.answer(200, {"Server": "s"})
    edit.run("on_response", stream)
    assert stream.response.items() == [(b"x", b"y")]


def test_the_host_is_replaced_never_doubled() -> None:
    stream = SampleStream(headers={"Host": "old"})
    chain(request={"add": {"host": "new"}}).run("on_request", stream)
    assert (stream.request.get_all("host"), stream.request.authority) == ([b"new"], b"new")
