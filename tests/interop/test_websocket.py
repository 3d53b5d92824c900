"""WebSocket (RFC 6455) through the proxy, with the library websockets on both sides."""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.long.proxied import Proxied
from tests.process.program import wait_until

pytest.importorskip("websockets", reason="the Python library websockets is not installed here")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

MIB = 1 << 20
Connect = Callable[..., ClientConnection]


class EchoServer:
    """Sends every message back; remembers how its connections ended."""

    def __init__(self) -> None:
        self.closes: list[tuple[int, str]] = []
        self.paths: list[str] = []
        self.server = serve(self.echo, "127.0.0.1", 0, max_size=None, process_request=self.refuse)
        self.port = self.server.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def refuse(self, connection: ServerConnection, request: Any) -> Any:
        """Let nobody in at /forbidden; who is let in is noted before the client hears of it."""
        if request.path == "/forbidden":
            return connection.respond(403, "not you\n")
        self.paths.append(request.path)
        return None

    def echo(self, connection: ServerConnection) -> None:
        """One connection."""
        with contextlib.suppress(ConnectionClosed):  # by any code
            while True:
                message = connection.recv()
                if message == "close, please":
                    connection.close(4001, "as you wish")
                else:
                    connection.send(message)
        assert connection.close_code is not None
        self.closes.append((connection.close_code, connection.close_reason or ""))

    def forget(self) -> None:
        """Wait for the end of every connection, for the next test to begin with none."""
        wait_until(lambda: len(self.closes) == len(self.paths), "the end of the test's connections")
        self.closes.clear()
        self.paths.clear()

    def end(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[EchoServer]:
    made = EchoServer()
    yield made
    made.end()


@pytest.fixture(scope="module")
def proxied(server: EchoServer, shared_proxy_to: Callable[..., Proxied]) -> Proxied:
    return shared_proxy_to(server.port)


@pytest.fixture
def echo(server: EchoServer) -> Iterator[EchoServer]:
    """The server, without memory of other tests."""
    yield server
    server.forget()


@pytest.fixture
def client_of(echo: EchoServer, proxied: Proxied) -> Connect:
    """Opens a WebSocket to the echo server through the proxy."""

    def open_one(path: str = "/chat", **options: Any) -> ClientConnection:
        return connect(f"ws://127.0.0.1:{proxied.port}{path}", max_size=None, proxy=None, **options)

    return open_one


def test_text_and_binary_messages_come_back_as_they_were_sent(client_of: Connect, echo: EchoServer) -> None:
    with client_of("/chat?room=1") as client:
        for message in ("hello", "Grüße, 世界 \N{WHITE SMILING FACE}", "", b"\x00\xff" * 100, b""):
            client.send(message)
            assert client.recv(timeout=10) == message
    assert echo.paths == ["/chat?room=1"]


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 4 * MIB, 32 * MIB])
def test_frames_of_every_length_format_come_back(client_of: Connect, size: int) -> None:
    message = random.Random(size).randbytes(size)
    with client_of(compression=None) as client:
        client.send(message)
        assert client.recv(timeout=30) == message


def test_a_fragmented_message_stays_one_message(client_of: Connect) -> None:
    with client_of() as client:
        client.send(["one ", "two ", "three"])
        assert client.recv(timeout=10) == "one two three"


def test_many_messages_pass_in_order_both_ways_at_once(client_of: Connect) -> None:
    count = 20_000
    with client_of(compression=None) as client:
        sender = threading.Thread(target=lambda: [client.send(f"message {i}") for i in range(count)])
        sender.start()
        assert [client.recv(timeout=30) for _ in range(count)] == [f"message {i}" for i in range(count)]
        sender.join()


def test_pings_are_answered_by_the_far_end(client_of: Connect) -> None:
    with client_of() as client:
        assert client.ping(b"are you there").wait(10)


def test_the_clients_close_reaches_the_server(client_of: Connect, echo: EchoServer) -> None:
    with client_of() as client:
        client.close(4002, "enough")
        assert client.close_code == 4002
    wait_until(lambda: echo.closes == [(4002, "enough")], "the close at the server")


def test_the_servers_close_reaches_the_client(client_of: Connect, echo: EchoServer) -> None:
    with client_of() as client:
        client.send("close, please")
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(timeout=10)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "as you wish")


def test_a_server_that_refuses_the_handshake_is_heard(client_of: Connect) -> None:
    with pytest.raises(InvalidStatus) as caught, client_of("/forbidden"):
        pass
    assert caught.value.response.status_code == 403
    assert caught.value.response.body == b"not you\n"


def test_compression_is_agreed_on_by_both_ends(client_of: Connect) -> None:
    with client_of(compression="deflate") as client:
        assert client.response is not None
        assert "permessage-deflate" in client.response.headers["Sec-WebSocket-Extensions"]
        client.send("again and again " * 1000)
        assert client.recv(timeout=10) == "again and again " * 1000


def test_a_hundred_sockets_talk_at_once_and_leave_nothing_behind(client_of: Connect, echo: EchoServer) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client_of()) for _ in range(100)]
        for turn in range(5):
            for i, client in enumerate(clients):
                client.send(f"{i} {turn}")
            for i, client in enumerate(clients):
                assert client.recv(timeout=10) == f"{i} {turn}"
    wait_until(lambda: len(echo.closes) == 100, "the end of all of them")
