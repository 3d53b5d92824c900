"""Wire samples of HTTP/1.1: bytes in, events and forwarded bytes out, whole and cut at every byte.

A sample is a file tests/wire/http1/{valid,invalid}/NAME.req (a client's bytes) or NAME.res (a server's). Its first line says
what it is about; then come parts, each behind a line `--- name`:

    --- closed      present: the sender closes behind the last byte
    --- once        present: only one message is read
    --- request     .res only: the client's request that is answered
    --- wire        the bytes: line ends of the file mean nothing; \\r \\n \\t \\0 \\xNN and \\\\ are escapes, {{ab*3}} is ababab
    --- events      what the codec reports; `-` marks fields that concern one connection only
    --- forwarded   valid only: what the codec of the other side writes
"""

from pathlib import Path

import pytest

from mosn_mp.codec.driver import CodecDriver
from mosn_mp.codec.http1.codec import Http1Codec
from mosn_mp.codec.http1.limits import Http1Limits
from tests.contract.codec_kit import CLIENT, SERVER, Forward, Result, cut, sections, to_text, to_wire, transcribe

FOLDER = Path(__file__).parent / "http1"
SAMPLES = sorted(FOLDER.glob("*valid/*.re[qs]"))
LIMITS = Http1Limits(max_body=1000)
EVERY_BYTE = 3000  # longer samples are cut at some of their bytes


def pair() -> tuple[CodecDriver, CodecDriver]:
    """The two codecs of a proxy: towards the client, towards the server."""
    return CodecDriver(Http1Codec(SERVER, LIMITS)), CodecDriver(Http1Codec(CLIENT, LIMITS))


def run_request(parts: dict[str, bytes], at: tuple[int, ...] = (), move: bool = False) -> Result:
    """A client's bytes through a proxy."""
    client_side, server_side = pair()
    pieces = cut(to_wire(parts["wire"]), at)
    events = transcribe(
        client_side, pieces, Forward(server_side, True), eof="closed" in parts, go_on="once" not in parts, move=move
    )
    return Result(events, server_side.take_output())


def run_response(parts: dict[str, bytes], at: tuple[int, ...] = (), move: bool = False) -> Result:
    """A server's bytes back through a proxy that forwarded the sample's request."""
    client_side, server_side = pair()
    transcribe(client_side, [to_wire(parts["request"])], Forward(server_side, True), go_on=False)
    pieces = cut(to_wire(parts["wire"]), at)
    events = transcribe(server_side, pieces, Forward(client_side, False), eof="closed" in parts, go_on=False, move=move)
    events += [
        f"CLIENT {'stays' if client_side.keep_alive else 'goes'}",
        f"SERVER {'stays' if server_side.keep_alive else 'goes'}",
    ]
    if events[-3].startswith("ERROR"):
        events = events[:-2]
    return Result(events, client_side.take_output())


def run(path: Path, at: tuple[int, ...] = (), move: bool = False) -> Result:
    parts = sections(path)
    return run_request(parts, at, move) if path.suffix == ".req" else run_response(parts, at, move)


@pytest.fixture(params=SAMPLES, ids=[f"{path.parent.name}/{path.name}" for path in SAMPLES])
def sample(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_a_sample_gives_its_events_and_forwarded_bytes(sample: Path) -> None:
    parts, result = sections(sample), run(sample)
    assert result.events == parts["events"].decode().splitlines()
    if sample.parent.name == "valid":
        assert to_text(result.output, lines=True) + "\n" == parts["forwarded"].decode()
    else:
        assert result.events[-1].startswith("ERROR")


def test_a_sample_cut_anywhere_gives_the_same(sample: Path) -> None:
    whole = run(sample)
    length = len(to_wire(sections(sample)["wire"]))
    for at in range(1, length, 1 + length // EVERY_BYTE * 37):
        assert run(sample, (at,), move=at % 2 == 0) == whole, f"cut at {at}"


def test_a_sample_byte_by_byte_gives_the_same(sample: Path) -> None:
    length = len(to_wire(sections(sample)["wire"]))
    step = 1 + length // EVERY_BYTE * 7
    assert run(sample, tuple(range(1, length, step)), move=True) == run(sample)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("valid/*.req")), ids=lambda path: path.name)
def test_what_is_forwarded_is_read_the_same_by_the_next_hop(path: Path) -> None:
    first = run(path)
    once = {"once": b""} if "once" in sections(path) else {}
    again = run_request({"wire": to_text(first.output).encode(), **once})
    assert again.output == first.output
    assert not any(event.startswith("ERROR") for event in again.events)


def test_nothing_is_forwarded_of_a_refused_head() -> None:
    for path in FOLDER.glob("invalid/*.req"):
        result = run(path)
        if not any(event.startswith("HEAD") for event in result.events):
            assert result.output == b"", path.name


def test_the_corpus_is_large_enough() -> None:
    assert len(SAMPLES) >= 150
    assert {path.suffix for path in SAMPLES} == {".req", ".res"}
