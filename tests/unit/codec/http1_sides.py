"""Either side of an HTTP/1.1 connection, as tests of the codec begin."""

from collections.abc import Iterable

from mosn_mp.buffer.head import Head
from mosn_mp.codec.driver import CodecDriver
from mosn_mp.codec.http1.codec import Http1Codec
from mosn_mp.codec.http1.limits import Http1Limits
from tests.contract.codec_kit import CLIENT, HEAD, SERVER

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def driver(role: int, limits: Http1Limits | None = None) -> CodecDriver:
    return CodecDriver(Http1Codec(role, limits or Http1Limits()))


def read(text: bytes, limits: Http1Limits | None = None) -> CodecDriver:
    """A server-side driver that has read the head in *text*."""
    server = driver(SERVER, limits)
    server.feed(text)
    event, _ = server.next_event()
    assert event == HEAD
    return server


def asked(request: bytes = GET) -> CodecDriver:
    """A client-side driver that has written *request*."""
    server, client = driver(SERVER), driver(CLIENT)
    server.feed(request)
    _, head = server.next_event()
    client.write_head(head, server.body_done)
    client.take_output()
    return client


def reply(fields: Iterable[tuple[str, str]] = (), status: int = 200) -> Head:
    head = Head()
    head.status = status
    for name, value in fields:
        head.add(name, value)
    return head
