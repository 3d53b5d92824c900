"""The frames of the tests' own bolt library, against bytes written down by hand."""

import pytest

from tests.rpc.wire import (
    GOAWAY,
    ONE_WAY,
    RESPONSE,
    Frame,
    Reader,
    WireError,
    goaway,
    heartbeat,
    heartbeat_reply,
    request,
    response,
    without_id,
)

V2 = {"protocol": 2}
CRC = {"protocol": 2, "ver1": 2, "switch": 1}
KINDS = pytest.mark.parametrize("kind", [{}, V2, {**V2, "switch": 1}, CRC], ids=["v1", "v2", "v2 ver1=1 switch=1", "v2 with crc"])


def read(raw: bytes) -> Frame:
    frames = Reader().feed(raw)
    assert len(frames) == 1
    return frames[0]


def test_heartbeats_have_the_bytes_that_java_sends() -> None:
    id_ = "0000002a"
    assert heartbeat(42).encode().hex() == "0101000001" + id_ + "01ffffffff" + "00" * 8
    assert heartbeat_reply(heartbeat(42)).encode().hex() == "0100000001" + id_ + "01" + "00" * 10
    assert heartbeat(42, 2, 2).encode().hex() == "020201000001" + id_ + "0100ffffffff" + "00" * 8
    assert len(heartbeat_reply(heartbeat(42, 2)).encode()) == 22


def test_a_request_is_laid_out_as_the_reference_says() -> None:
    frame = Frame(id=7, timeout_ms=3000, class_name=b"C", fields=[(b"k", b"v"), (b"n", None)], content=b"xyz")
    block = "00000001" + "6b" + "00000001" + "76" + "00000001" + "6e" + "ffffffff"
    fixed = "0101000101" + "00000007" + "01" + "00000bb8" + "0001" + "0013" + "00000003"
    assert frame.encode().hex() == fixed + "43" + block + "78797a"


@KINDS
def test_a_frame_is_read_back_as_it_was_written(kind: dict[str, int]) -> None:
    sent = request(77, b"body", [(b"empty", b""), (b"null", None), (b"twice", b"1"), (b"twice", b"2")], **kind)
    assert read(sent.encode()) == sent
    answer = response(sent, b"answer", status=7)
    assert read(answer.encode()) == answer
    assert answer.id == 77


@KINDS
def test_frames_cut_at_every_byte_are_the_same_frames(kind: dict[str, int]) -> None:
    one_way = request(2, b"b", kind=ONE_WAY, timeout_ms=-1, **kind)
    sent = [request(1, b"a", **kind), response(request(1), **kind), one_way, goaway(3)]
    raw = b"".join(frame.encode() for frame in sent)
    for cut in range(len(raw)):
        reader = Reader()
        assert reader.feed(raw[:cut]) + reader.feed(raw[cut:]) == sent


def test_a_goaway_is_a_request_with_command_100() -> None:
    assert goaway().encode()[1:4] == bytes([1, 0, GOAWAY])


def test_a_wrong_crc_is_refused() -> None:
    raw = bytearray(request(1, b"body", **CRC).encode())
    raw[-5] ^= 1
    with pytest.raises(WireError, match="wrong CRC"):
        Reader().feed(bytes(raw))


@pytest.mark.parametrize("raw", [b"\x03", b"\x01\x03", b"\x01\x01\x00\x01\x01\x00\x00\x00\x01\x01" + b"\xff" * 12])
def test_bytes_that_are_no_frame_are_refused(raw: bytes) -> None:
    with pytest.raises(WireError):
        Reader().feed(raw)


@KINDS
def test_what_differs_by_the_id_alone_is_equal_without_it(kind: dict[str, int]) -> None:
    assert without_id(request(1, b"x", **kind).encode()) == without_id(request(99, b"x", **kind).encode())
    assert without_id(request(1, b"x", **kind).encode()) != without_id(request(1, b"y", **kind).encode())


def test_an_answer_has_the_kind_response() -> None:
    assert response(request(1)).kind == RESPONSE
