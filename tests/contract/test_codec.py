"""The contract of codecs (mosn_mp.codec.codec, mosn_mp.codec.protocol), checked over the whole catalogue.

What no protocol may do, whatever its wire looks like: fail otherwise than by an ERROR event, look at bytes that it was not given,
depend on how bytes arrive, write half a message, or go on after an error. A protocol in the catalogue adds its wire samples by
having a folder tests/wire/<name in lower case>/.
"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mosn_mp.buffer.head import Head
from mosn_mp.codec.codec import Codec
from mosn_mp.codec.driver import CodecDriver
from mosn_mp.codec.protocol import Match, PoolMode, Protocol
from mosn_mp.errors import Reason
from mosn_mp.plugin import CATALOGUE
from tests.contract.codec_kit import CLIENT, ERROR, NEED_MORE, SERVER, Forward, Nowhere, cut, sections, to_wire, transcribe

WIRE = Path(__file__).parents[1] / "wire"
PROTOCOLS = {name: CATALOGUE.resolve("codec", name) for name in CATALOGUE.names("codec")}


@pytest.fixture(params=PROTOCOLS.values(), ids=PROTOCOLS.keys())
def protocol(request: pytest.FixtureRequest) -> Protocol:
    found: Protocol = request.param
    return found


def driver(protocol: Protocol, role: int) -> CodecDriver:
    return CodecDriver(protocol.make_codec(role, protocol.make_limits(16384, 100, 1 << 20)))


def requests(protocol: Protocol, kind: str) -> list[bytes]:
    """The clients' bytes of the protocol's wire samples, `valid` or `invalid`, that are short and not closed by the client."""
    parts = [sections(path) for path in sorted((WIRE / protocol.name.lower() / kind).glob("*.req"))]
    wires = [to_wire(part["wire"]) for part in parts if "closed" not in part and "once" not in part]
    assert wires, f"{protocol.name} has no samples in tests/wire/{protocol.name.lower()}/{kind}"
    return [wire for wire in wires if len(wire) < 4000]


def test_a_protocol_says_what_it_is(protocol: Protocol) -> None:
    assert protocol.name and isinstance(protocol.pool_mode, PoolMode)
    assert isinstance(protocol.multiplexed, bool) and isinstance(protocol.movable, bool)
    assert (protocol.id_bits > 0) == (protocol.id_step > 0) == (protocol.pool_mode is PoolMode.MULTIPLEX)
    assert isinstance(protocol.make_codec(SERVER, protocol.make_limits(16384, 100, -1)), Codec)


def test_it_recognises_its_own_clients_from_a_prefix(protocol: Protocol) -> None:
    for wire in requests(protocol, "valid"):
        answers = [protocol.match(wire[:length]) for length in range(len(wire) + 1)]
        assert answers[0] is Match.AGAIN
        # once decided it stays so
        assert answers == sorted(answers) or Match.NO in answers


def test_only_one_protocol_recognises_a_client(protocol: Protocol) -> None:
    others = [other for other in PROTOCOLS.values() if other is not protocol]
    for wire in requests(protocol, "valid"):
        if protocol.match(wire) is Match.YES:
            assert not any(other.match(wire) is Match.YES for other in others)  # type: ignore[attr-defined]


def test_ids_wrap_at_the_width_of_the_wire(protocol: Protocol) -> None:
    last = (1 << protocol.id_bits) - 1
    assert 0 <= protocol.next_id(last) <= last


def test_without_bytes_there_is_no_event_and_a_close_is_clean(protocol: Protocol) -> None:
    for role in (SERVER, CLIENT):
        side = driver(protocol, role)
        assert side.next_event() == (NEED_MORE, None)
        assert side.end_of_input() == (NEED_MORE, None)


def test_messages_are_read_the_same_however_they_arrive(protocol: Protocol) -> None:
    for wire in requests(protocol, "valid") + requests(protocol, "invalid"):
        whole = transcribe(driver(protocol, SERVER), [wire], Nowhere())
        assert transcribe(driver(protocol, SERVER), cut(wire, range(1, len(wire))), Nowhere(), move=True) == whole


def test_a_forwarded_message_is_read_by_the_next_hop(protocol: Protocol) -> None:
    for wire in requests(protocol, "valid"):
        upstream = driver(protocol, CLIENT)
        transcribe(driver(protocol, SERVER), [wire], Forward(upstream, True))
        forwarded = upstream.take_output()
        again = driver(protocol, CLIENT)
        transcribe(driver(protocol, SERVER), [forwarded], Forward(again, True))
        assert again.take_output() == forwarded


def test_an_invalid_message_ends_in_an_error_that_stays(protocol: Protocol) -> None:
    for wire in requests(protocol, "invalid"):
        side = driver(protocol, SERVER)
        transcript = transcribe(side, [wire], Nowhere())
        if transcript and transcript[-1].startswith("ERROR"):
            first = side.next_event()
            side.feed(requests(protocol, "valid")[0])
            assert side.next_event() == first and first[0] == ERROR


def test_a_lost_connection_can_still_be_answered_and_is_not_kept(protocol: Protocol) -> None:
    for wire in requests(protocol, "invalid"):
        side = driver(protocol, SERVER)
        if transcribe(side, [wire], Nowhere())[-1:] != [] and side.next_event()[0] == ERROR:
            side.write_error(Reason.BAD_REQUEST)
            assert side.take_output() and not side.keep_alive


def test_a_head_needs_no_more_room_than_it_says(protocol: Protocol) -> None:
    for wire in requests(protocol, "valid")[:20]:
        side = driver(protocol, SERVER)
        side.feed(wire)
        _, head = side.next_event()
        if isinstance(head, Head):
            assert driver(protocol, CLIENT).room_needed(head, side.body_done) > 0


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_bytes_break_it(data: st.DataObject) -> None:
    protocol = data.draw(st.sampled_from(list(PROTOCOLS.values())))
    assert isinstance(protocol, Protocol)
    wire = data.draw(st.binary(max_size=200) | st.sampled_from(requests(protocol, "valid")))
    at = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=4)))
    for role in (SERVER, CLIENT):
        whole = transcribe(driver(protocol, role), [wire], Nowhere(), eof=True)
        assert transcribe(driver(protocol, role), cut(wire, at), Nowhere(), eof=True, move=True) == whole
