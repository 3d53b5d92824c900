"""A small load of every kind that the proxy serves, each answer verified: right, or a proper failure, or a close; never wrong."""

import random
import socket
from collections.abc import Callable

from tests.process.proxy.upstream import Visit, echo
from tests.process.proxy.wire import ClosedError, Message, request
from tests.process.rpc.setting import RpcSetting
from tests.rpc.wire import RESPONSE, SUCCESS, Frame, Reader
from tests.rpc.wire import request as bolt_request

BODY = random.Random(1).randbytes(200_000)  # more than one read, so that splice(2) moves it
UPGRADE = request("/web/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x")
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
GOODBYES = range(500, 505)  # what the proxy answers where it cannot


class FailedError(Exception):
    """The proxy could not, and said so, or closed."""


def serve(visit: Visit) -> None:
    """The script of the HTTP host: what comes goes back, in a tunnel too."""
    if visit.message.get(b"upgrade") is None:
        echo(visit)
        return
    visit.send(SWITCHED)
    while data := visit.sock.recv(65536):
        visit.send(data)
    visit.shut()


class Load:
    """The clients, one after the other."""

    def __init__(self, setting: RpcSetting) -> None:
        self._setting = setting
        self.kinds: tuple[Callable[[], None], ...] = (self._gets, self._upload, self._tunnel, self._direct, self._bolt)

    def run(self) -> int:
        """How many of them failed; AssertionError if one got something wrong, or nothing at all."""
        failed = 0
        for kind in self.kinds:
            try:
                kind()
            except (FailedError, ClosedError, ConnectionError):
                failed += 1
            except TimeoutError:
                raise AssertionError(f"{kind.__name__}: no answer") from None
        return failed

    def _gets(self) -> None:
        with self._setting.connect() as client:
            for i in range(3):
                answer = client.get(f"/web/{i}")
                check(answer, b"/web/%d" % i)

    def _upload(self) -> None:
        with self._setting.connect() as client:
            client.send(request("/web", method="POST", body=BODY))
            check(client.response(), BODY)

    def _tunnel(self) -> None:
        with self._setting.connect() as client:
            client.send(UPGRADE)
            head = client.head()
            if head.status in GOODBYES:
                raise FailedError
            assert head.status == 101
            for size in (10, 40_000):
                client.send(BODY[:size])
                assert client.exactly(size) == BODY[:size]
            client.finish()
            assert client.rest() == b""

    def _direct(self) -> None:
        with self._setting.connect() as client:
            check(client.get("/ping"), b"pong")

    def _bolt(self) -> None:
        with socket.create_connection(("127.0.0.1", self._setting.ports["bolt"]), timeout=8) as client:
            reader = Reader()
            for id_ in range(1, 4):
                client.sendall(bolt_request(id_, b"content %d" % id_).encode())
                frame = next_frame(client, reader)
                assert (frame.kind, frame.id) == (RESPONSE, id_)
                if frame.status != SUCCESS:
                    raise FailedError
                assert frame.content == b"content %d" % id_


def next_frame(client: socket.socket, reader: Reader) -> Frame:
    """The next frame that the proxy sends."""
    while True:
        data = client.recv(65536)
        if not data:
            raise ClosedError(b"")
        frames = reader.feed(data)
        if frames:
            return frames[0]


def check(answer: Message, body: bytes) -> None:
    """*answer* is the right one, or FailedError."""
    if answer.status in GOODBYES:
        assert answer.body.endswith(b"\n"), answer
        raise FailedError
    assert (answer.status, answer.body) == (200, body)
