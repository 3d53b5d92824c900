"""The HTTP/1.1 codec beyond its wire samples: persistence, splicing, tunnels, room, limits."""

import time

import pytest

from mosn_mp.codec.driver import facts
from mosn_mp.codec.http1.codec import Http1Codec
from mosn_mp.codec.http1.limits import Http1Limits
from mosn_mp.errors import Reason
from tests.contract.codec_kit import CLIENT, DATA, END, ERROR, HEAD, NEED_MORE, SERVER, TRAILERS
from tests.unit.codec.http1_sides import GET, asked, driver, read, reply


def test_a_message_without_a_body_is_complete_with_its_head() -> None:
    server = read(GET)
    assert server.body_done
    assert server.next_event() == (END, None)
    assert server.next_event() == (NEED_MORE, None)


def test_a_body_by_length_is_done_with_its_last_piece() -> None:
    server = read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
    assert not server.body_done
    assert server.next_event() == (DATA, b"hel") and not server.body_done
    server.feed(b"loGET")
    assert server.next_event() == (DATA, b"lo") and server.body_done
    assert server.next_event() == (END, None)
    assert server.unread == b"GET"


def test_pipelined_bytes_wait_for_the_next_message() -> None:
    server = read(GET + GET)
    assert server.pull() == [(END, None)]
    assert server.next_event() == (NEED_MORE, None)
    server.begin_message()
    assert [event for event, _ in server.pull()] == [HEAD, END]


def test_a_connection_is_kept_when_both_sides_are_done() -> None:
    server = read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
    server.write_message(200, [], b"early")
    assert not server.keep_alive
    server.feed(b"hi")
    server.pull()
    assert server.keep_alive


def test_a_response_before_the_request_is_complete_does_not_keep_the_upstream_connection() -> None:
    client = asked(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
    client.feed(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
    assert [event for event, _ in client.pull()] == [HEAD, END]
    assert not client.keep_alive
    client.write_data(b"hi")
    client.write_end()
    assert client.keep_alive


def test_close_after_says_so_to_the_client() -> None:
    server = read(GET)
    server.close_after()
    server.write_message(200, [], b"x")
    assert b"\r\nConnection: close\r\n" in server.take_output()
    assert not server.keep_alive


def test_close_after_says_so_to_the_server() -> None:
    server, client = read(GET), driver(CLIENT)
    client.close_after()
    head = server.codec and driver(SERVER)
    head.feed(GET)
    client.write_head(head.next_event()[1], True)
    assert client.take_output() == b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def test_surplus_behind_a_response_is_not_the_answer_to_the_next_request() -> None:
    client = asked()
    client.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 Poisoned\r\n\r\n")
    client.pull()
    assert not client.keep_alive


def test_a_response_nobody_asked_for_is_an_error() -> None:
    client = driver(CLIENT)
    client.feed(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert client.next_event() == (ERROR, (Reason.UPSTREAM_PROTOCOL, b"response without a request"))


def test_a_server_that_closes_before_its_response_closed_cleanly() -> None:
    client = asked()
    assert client.end_of_input() == (NEED_MORE, None)


def test_an_error_stays_an_error() -> None:
    server = driver(SERVER)
    server.feed(b"GET / HTTP/1.1\r\nA : b\r\n")
    first = server.next_event()
    server.feed(b"Host: a\r\n\r\n")
    assert first[0] == ERROR and server.next_event() == first == server.end_of_input()


def test_splicing_takes_the_rest_of_a_length() -> None:
    server = read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
    assert server.next_event() == (DATA, b"abc") and server.splice_length == 999997
    server.spliced(999990)
    assert server.splice_length == 7 and not server.body_done
    server.spliced(7)
    assert server.body_done and server.splice_length == 0
    assert server.next_event() == (END, None)


def test_splicing_takes_the_rest_of_a_chunk() -> None:
    server = read(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert server.splice_length == 0
    server.feed(b"10000\r\nabc")
    assert server.next_event() == (DATA, b"abc") and server.splice_length == 65533
    server.spliced(65533)
    assert server.splice_length == 0
    server.feed(b"\r\n0\r\n\r\n")
    assert server.next_event() == (END, None)


def test_splicing_has_no_end_where_the_body_has_none() -> None:
    client = asked()
    client.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    client.next_event()
    assert client.splice_length > 1 << 60


def test_a_tunnel_passes_raw_bytes_both_ways() -> None:
    server = read(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n\x00early")
    client = asked(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n")
    client.feed(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n\r\n0\r\n")
    _, head = client.next_event()
    assert client.tunnel and not server.tunnel and not client.body_done
    server.write_head(head)
    assert server.tunnel and server.next_event() == (DATA, b"\x00early")
    assert client.next_event() == (DATA, b"\r\n0\r\n")
    server.take_output()
    server.write_data(b"raw")
    client.write_data(b"raw")
    assert server.take_output() == client.take_output() == b"raw"
    assert server.end_of_input() == client.end_of_input() == (END, None)
    assert not server.keep_alive and not client.keep_alive


def test_a_101_without_an_upgrade_opens_no_tunnel() -> None:
    server = read(GET)
    server.write_head(reply(status=101))
    assert not server.tunnel


@pytest.mark.parametrize("end", [True, False])
def test_a_head_is_written_whole_or_not_at_all(end: bool) -> None:
    server = driver(SERVER)
    server.feed(b"POST /p HTTP/1.1\r\nHost: a\r\nA:b\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nX-Y: z\r\n\r\n")
    _, head = server.next_event()
    head.set("A", "longer than before")
    head.path = "/" + "p" * 100
    room = driver(CLIENT).room_needed(head, end)
    assert room > 100


def test_limits_are_counted_to_the_byte() -> None:
    for extra, expected in ((0, HEAD), (1, ERROR)):
        server = driver(SERVER, Http1Limits(max_head_bytes=100))
        head = b"GET / HTTP/1.1\r\nHost: a\r\nA: "
        server.feed(head + b"x" * (100 - len(head) - 4 + extra) + b"\r\n\r\n")
        assert server.next_event()[0] == expected


def test_a_head_that_fills_the_limit_without_an_end_is_refused_at_once() -> None:
    server = driver(SERVER, Http1Limits(max_head_bytes=100))
    server.feed(b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 71)
    assert server.next_event() == (NEED_MORE, None)
    server.feed(b"x")
    assert server.next_event() == (ERROR, (Reason.HEAD_TOO_LARGE, b"head is too large"))


def test_underscores_are_refused_on_demand() -> None:
    server = driver(SERVER, Http1Limits(reject_underscores=True))
    server.feed(b"GET / HTTP/1.1\r\nHost: a\r\nX_A: b\r\n\r\n")
    assert server.next_event() == (ERROR, (Reason.BAD_REQUEST, b"underscore in a header name"))


def test_a_role_is_server_or_client() -> None:
    with pytest.raises(ValueError, match="role is SERVER"):
        Http1Codec(2, Http1Limits())


def test_trailers_do_not_leak_into_the_next_message() -> None:
    server = read(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n")
    assert [event for event, _ in server.pull()] == [TRAILERS, END]
    server.begin_message()
    server.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
    assert [event for event, _ in server.pull()] == [HEAD, DATA, END]


def test_facts_of_a_head_do_not_leak_into_the_next() -> None:
    server = read(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n")
    server.pull()
    server.begin_message()
    server.feed(GET)
    _, head = server.next_event()
    assert facts(head)[1:6] == (0, -1, True, False, False) and head.items() == [(b"Host", b"a")]


def nominated(options: int) -> bytes:
    """A request whose two Connection fields have so many elements together."""
    half = b",".join([b"x-hop"] * (options // 2))
    rest = b" , ".join([b"close"] * (options - options // 2))
    return b"GET / HTTP/1.1\r\nHost: a\r\nX-Hop: b\r\nConnection: %s\r\nConnection:,,%s\r\n\r\n" % (half, rest)


def test_connection_may_have_32_options_and_no_more() -> None:
    server = read(nominated(32))
    assert not server.keep_alive
    server = driver(SERVER)
    server.feed(nominated(33))
    assert server.next_event() == (ERROR, (Reason.BAD_REQUEST, b"too many options in Connection"))


@pytest.mark.parametrize("value", [b"a,", b","])
def test_a_long_connection_field_costs_no_more_than_any_long_field(value: bytes) -> None:
    filler = b"".join(b"X-%d: b\r\n" % i for i in range(90))

    def cost(name: bytes) -> float:
        text = b"GET / HTTP/1.1\r\nHost: a\r\n" + filler + name + b": x" + value * (50_000 // len(value)) + b"\r\n\r\n"
        took = []
        for _ in range(20):
            server = driver(SERVER)
            server.feed(text)
            began = time.process_time()
            server.next_event()
            took.append(time.process_time() - began)
        return min(took)

    assert cost(b"Connection") < 20 * cost(b"Connectiom")
