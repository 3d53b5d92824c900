"""What concerns a bolt connection: heartbeats, goaway, error replies, checksums, its memory; and how bolt is recognised."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosn_mp.buffer.head import Head
from mosn_mp.codec.bolt.codec import BoltCodec
from mosn_mp.codec.bolt.crc import checksum
from mosn_mp.codec.bolt.limits import BoltLimits
from mosn_mp.codec.bolt.protocol import BOLT, BOLTV2
from mosn_mp.codec.bolt.status import to_bolt
from mosn_mp.codec.driver import CodecDriver
from mosn_mp.codec.protocol import Match, PoolMode
from mosn_mp.errors import REASONS, Reason
from tests.contract.bolt_frames import (
    BEAT,
    GOAWAY,
    HEARTBEAT,
    ONE_WAY,
    RESPONSE,
    RPC_RESPONSE,
    V1,
    V2,
    V2_CRC,
    Sample,
)
from tests.contract.codec_kit import CLIENT, DATA, END, ERROR, HEAD, NEED_MORE, SERVER
from tests.contract.codec_kit import GOAWAY as EV_GOAWAY
from tests.contract.codec_kit import HEARTBEAT as EV_HEARTBEAT
from tests.contract.codec_kit import HEARTBEAT_REPLY as EV_REPLY
from tests.unit.codec.bolt_sides import driver

JAVA_TAKES = {*range(10), 16, 17, 18}


def head_of(frame: Sample) -> tuple[CodecDriver, Head]:
    """The head of a request, and the driver whose bytes it lies in."""
    side = driver(SERVER)
    side.feed(frame.wire())
    event, head = side.next_event()
    assert event == HEAD and isinstance(head, Head)
    return side, head


BEATS = {
    1: ("01 01 0000 01 00000009 01 ffffffff 0000000000000000", "01 00 0000 01 00000009 01 00000000000000000000"),
    2: ("02 01 01 0000 01 00000009 01 00 ffffffff 0000000000000000", "02 01 00 0000 01 00000009 01 00 00000000000000000000"),
}


@pytest.mark.parametrize("version", [1, 2])
def test_heartbeats_are_those_of_sofabolt(version: int) -> None:
    asks, answers = (bytes.fromhex(text) for text in BEATS[version])
    client, server = driver(CLIENT, version), driver(SERVER, version)
    client.stream_id = 9
    client.write_heartbeat()
    assert client.take_output() == asks and len(asks) == 18 + 2 * version + 2
    server.feed(asks)
    assert server.next_event() == (EV_HEARTBEAT, 9)
    server.write_heartbeat_reply()
    assert (reply := server.take_output()) == answers and len(answers) == 18 + 2 * version
    client.feed(reply)
    assert client.next_event() == (EV_REPLY, 9)


def test_a_heartbeat_is_answered_in_its_own_form_on_any_connection() -> None:
    side = driver(SERVER)
    side.feed(V1.wire())
    while side.next_event()[0] != NEED_MORE:
        pass
    for beat in (BEAT, BEAT._replace(code=2), BEAT._replace(code=2, ver1=2), BEAT._replace(type=ONE_WAY)):
        side.feed(beat.wire())
        assert side.next_event() == (EV_HEARTBEAT, 9)
        side.write_heartbeat_reply()
        answer = Sample(type=RESPONSE, command=HEARTBEAT, id=9, code=beat.code, ver1=beat.ver1)
        assert side.take_output() == answer.wire()


def test_goaway_is_sent_only_where_it_is_configured() -> None:
    with pytest.raises(NotImplementedError):
        driver(SERVER).write_goaway()
    side, client = driver(SERVER, goaway=True), driver(CLIENT)
    side.stream_id = 3
    side.write_goaway()
    frame = side.take_output()
    assert frame == Sample(command=GOAWAY, id=3, timeout=-1).wire()
    client.feed(frame)
    assert client.next_event() == (EV_GOAWAY, 3)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.NONE])
def test_every_reason_has_a_reply_that_a_java_client_takes(reason: Reason) -> None:
    side = driver(SERVER)
    side.stream_id = 11
    side.write_error(reason)
    frame = side.take_output()
    status = struct.unpack(">H", frame[10:12])[0]
    assert status in JAVA_TAKES and status != 0 and status == to_bolt(REASONS[reason].status)
    assert frame == Sample(type=RESPONSE, command=RPC_RESPONSE, id=11, status=status).wire()


@pytest.mark.parametrize(
    ("http", "bolt"), [(200, 0), (404, 6), (502, 6), (503, 4), (504, 7), (403, 2), (400, 9), (429, 3), (500, 3)]
)
def test_http_statuses_are_mapped_as_mosn_does(http: int, bolt: int) -> None:
    assert to_bolt(http) == bolt


def test_a_client_makes_no_error_replies() -> None:
    with pytest.raises(NotImplementedError):
        driver(CLIENT).write_error(Reason.INTERNAL)


def test_the_state_word_carries_the_form_of_the_first_frame() -> None:
    side = driver(SERVER)
    assert side.state_word == 0
    side.feed(V2_CRC.wire() + V1.wire())
    while side.next_event()[0] != NEED_MORE:
        pass
    word = side.state_word
    side.restore(0)
    assert side.state_word == 0
    side.restore(word)
    side.stream_id = 1
    side.write_error(Reason.INTERNAL)
    assert side.take_output()[:2] == b"\x02\x02"


def test_a_codec_that_failed_serves_another_connection_after_restore() -> None:
    side = driver(SERVER)
    side.feed(b"\x05")
    assert side.next_event()[0] == ERROR
    side.move_input(0)
    fresh = CodecDriver(side.codec)
    fresh.restore(0)
    fresh.feed(V1.wire())
    assert fresh.next_event()[0] == HEAD and fresh.keep_alive


def test_each_form_has_a_pool_of_its_own() -> None:
    words = set()
    for frame in (V1, V2, V2_CRC):
        side, head = head_of(frame)
        words.add(driver(CLIENT).pool_word(head))
        assert BOLT.pool_key(head) == BOLTV2.pool_key(head) == driver(CLIENT).pool_word(head).to_bytes(2, "big")
        assert side.stream_id == 7
    assert len(words) == 3
    assert driver(CLIENT, 1).pool_word(Head()) == 0x100 and driver(CLIENT, 2).pool_word(Head()) == 0x201
    assert BOLT.pool_key(Head()) == b"\1\0" and BOLTV2.pool_key(Head()) == b"\2\1"


# --- checksums ----------------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_the_checksum_is_zlibs(first: bytes, second: bytes) -> None:
    assert checksum(first + second) == zlib.crc32(first + second)


def test_nothing_of_a_frame_with_a_wrong_checksum_is_complete() -> None:
    for content in (b"", b"x", b"x" * 3000, b"x" * 100_000):
        wire = V2_CRC._replace(content=content, crc=1).wire()
        for step in (1 << 20, 1000):
            side, seen, last = driver(SERVER), 0, (NEED_MORE, None)
            for at in range(0, len(wire), step):
                side.feed(wire[at : at + step])
                while (last := side.next_event())[0] not in (NEED_MORE, ERROR):
                    assert not side.body_done
                    seen += len(last[1]) if isinstance(last[1], bytes) else 0
            assert last == (ERROR, (Reason.BAD_REQUEST, b"wrong checksum"))
            assert seen < max(len(content), 1)


def test_the_begin_of_content_that_nothing_can_hold_is_given_out_before_it_is_verified() -> None:
    wire = V2_CRC._replace(content=b"x" * 5000).wire()
    side = driver(SERVER)
    side.feed(wire[:-4])
    assert side.next_event()[0] == HEAD
    event, piece = side.next_event()
    assert event == DATA and isinstance(piece, bytes) and len(piece) == 5000 - 2048
    assert side.next_event() == (NEED_MORE, None)
    side.feed(wire[-4:])
    assert [event for event, _ in (side.next_event(), side.next_event())] == [DATA, END]


# --- the protocols ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [V1, V1._replace(type=ONE_WAY), BEAT, Sample(type=RESPONSE, command=HEARTBEAT)])
def test_a_client_is_recognised_by_five_bytes_or_six(frame: Sample) -> None:
    for own, other, code in ((BOLT, BOLTV2, 1), (BOLTV2, BOLT, 2)):
        wire = frame._replace(code=code).wire()
        assert [own.match(wire[:n]) for n in range(4 + code)] == [Match.AGAIN] * (4 + code)
        assert own.match(wire[: 4 + code]) is own.match(wire) is Match.YES
        assert other.match(wire[:1]) is other.match(wire) is Match.NO


@pytest.mark.parametrize(
    "first",
    [b"G", b"\x16\x03\x01", b"\xda\xbb", b"\1\3", b"\1\1\1", b"\1\1\0\3", b"\1\1\0\1\0", b"\2\0", b"\2\3", b"\2\1\3", b"\0"],
)
def test_others_are_not(first: bytes) -> None:
    assert BOLT.match(first) is BOLTV2.match(first) is Match.NO


def test_many_streams_share_a_connection() -> None:
    for protocol in (BOLT, BOLTV2):
        assert protocol.pool_mode is PoolMode.MULTIPLEX and protocol.multiplexed and protocol.movable
        assert protocol.next_id(0xFFFFFFFF) == 0


def test_limits_follow_from_those_of_all_protocols() -> None:
    assert BOLT.make_limits().max_frame == 8 << 20
    limits = BOLT.make_limits(1000, 5, 2000, goaway=True)
    assert (limits.max_frame, limits.max_head_bytes, limits.max_fields, limits.goaway) == (3000, 1000, 5, True)
    assert BOLT.make_limits(1 << 20, 5, 1 << 40).max_frame == 0x7FFFFFFF
    with pytest.raises(TypeError, match="BoltLimits, not object"):
        BOLT.make_codec(SERVER, object())
    with pytest.raises(ValueError, match="versions 1 and 2"):
        BoltCodec(SERVER, BoltLimits(), 3)
