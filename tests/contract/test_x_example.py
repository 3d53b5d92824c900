"""What docs/examples/x_example.py makes of frames; the contract of all codecs (test_codec.py) is held to it as well."""

from mosn_mp.buffer.head import Head
from mosn_mp.codec.driver import CodecDriver
from mosn_mp.codec.protocol import Match, PoolMode
from tests.contract.codec_kit import CLIENT, DATA, END, ERROR, HEAD, SERVER, Forward, transcribe
from tests.contract.examples import FOLDER, X_EXAMPLE

FILE = FOLDER / "x_example.py"


def side(role: int) -> CodecDriver:
    return CodecDriver(X_EXAMPLE.make_codec(role, X_EXAMPLE.make_limits(16384, 100, 1 << 20)))


def test_it_has_at_most_sixty_lines_that_nothing_compiles() -> None:
    assert len(FILE.read_text().splitlines()) <= 60
    assert not FILE.with_suffix(".pxd").exists()


def test_it_is_a_multiplexed_protocol() -> None:
    assert (X_EXAMPLE.name, X_EXAMPLE.pool_mode, X_EXAMPLE.id_bits) == ("x_example", PoolMode.MULTIPLEX, 32)
    assert X_EXAMPLE.next_id(0xFFFFFFFF) == 0
    assert [X_EXAMPLE.match(first) for first in (b"", b"x\x01", b"GET /")] == [Match.AGAIN, Match.YES, Match.NO]


def test_a_request_and_its_response_pass_a_proxy_but_for_the_id() -> None:
    towards_client, towards_server = side(SERVER), side(CLIENT)
    transcribe(towards_client, [b"x\x01\0\0\0\0\x07\0\0\0\x05hello"], Forward(towards_server, True, 258))
    assert towards_server.take_output() == b"x\x01\0\0\0\x01\x02\0\0\0\x05hello"
    answer = b"x\x01\x01\0\0\0\0\0\x01\0\0\0\x03bad"
    assert transcribe(towards_server, [answer], Forward(towards_client, False))[0].startswith("HEAD 500")
    assert towards_client.take_output() == b"x\x01\x01\0\0\0\x07\0\x01\0\0\0\x03bad"


def test_an_edited_request_is_encoded_again() -> None:
    towards_client, towards_server = side(SERVER), side(CLIENT)
    towards_client.feed(b"x\x01\0\0\0\0\x07\0\0\0\x02hi")
    event, head = towards_client.next_event()
    assert event == HEAD and isinstance(head, Head)
    head.add("a", "b")
    towards_server.write_head(head)
    towards_server.write_data(b"hi")
    towards_server.write_end()
    assert towards_server.take_output() == b"x\x01\0\0\0\0\0\0\0\0\x02hi"


def test_a_request_of_another_protocol_becomes_a_message() -> None:
    towards_server, head = side(CLIENT), Head()
    head.method, head.path = "GET", "/"
    towards_server.write_head(head, True)
    assert towards_server.take_output() == b"x\x01\0\0\0\0\0\0\0\0\0"


def test_a_response_of_another_protocol_becomes_a_status() -> None:
    towards_client = side(SERVER)
    for status, wire in ((200, b"\0\0"), (404, b"\0\1")):
        towards_client.write_message(status, [], b"ab")
        assert towards_client.take_output() == b"x\x01\x01\0\0\0\0" + wire + b"\0\0\0\x02ab"


def test_long_bodies_are_never_held() -> None:
    reader = side(SERVER)
    reader.feed(b"x\x01\0\0\0\0\x07\0\x08\0\0" + b"z" * 70000)
    assert reader.next_event()[0] == HEAD
    event, piece = reader.next_event()
    assert event == DATA and isinstance(piece, bytes) and len(piece) == 70000 and reader.unread == b""
    reader.feed(b"z" * ((8 << 16) - 70000))
    assert [reader.next_event()[0] for _ in range(2)] == [DATA, END]
    reader.feed(b"x\x01\0\0\0\0\x07\0\x11\0\0")
    assert reader.next_event()[0] == ERROR
