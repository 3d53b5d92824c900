"""Protocols in plain Python: what the bridge makes of them, and what their mistakes cost."""

import re
from collections.abc import Callable

import pytest

from mosn_mp.buffer.head import Head
from mosn_mp.codec.bridge import bridge
from mosn_mp.codec.driver import CodecDriver, facts
from mosn_mp.codec.protocol import Match, PoolMode
from mosn_mp.codec.python_protocol import (
    REQUEST,
    RESPONSE,
    Frame,
)
from mosn_mp.errors import Reason
from tests.contract.codec_kit import CLIENT, DATA, END, ERROR, HEAD, NEED_MORE, SERVER
from tests.unit.codec.lines_protocol import error_of, made, side


def test_a_request_has_the_pseudo_headers_of_its_service() -> None:
    reader = side(made())
    reader.feed(b"!req 7 3 service=pay method=now a=b\nabc")
    event, head = reader.next_event()
    assert event == HEAD and isinstance(head, Head)
    assert (head.method, head.path, head.authority, head.status) == (b"POST", b"/pay/now", b"", 0)
    assert head.items() == [(b"service", b"pay"), (b"method", b"now"), (b"a", b"b")]
    assert facts(head).content_length == 3 and not reader.body_done
    assert reader.next_event() == (DATA, b"abc") and reader.body_done
    assert reader.next_event() == (END, None) and reader.next_event() == (NEED_MORE, None)


def test_pseudo_headers_may_be_named() -> None:
    reader = side(made())
    reader.feed(b"!req 7 0 x-mosn-method=GET x-mosn-path=/a?b x-mosn-host=h:1 service=s\n")
    _, head = reader.next_event()
    assert isinstance(head, Head)
    assert (head.method, head.path, head.authority) == (b"GET", b"/a?b", b"h:1")


def test_a_response_has_the_status_that_decode_gave() -> None:
    reader = side(made(), CLIENT)
    reader.feed(b"!res 7 0 status=bad\n")
    _, head = reader.next_event()
    assert isinstance(head, Head) and head.status == 500 and reader.body_done


def test_a_body_comes_in_pieces_as_it_arrives() -> None:
    reader = side(made())
    reader.feed(b"!req 7 300000\n")
    assert reader.next_event()[0] == HEAD and reader.next_event() == (NEED_MORE, None)
    for size in (65536, 1, 200000):
        reader.feed(b"z" * size)
        assert reader.next_event() == (DATA, b"z" * size)
    reader.feed(b"z" * 34463 + b"!req 8 0\n")
    assert reader.next_event() == (DATA, b"z" * 34463)
    assert [reader.next_event()[0] for _ in range(3)] == [END, HEAD, END]


def test_a_head_longer_than_the_first_look_is_found() -> None:
    reader = side(made())
    reader.feed(b"!req 7 1 " + b"a=" + b"v" * 9000 + b"\nb")
    _, head = reader.next_event()
    assert isinstance(head, Head) and head.get("a") == b"v" * 9000


@pytest.mark.parametrize(("word", "event"), [(b"hb", 5), (b"bye", 6), (b"ack", 9)])
def test_other_frames_are_events_and_their_bodies_are_passed_over(word: bytes, event: int) -> None:
    reader = side(made())
    reader.feed(b"!%s 9 5\nab" % word)
    assert reader.next_event() == (NEED_MORE, None)
    reader.feed(b"cde!one 7 0\n")
    assert reader.next_event() == (event, 9) and reader.next_event()[0] == HEAD


def test_a_signal_with_a_body_longer_than_a_head_may_be_is_refused() -> None:
    reader = side(made())
    reader.feed(b"!hb 9 70000\n")
    assert reader.next_event()[0] == ERROR


def test_an_untouched_head_is_written_without_encode_where_the_place_of_the_id_is_known() -> None:
    protocol = made(encode=None, id_at=5, id_bits=8)
    reader, writer = side(protocol), side(protocol, CLIENT)
    reader.feed(b"!req 7 2 a=b\nhi")
    _, head = reader.next_event()
    writer.write_head(head)
    assert writer.take_output() == b"!req \x00 2 a=b\n"


def test_an_edited_head_is_written_by_encode() -> None:
    reader, writer = side(made(id_at=5, id_bits=8)), side(made(id_at=5, id_bits=8), CLIENT)
    reader.feed(b"!req 7 2 a=b drop=me\nhi")
    _, head = reader.next_event()
    assert isinstance(head, Head)
    head.set("a", "c")
    head.remove("drop")
    writer.write_head(head)
    assert writer.take_output() == b"!req 0 2 a=c\n"


def test_a_head_of_another_protocol_is_written_with_its_pseudo_headers() -> None:
    head, writer = Head(), side(made(), CLIENT)
    head.method, head.path, head.authority = "PUT", "/a", "h"
    head.add("a", "b")
    writer.write_head(head, True)
    assert writer.take_output() == b"!req 0 0 a=b x-mosn-method=PUT x-mosn-path=/a x-mosn-host=h\n"


def test_a_local_reply_is_a_response_with_the_status_of_its_reason() -> None:
    writer = side(made())
    writer.write_error(Reason.NO_ROUTE)
    assert writer.take_output() == b"!res 0 0 status=bad\n"


def test_a_body_must_be_as_long_as_its_head_says() -> None:
    reader, writer = side(made()), side(made(), CLIENT)
    reader.feed(b"!req 7 2\nhi")
    _, head = reader.next_event()
    writer.write_head(head)
    with pytest.raises(ValueError, match="longer than its head says by 1"):
        writer.write_data(b"abc")
    with pytest.raises(ValueError, match="shorter than its head says by 2"):
        writer.write_end()
    writer.write_data(b"hi")
    writer.write_end()


@pytest.mark.parametrize(
    ("decode", "wire", "reason", "problem"),
    [
        (lambda data: 1 // 0, b"!", Reason.BAD_REQUEST, r"decode: ZeroDivisionError: .* \(test_python_protocol.py:\d+\)"),
        (lambda data: "text", b"!", Reason.BAD_REQUEST, "decode: TypeError: .*str.*Frame"),
        (lambda data: Frame(REQUEST, -1, 1), b"!", Reason.BAD_REQUEST, "decode: OverflowError"),
        (lambda data: Frame(REQUEST, 0, 0), b"!", Reason.INTERNAL, "decode: a head of 0 bytes in 1"),
        (lambda data: Frame(REQUEST, 0, 2), b"!", Reason.INTERNAL, "decode: a head of 2 bytes in 1"),
        (lambda data: Frame(REQUEST, 0, 1, -1), b"!", Reason.INTERNAL, "decode: a body of -1 bytes"),
        (lambda data: Frame(REQUEST, 1 << 32, 1), b"!", Reason.INTERNAL, "decode: the id 4294967296 has more than 32 bits"),
        (lambda data: Frame(9, 0, 1), b"!", Reason.INTERNAL, "decode: there is no kind 9"),
        (lambda data: Frame(REQUEST, 0, 1, 1 << 40), b"!", Reason.BODY_TOO_LARGE, r"a frame of 1099511627777 bytes .*limit"),
        (lambda data: Frame(REQUEST, 0, 1, 0, 200, [("a\r\nb", "c")]), b"!", Reason.BAD_REQUEST, "decode: ValueError.*header"),
        (
            lambda data: Frame(REQUEST, 0, 1, 0, 200, [("a", "b\r\nc: d")]),
            b"!",
            Reason.BAD_REQUEST,
            "decode: ValueError.*control",
        ),
        (lambda data: Frame(REQUEST, 0, 1, 0, 200, [("a", "b")] * 101), b"!", Reason.BAD_REQUEST, "more than 100 headers"),
        (lambda data: Frame(REQUEST, 0, 1, 0, 200, 5), b"!", Reason.BAD_REQUEST, "decode: TypeError"),
        (lambda data: Frame(RESPONSE, 0, 1), b"!", Reason.BAD_REQUEST, "a request where a response belongs"),
        (lambda data: None, b"z" * 16384, Reason.HEAD_TOO_LARGE, "decode: no frame in 16384 bytes"),
    ],
)
def test_a_mistake_of_decode_costs_its_connection(
    decode: Callable[[bytes], object], wire: bytes, reason: Reason, problem: str
) -> None:
    found, text = error_of(made(decode), wire)
    assert found is reason and re.search(problem, text), text


def test_mistakes_are_logged_but_not_each_of_many(caplog: pytest.LogCaptureFixture) -> None:
    protocol = made(lambda data: 1 // 0)
    limits = protocol.make_limits()
    for _ in range(10):
        reader = CodecDriver(protocol.make_codec(SERVER, limits))
        reader.feed(b"!")
        assert reader.next_event()[0] == ERROR
    assert [record.getMessage().rpartition("(")[2] for record in caplog.records] == [f"{n} so far)" for n in (1, 2, 4, 8)]
    assert caplog.records[0].getMessage().startswith("protocol lines: decode: ZeroDivisionError: ")


def test_whatever_a_server_does_wrong_is_the_upstreams() -> None:
    assert error_of(made(lambda data: 1 // 0), b"!", CLIENT)[0] is Reason.UPSTREAM_PROTOCOL
    assert error_of(made(), b"!req 1 0\n", CLIENT)[0] is Reason.UPSTREAM_PROTOCOL


def test_a_status_that_is_none_is_refused() -> None:
    assert "999 is no status" in error_of(made(lambda data: Frame(RESPONSE, 0, 1, 0, 999)), b"!", CLIENT)[1]


@pytest.mark.parametrize("encode", [lambda self, frame: 1 // 0, lambda self, frame: None, lambda self, frame: "text"])
def test_what_encode_cannot_write_is_unsupported_and_the_connection_goes_on(encode: object) -> None:
    writer = side(made(encode=encode))
    with pytest.raises(NotImplementedError):
        writer.write_message(200, [], b"body")
    assert writer.take_output() == b"" and writer.keep_alive


def test_a_mistake_of_encode_is_logged_and_a_frame_that_there_is_not_is_none(caplog: pytest.LogCaptureFixture) -> None:
    for encode in (lambda self, frame: None, lambda self, frame: 1 // 0):
        with pytest.raises(NotImplementedError):
            side(made(encode=encode)).write_heartbeat()
    (record,) = caplog.records
    assert "protocol lines: encode: ZeroDivisionError" in record.getMessage()


def test_encode_may_not_write_more_than_there_will_ever_be_room_for() -> None:
    writer = side(made(encode=lambda self, frame: b"z" * 100_000))
    with pytest.raises(NotImplementedError):
        writer.write_message(200, [], b"")
    assert writer.take_output() == b""


def test_a_body_of_unknown_length_is_unsupported() -> None:
    head, writer = Head(), side(made())
    head.status = 200
    with pytest.raises(NotImplementedError):
        writer.write_head(head)


def test_a_close_inside_a_frame_is_an_error() -> None:
    for wire in (b"!re", b"!req 7 3\nab"):
        reader = side(made())
        reader.feed(wire)
        reader.pull()
        assert reader.end_of_input() == (ERROR, (Reason.BAD_REQUEST, b"connection closed inside a frame"))


def test_a_client_is_known_by_its_magic() -> None:
    protocol = made(magic=b"!re")
    assert [protocol.match(first) for first in (b"", b"!", b"!re", b"!req", b"!x")] == [
        Match.AGAIN,
        Match.AGAIN,
        Match.YES,
        Match.YES,
        Match.NO,
    ]


def test_a_match_that_fails_does_not_match(caplog: pytest.LogCaptureFixture) -> None:
    protocol = made(match=lambda self, first_bytes: first_bytes[9])
    assert protocol.match(b"!") is Match.NO
    assert "lines: match: IndexError" in caplog.text


def test_a_ping_pong_protocol_has_no_ids() -> None:
    protocol = made(lambda data: Frame(REQUEST, 0, 1), pool_mode=PoolMode.PING_PONG)
    assert (protocol.id_bits, protocol.id_step, protocol.multiplexed) == (0, 0, False)
    assert "has more than 0 bits" in error_of(made(lambda data: Frame(REQUEST, 1, 1), pool_mode=PoolMode.PING_PONG), b"!")[1]


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"name": ""}, "name is ''"),
        ({"name": "a,b"}, "name is 'a,b'"),
        ({"pool_mode": "multiplex"}, "pool_mode is 'multiplex'"),
        ({"id_bits": 12}, "id_bits is 12; expected one of 8, 16, 32, 64"),
        ({"id_at": "3"}, "id_at is '3'"),
        ({"max_frame": 0}, "max_frame is 0; expected 1 to"),
    ],
)
def test_what_a_protocol_says_of_itself_is_checked(attributes: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        made(**attributes)


def test_only_protocols_can_be_bridged() -> None:
    with pytest.raises(ValueError, match="f makes int, which is not a PythonProtocol"):
        bridge(5, "f")
