"""Python's own http.client through the proxy to gevent's WSGI server."""

import hashlib
import http.client
import socket
from collections.abc import Iterator

import pytest

from tests.long.proxied import Proxied


@pytest.fixture
def client(to_origin: Proxied) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection("127.0.0.1", to_origin.port, timeout=10)
    yield made
    made.close()


def test_many_requests_on_one_connection(client: http.client.HTTPConnection) -> None:
    client.connect()
    sock = client.sock
    for size in (0, 1, 10_000, 3, 200_000, 7):
        client.request("GET", f"/size/{size}")
        assert len(client.getresponse().read()) == size
    assert client.sock is sock


def test_an_iterable_is_sent_in_chunks(client: http.client.HTTPConnection) -> None:
    pieces = [b"a" * 10, b"b" * 100_000, b"c", b"d" * 16_384]
    client.request("POST", "/echo", body=iter(pieces), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    answer = client.getresponse()
    assert answer.read() == b"".join(pieces)
    assert answer.headers["x-length"] == "none"


def test_a_file_is_sent_by_length(client: http.client.HTTPConnection) -> None:
    body = bytes(range(256)) * 8192
    client.request("PUT", "/echo", body=body)
    answer = client.getresponse()
    assert answer.headers["x-hash"] == hashlib.sha256(body).hexdigest()
    assert answer.headers["x-length"] == str(len(body))
    answer.read()


def test_a_chunked_answer_is_read_in_pieces(client: http.client.HTTPConnection) -> None:
    client.request("GET", "/stream")
    answer = client.getresponse()
    assert answer.chunked
    assert sum(map(len, iter(lambda: answer.read(1000), b""))) == 1 << 20


def test_head_then_get_on_one_connection(client: http.client.HTTPConnection) -> None:
    client.request("HEAD", "/size/5000")
    answer = client.getresponse()
    assert (answer.headers["content-length"], answer.read()) == ("5000", b"")
    client.request("GET", "/size/5000")
    assert len(client.getresponse().read()) == 5000


def test_an_http_1_0_client_hears_the_end_of_the_body_by_the_close(to_origin: Proxied) -> None:
    with socket.create_connection(("127.0.0.1", to_origin.port), timeout=10) as sock:
        sock.sendall(b"GET /stream HTTP/1.0\r\n\r\n")
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        assert not answer.chunked
        assert answer.will_close
        assert len(answer.read()) == 1 << 20


def test_answers_are_complete_or_an_error(client: http.client.HTTPConnection) -> None:
    client.request("GET", "/status/404")
    assert client.getresponse().read() == b""
    client.request("GET", "/size/12")
    assert len(client.getresponse().read()) == 12
