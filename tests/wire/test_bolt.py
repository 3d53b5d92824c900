"""Wire samples of bolt v1 and v2: frames in, events, forwarded frames and answers out, whole and cut at every byte.

A sample is a file tests/wire/{bolt,boltv2}/{valid,invalid}/NAME.req (a client's bytes) or NAME.res (a server's), in the form that
test_http1.py tells; folder boltv2 has the connections whose first frame is v2. Its parts:

    --- closed      present: the sender closes behind the last byte
    --- wire        the bytes, a line each for fixed part, class, header block, content and checksum
    --- events      what the codec reports, with the stream of each head
    --- forwarded   valid only: what the codec of the other side writes, with ids of its own from 1001 on
    --- answers     present if there are heartbeats: what the codec itself answers
"""

from pathlib import Path

import pytest

from mosn_mp.codec.bolt.codec import BoltCodec
from mosn_mp.codec.bolt.limits import BoltLimits
from mosn_mp.codec.driver import CodecDriver
from tests.contract.codec_kit import CLIENT, SERVER, Forward, Result, cut, sections, to_wire, transcribe

SAMPLES = sorted(Path(__file__).parent.glob("bolt*/*valid/*.re[qs]"))
LIMITS = BoltLimits(max_frame=4096, max_head_bytes=2048, max_fields=8)
FIRST_ID = 1001


def run(path: Path, at: tuple[int, ...] = (), move: bool = False) -> Result:
    """The sample's bytes through a proxy."""
    parts = sections(path)
    version = 2 if path.parents[1].name == "boltv2" else 1
    roles = (SERVER, CLIENT) if path.suffix == ".req" else (CLIENT, SERVER)
    reader, writer = (CodecDriver(BoltCodec(role, LIMITS, version)) for role in roles)
    pieces = cut(to_wire(parts["wire"]), at)
    events = transcribe(reader, pieces, Forward(writer, True, FIRST_ID), eof="closed" in parts, move=move, with_ids=True)
    return Result(events, writer.take_output(), reader.take_output())


@pytest.fixture(params=SAMPLES, ids=[f"{path.parents[1].name}/{path.parent.name}/{path.name}" for path in SAMPLES])
def sample(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_a_sample_gives_its_events_frames_and_answers(sample: Path) -> None:
    parts, result = sections(sample), run(sample)
    assert result.events == parts["events"].decode().splitlines()
    assert result.answers == to_wire(parts.get("answers", b""))
    if sample.parent.name == "valid":
        assert result.output == to_wire(parts["forwarded"])
    else:
        assert result.events[-1].startswith("ERROR")


def test_a_sample_cut_anywhere_gives_the_same(sample: Path) -> None:
    whole = run(sample)
    for at in range(1, len(to_wire(sections(sample)["wire"]))):
        assert run(sample, (at,), move=at % 2 == 0) == whole, f"cut at {at}"


def test_a_sample_byte_by_byte_gives_the_same(sample: Path) -> None:
    length = len(to_wire(sections(sample)["wire"]))
    assert run(sample, tuple(range(1, length)), move=True) == run(sample)


def test_a_forwarded_sample_is_forwarded_by_the_next_hop(sample: Path) -> None:
    first = run(sample)
    roles = (SERVER, CLIENT) if sample.suffix == ".req" else (CLIENT, SERVER)
    reader, writer = (CodecDriver(BoltCodec(role, LIMITS)) for role in roles)
    if sample.parent.name == "valid":
        events = transcribe(reader, [first.output], Forward(writer, True, FIRST_ID))
        assert writer.take_output() == first.output
        assert not any(event.startswith("ERROR") for event in events)


def test_the_corpus_is_large_enough() -> None:
    assert len(SAMPLES) >= 100
