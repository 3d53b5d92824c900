"""A scriptable upstream server: a thread per connection, one function that answers each request, everything seen is kept."""

import contextlib
import socket
import threading
from collections.abc import Callable

from tests.process.program import wait_until
from tests.process.proxy.wire import ClosedError, Message, Wire


class Visit(Wire):
    """One request on a connection of the proxy; the script reads its body and answers."""

    def __init__(self, wire: Wire, message: Message, number: int, connection: int) -> None:
        self.__dict__ = wire.__dict__  # the same connection with the same unread bytes
        self.message = message
        self.number = number  # of the request on its connection, from 1
        self.connection = connection  # number of the connection, from 1


Script = Callable[["Visit"], None]


def answer(response: bytes) -> Script:
    """A script that reads the request's body and sends *response*."""

    def script(visit: Visit) -> None:
        visit.body(visit.message)
        visit.send(response)

    return script


def ok(body: bytes = b"ok", *lines: bytes) -> bytes:
    """A response of known length."""
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"Content-Length: %d" % len(body), b"", b""]) + body


def echo(visit: Visit) -> None:
    """The default script: answers with the request's body, or its target."""
    visit.body(visit.message)
    visit.send(ok(visit.message.body or visit.message.head.split(b" ")[1]))


class BlackHole:
    """A port where a connect is never answered: its queue is full."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.port: int = self.listener.getsockname()[1]
        self.queue: list[socket.socket] = []
        with contextlib.suppress(TimeoutError):
            while True:
                sock = socket.socket()
                sock.settimeout(0.1)
                self.queue.append(sock)
                sock.connect(("127.0.0.1", self.port))

    def close(self) -> None:
        """Answer again: by refusing."""
        for sock in (self.listener, *self.queue):
            sock.close()


class Upstream:
    """The server. `script` is called in the connection's thread for each request."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.script: Script = echo
        self.messages: list[Message] = []  # every request head seen since reset()
        self.wires: list[Wire] = []
        self.connections = 0
        self.errors: list[BaseException] = []
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> None:
        """Forget what was seen, end all connections."""
        self.script = echo
        self.hang_up()
        self.messages = []
        self.errors = []

    def hang_up(self) -> None:
        """End every connection."""
        with self.lock:
            wires, self.wires = self.wires, []
        for wire in wires:
            wire.shut()

    def close(self) -> None:
        """Stop."""
        self.listener.close()
        self.hang_up()

    @property
    def last(self) -> Message:
        """The request seen last."""
        return self.messages[-1]

    def wait_messages(self, count: int) -> list[Message]:
        """Wait until *count* requests were seen."""
        wait_until(lambda: len(self.messages) >= count, f"{count} requests at the upstream, there are {len(self.messages)}")
        return self.messages

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            wire = Wire(sock)
            with self.lock:
                self.connections += 1
                self.wires.append(wire)
                number = self.connections
            threading.Thread(target=self._serve, args=(wire, number), daemon=True).start()

    def _serve(self, wire: Wire, connection: int) -> None:
        number = 0
        try:
            wire.sock.settimeout(None)
            while True:
                message = wire.head()
                number += 1
                self.messages.append(message)
                self.script(Visit(wire, message, number, connection))
        except (ClosedError, OSError):
            pass
        except (AssertionError, ValueError, AttributeError) as error:  # a script's own, shown by the test
            self.errors.append(error)
        finally:
            wire.close()
