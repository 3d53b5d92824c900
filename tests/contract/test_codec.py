"""The contract of codecs (mosn_mp.codec.codec, mosn_mp.codec.protocol), checked over the whole catalogue.

What no protocol may do, whatever its wire looks like: fail otherwise than by an ERROR event, look at bytes that it was not given,
depend on how bytes arrive, write half a message, or go on after an error. A protocol in the catalogue adds its wire samples by
having a folder tests/wire/<name in lower case>/. Those that carry many streams at a time have more to keep: ids, signals, answers
in any order, errors of one stream.

One piece: all that one codec has to keep, in one list.
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
from tests.contract.codec_kit import (
    CLIENT,
    END,
    ERROR,
    GOAWAY,
    HEAD,
    HEARTBEAT,
    HEARTBEAT_REPLY,
    NEED_MORE,
    SERVER,
    SIGNALS,
    Forward,
    Nowhere,
    Transcript,
    cut,
    sections,
    to_wire,
    transcribe,
)
from tests.contract.examples import SERIAL, SESSION, X_EXAMPLE

WIRE = Path(__file__).parents[1] / "wire"
BUILT_IN = {name: CATALOGUE.resolve("codec", name) for name in CATALOGUE.names("codec")}
PROTOCOLS = BUILT_IN | {"x_example": X_EXAMPLE, "serial": SERIAL, "session": SESSION}
MULTIPLEXED = {name: found for name, found in PROTOCOLS.items() if isinstance(found, Protocol) and found.multiplexed}


@pytest.fixture(params=PROTOCOLS.values(), ids=PROTOCOLS.keys())
def protocol(request: pytest.FixtureRequest) -> Protocol:
    found: Protocol = request.param
    return found


@pytest.fixture(params=MULTIPLEXED.values(), ids=MULTIPLEXED.keys())
def multiplexed(request: pytest.FixtureRequest) -> Protocol:
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
        transcribe(driver(protocol, SERVER), [wire], Forward(upstream, True, 1))
        forwarded = upstream.take_output()
        again = driver(protocol, CLIENT)
        transcribe(driver(protocol, SERVER), [forwarded], Forward(again, True, 1))
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


@settings(max_examples=200)
@given(data=st.data())
def test_no_bytes_break_it(data: st.DataObject) -> None:
    protocol = data.draw(st.sampled_from(list(PROTOCOLS.values())))
    assert isinstance(protocol, Protocol)
    wire = data.draw(st.binary(max_size=200) | st.sampled_from(requests(protocol, "valid")))
    at = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=4)))
    for role in (SERVER, CLIENT):
        whole = transcribe(driver(protocol, role), [wire], Nowhere(), eof=True)
        assert transcribe(driver(protocol, role), cut(wire, at), Nowhere(), eof=True, move=True) == whole


def settled(protocol: Protocol, wire: bytes) -> tuple[list[str], int, int]:
    """What a codec says of *wire*, as far as its last message that is there as a whole; its end, and the codec's state there."""
    side = driver(protocol, SERVER)
    transcript = Transcript(side, Nowhere())
    lines: list[str] = []
    end = 0
    side.feed(wire)
    while (found := side.next_event())[0] != NEED_MORE:
        transcript.note(*found)
        assert found[0] != ERROR
        if found[0] in SIGNALS or found[0] == END:
            transcript.flush()
            lines, end = list(transcript.lines), len(wire) - len(side.unread)
            side.begin_message()
    return lines, end, side.state_word


def test_a_message_that_has_not_come_as_a_whole_is_read_anew(protocol: Protocol) -> None:
    for wire in requests(protocol, "valid"):
        whole = transcribe(driver(protocol, SERVER), [wire], Nowhere())
        if "TRAILERS" in whole:
            continue
        for at in range(len(wire)):
            lines, end, word = settled(protocol, wire[:at])
            anew = driver(protocol, SERVER)
            anew.restore(word)
            assert lines + transcribe(anew, [wire[end:]], Nowhere()) == whole


# --- protocols that carry many streams at a time ------------------------------------------------------------------------------


def plain_request(path: str) -> Head:
    """A request of no protocol."""
    head = Head()
    head.method, head.path = "POST", path
    return head


def ask(client: CodecDriver, stream_ids: list[int]) -> bytes:
    """Requests of these streams."""
    for stream_id in stream_ids:
        client.stream_id = stream_id
        client.write_head(plain_request(f"/{stream_id}"), True)
        client.write_end()
    return client.take_output()


def streams(side: CodecDriver) -> list[tuple[int, int]]:
    """(event, its stream) of all that is there but DATA."""
    seen = []
    while True:
        event, shown = side.next_event()
        if event in (NEED_MORE, ERROR):
            assert event == NEED_MORE, shown
            return seen
        if event in (HEAD, END):
            seen.append((event, side.stream_id))


def test_every_message_says_its_stream(multiplexed: Protocol) -> None:
    client, server = driver(multiplexed, CLIENT), driver(multiplexed, SERVER)
    largest = (1 << multiplexed.id_bits) - 1
    server.feed(ask(client, [1, 2, largest]))
    assert streams(server) == [(event, stream) for stream in (1, 2, largest) for event in (HEAD, END)]


def test_responses_come_in_any_order(multiplexed: Protocol) -> None:
    client, server = driver(multiplexed, CLIENT), driver(multiplexed, SERVER)
    server.feed(ask(client, [1, 2, 3]))
    streams(server)
    for stream in (3, 1, 2):
        server.stream_id = stream
        server.write_message(200, [], b"answer")
    client.feed(server.take_output())
    assert streams(client) == [(event, stream) for stream in (3, 1, 2) for event in (HEAD, END)]
    assert client.keep_alive and server.keep_alive


def test_the_begin_of_a_message_disturbs_no_reading(multiplexed: Protocol) -> None:
    client, server = driver(multiplexed, CLIENT), driver(multiplexed, SERVER)
    wire = ask(client, [1, 2])
    for at in range(1, len(wire)):
        server.feed(wire[at - 1 : at])
        server.begin_message()
        while server.next_event()[0] not in (NEED_MORE, ERROR):
            server.begin_message()
    server.feed(wire[-1:])
    assert [event for event, _ in streams(server)][-1:] == [END] and server.stream_id == 2


def test_an_error_concerns_its_stream_only(multiplexed: Protocol) -> None:
    client, server = driver(multiplexed, CLIENT), driver(multiplexed, SERVER)
    server.feed(ask(client, [5]))
    streams(server)
    for reason in Reason:
        if reason is Reason.NONE:
            continue
        server.stream_id = 1000 + reason
        server.write_error(reason)
        client.feed(server.take_output())
        event, head = client.next_event()
        assert event == HEAD and isinstance(head, Head) and head.status >= 400 and client.stream_id == 1000 + reason
        assert client.pull()[-1] == (END, None) and client.keep_alive


def test_a_heartbeat_is_answered(multiplexed: Protocol) -> None:
    client, server = driver(multiplexed, CLIENT), driver(multiplexed, SERVER)
    for asking, asked in ((client, server), (server, client)):
        asking.stream_id = 77
        try:
            asking.write_heartbeat()
        except NotImplementedError:
            continue
        asked.feed(asking.take_output())
        assert asked.next_event() == (HEARTBEAT, 77)
        asked.write_heartbeat_reply()
        asking.feed(asked.take_output())
        assert asking.next_event() == (HEARTBEAT_REPLY, 77)
        assert asking.next_event() == asked.next_event() == (NEED_MORE, None)


def test_a_goaway_is_understood_where_there_is_one(multiplexed: Protocol) -> None:
    client, server = driver(multiplexed, CLIENT), driver(multiplexed, SERVER)
    try:
        server.write_goaway()
    except NotImplementedError:
        assert server.take_output() == b""
        return
    client.feed(server.take_output())
    assert client.next_event()[0] == GOAWAY and client.next_event() == (NEED_MORE, None)


def test_a_connection_moves_to_another_codec_between_messages(multiplexed: Protocol) -> None:
    for wire in requests(multiplexed, "valid"):
        before, after = driver(multiplexed, SERVER), driver(multiplexed, SERVER)
        transcribe(before, [wire], Nowhere())
        before.take_output()
        after.restore(before.state_word)
        assert after.state_word == before.state_word
        for side in (before, after):
            side.stream_id = 3
            side.write_error(Reason.INTERNAL)
        assert after.take_output() == before.take_output()
        assert transcribe(after, [wire], Nowhere(), with_ids=True) == transcribe(before, [wire], Nowhere(), with_ids=True)
