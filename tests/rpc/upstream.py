"""A scriptable bolt server: a thread per connection, one function that sees each frame, everything seen is kept.

script(visit)      answers, delays, holds back, says GOAWAY, closes: visit.connection has the means
server.pause()     silence: nothing more is taken in, resume() goes on
server.stop()      the port is closed with all connections; server.start() takes the same port again
"""

import socket
import threading
from collections.abc import Callable
from typing import NamedTuple

from tests.ports import free_port
from tests.process.program import wait_until
from tests.rpc.wire import GOAWAY, ONE_WAY, RESPONSE, Frame, Reader, goaway, heartbeat_reply, response

READ_SIZE = 1 << 16


class Connection:
    """One accepted connection."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number  # from 1, in the order of arrival
        self.frames: list[Frame] = []  # everything that came by it
        self.heartbeat_replies: list[Frame] = []
        self.answered: list[Frame] = []  # by Visit.reply()
        self.is_open = True
        self._lock = threading.Lock()

    def send(self, *frames: Frame) -> None:
        """Send frames, in one write."""
        with self._lock:
            self.sock.sendall(b"".join(frame.encode() for frame in frames))

    def send_raw(self, raw: bytes) -> None:
        """Send bytes as they are."""
        with self._lock:
            self.sock.sendall(raw)

    def goaway(self) -> None:
        """Say that this connection takes no more streams."""
        first = self.frames[0] if self.frames else Frame()
        self.send(goaway(0, first.protocol, first.ver1))

    def close(self) -> None:
        """End it."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Visit(NamedTuple):
    """One request and the connection that it came by."""

    connection: Connection
    frame: Frame

    def reply(self, content: bytes | None = None, **changes: object) -> None:
        """Answer with *content*, or with the request's own; *changes* are attributes of Frame."""
        fields = [("echo-" + name.decode()).encode() for name, _ in self.frame.fields]
        echoed = list(zip(fields, [value for _, value in self.frame.fields], strict=True))
        answer = response(self.frame, self.frame.content if content is None else content, echoed, **changes)
        self.connection.answered.append(answer)
        self.connection.send(answer)


Script = Callable[[Visit], None]


def echo(visit: Visit) -> None:
    """The default script."""
    visit.reply()


def silent(visit: Visit) -> None:
    """A script that answers nothing."""


def after(delay_s: float, script: Script = echo) -> Script:
    """A script that runs *script* later, without holding up the requests behind it."""

    def delayed(visit: Visit) -> None:
        timer = threading.Timer(delay_s, _quietly, [script, visit])
        timer.daemon = True
        timer.start()

    return delayed


def _quietly(script: Script, visit: Visit) -> None:
    try:
        script(visit)
    except OSError:
        pass  # the connection has gone meanwhile


class Upstream:
    """The server. `script` is called in the connection's thread for each request and one-way request."""

    def __init__(self) -> None:
        self.script: Script = echo
        self.answers_heartbeats = True
        self.connections: list[Connection] = []  # all since reset()
        self.requests: list[Frame] = []
        self.heartbeats: list[Frame] = []
        self.errors: list[Exception] = []
        self.port = free_port()
        self._goes_on = threading.Event()
        self._goes_on.set()
        self.start()

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Close the port and all connections."""
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
        except OSError:
            pass
        self._listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """End all connections."""
        for connection in self.open_connections():
            connection.close()
        wait_until(lambda: not self.open_connections(), "the end of all connections")

    def reset(self) -> None:
        """Forget what was seen; end all connections."""
        self.resume()
        self.script = echo
        self.answers_heartbeats = True
        self.hang_up()
        self.connections, self.requests, self.heartbeats, self.errors = [], [], [], []

    def pause(self) -> None:
        """Take nothing more in: silence."""
        self._goes_on.clear()

    def resume(self) -> None:
        """Go on."""
        self._goes_on.set()

    def open_connections(self) -> list[Connection]:
        """The connections that neither side has closed."""
        return [connection for connection in self.connections if connection.is_open]

    def wait_requests(self, count: int) -> list[Frame]:
        """Wait until *count* requests have come."""
        wait_until(lambda: len(self.requests) >= count, f"{count} requests at the upstream")
        return self.requests

    def wait_heartbeats(self, count: int, deadline_s: float = 10.0) -> list[Frame]:
        """Wait until *count* heartbeats have come."""
        wait_until(lambda: len(self.heartbeats) >= count, f"{count} heartbeats at the upstream", deadline_s)
        return self.heartbeats

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(sock, len(self.connections) + 1)
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        reader = Reader()
        try:
            while data := connection.sock.recv(READ_SIZE):
                self._goes_on.wait()
                for frame in reader.feed(data):
                    self._take(connection, frame)
        except OSError:
            pass
        except Exception as error:  # noqa: BLE001  the test shows it
            self.errors.append(error)
        finally:
            connection.is_open = False
            connection.sock.close()

    def _take(self, connection: Connection, frame: Frame) -> None:
        connection.frames.append(frame)
        if frame.is_heartbeat:
            self.heartbeats.append(frame)
            if self.answers_heartbeats:
                connection.send(heartbeat_reply(frame))
        elif frame.kind == RESPONSE:
            connection.heartbeat_replies.append(frame)
        elif frame.command != GOAWAY:
            self.requests.append(frame)
            if frame.kind != ONE_WAY:
                self.script(Visit(connection, frame))
