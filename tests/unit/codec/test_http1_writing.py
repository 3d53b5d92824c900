"""What the HTTP/1.1 codec writes of its own: local replies, phrases, framing, bodies that it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosn_mp.buffer.head import Head
from mosn_mp.errors import REASONS, Reason
from tests.contract.codec_kit import CLIENT, DATA, ERROR, SERVER
from tests.unit.codec.http1_sides import GET, asked, driver, read, reply


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason and REASONS[reason].status >= 400])
def test_every_reason_has_a_reply_that_a_client_can_read(reason: Reason) -> None:
    server = driver(SERVER)
    server.feed(b"bad\r\n")
    assert server.next_event()[0] == ERROR
    server.write_error(reason)
    client = asked()
    client.feed(server.take_output())
    (_, head), *rest = client.pull()
    assert head.status == REASONS[reason].status and head.get("content-type") == b"text/plain"
    assert b"".join(data for event, data in rest if event == DATA) == REASONS[reason].text
    assert not client.keep_alive and not server.keep_alive


def test_an_error_reply_between_good_messages_keeps_the_connection() -> None:
    server = read(GET)
    server.write_error(Reason.NO_ROUTE)
    assert b"Connection" not in server.take_output() and server.keep_alive


def test_an_error_reply_to_head_has_no_body() -> None:
    server = read(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    server.write_error(Reason.NO_ROUTE)
    assert server.take_output().endswith(b"\r\n\r\n")


def test_a_reply_gets_the_phrase_of_its_status() -> None:
    for status, line in (
        (200, b"HTTP/1.1 200 OK"),
        (404, b"HTTP/1.1 404 Not Found"),
        (299, b"HTTP/1.1 299 "),
        (777, b"HTTP/1.1 777 "),
    ):
        server = read(GET)
        server.write_message(status, [("A", "b")], b"")
        assert server.take_output() == line + b"\r\nA: b\r\nContent-Length: 0\r\n\r\n"


def test_a_changed_status_does_not_keep_the_old_phrase() -> None:
    server, client = read(GET), asked()
    client.feed(b"HTTP/1.1 200 Fine\r\nContent-Length: 0\r\n\r\n")
    _, head = client.next_event()
    head.status = 503
    server.write_head(head, True)
    assert server.take_output() == b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


def test_a_phrase_can_be_set() -> None:
    server = read(GET)
    head = reply()
    head.reason = "Very Well"
    server.write_head(head, True)
    assert server.take_output().startswith(b"HTTP/1.1 200 Very Well\r\n")


def test_a_body_of_unknown_length_is_chunked() -> None:
    server = read(GET)
    server.write_head(reply())
    for piece in (b"hello", b"", b"x" * 300):
        server.write_data(piece)
    trailers = Head()
    trailers.add("X-Sum", "1")
    server.write_end(trailers)
    text = server.take_output()
    assert text.startswith(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n12c\r\nxxx")
    assert text.endswith(b"x\r\n0\r\nX-Sum: 1\r\n\r\n")


@given(st.integers(1, 1 << 20))
def test_chunk_sizes_are_read_as_they_are_written(length: int) -> None:
    server, client = read(GET), asked()
    server.write_head(reply())
    server.write_data(b"x" * length)
    server.write_end()
    text = server.take_output()
    assert b"\r\n\r\n%x\r\nx" % length in text
    client.feed(text)
    assert [len(shown) for event, shown in client.pull() if event == DATA] == [length]


@pytest.mark.parametrize("status", [204, 304])
def test_a_body_for_a_response_without_one_is_refused(status: int) -> None:
    server = read(GET)
    server.write_head(reply(status=status))
    assert server.data_refused
    with pytest.raises(ValueError, match="has none"):
        server.write_data(b"x")
    server.write_end()
    assert server.keep_alive


def test_a_body_behind_a_complete_message_is_refused() -> None:
    client = asked()
    with pytest.raises(ValueError, match="complete"):
        client.write_data(b"GET /smuggled HTTP/1.1\r\n\r\n")


def test_a_body_longer_than_its_length_is_refused() -> None:
    client = asked(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
    client.write_data(b"hel")
    with pytest.raises(ValueError, match="longer than its Content-Length by 1 bytes"):
        client.write_data(b"lo!")


def test_a_body_shorter_than_its_length_ends_the_connection() -> None:
    client = asked(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
    client.write_data(b"hel")
    client.write_end()
    client.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    client.pull()
    assert not client.keep_alive


def test_a_request_that_lost_its_body_says_so() -> None:
    server, client = read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"), driver(CLIENT)
    again = driver(SERVER)
    again.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.write_head(again.next_event()[1], True)
    assert client.take_output() == b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    assert not server.body_done


def test_a_request_that_gained_a_body_is_chunked() -> None:
    server, client = driver(SERVER), driver(CLIENT)
    server.feed(GET)
    client.write_head(server.next_event()[1], False)
    client.write_data(b"x")
    client.write_end()
    assert client.take_output().endswith(b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
