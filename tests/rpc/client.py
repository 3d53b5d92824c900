"""A bolt client for tests: one connection, a thread that sorts what comes by id; every wait has a deadline."""

import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType

from tests.process.program import DEADLINE_S, wait_until
from tests.rpc.wire import GOAWAY, RESPONSE, Fields, Frame, Reader, request

READ_SIZE = 1 << 16


class Client:
    """Sends frames and keeps every frame that comes; `answers` only those with an id that was asked for, each at most once."""

    def __init__(self, port: int, *, receive_buffer: int = 0, reads: bool = True, **kind: int) -> None:
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.kind = kind  # protocol, ver1, switch of the requests
        self.frames: list[Frame] = []
        self.sent: list[Frame] = []  # by ask()
        self.closed = threading.Event()
        self.error: Exception | None = None
        self._last_id = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        if reads:
            self.start()

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def send(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self.sock.sendall(raw)

    def ask(self, content: bytes = b"", fields: Fields | None = None, **changes: object) -> int:
        """Send a request; its id."""
        self._last_id += 1
        frame = request(self._last_id, content, fields, **{**self.kind, **changes})
        self.sent.append(frame)
        self.send(frame.encode())
        return self._last_id

    def answers(self, id_: int) -> list[Frame]:
        """Every response with that id so far."""
        return [frame for frame in list(self.frames) if frame.kind == RESPONSE and frame.id == id_]

    def wait(self, id_: int, deadline_s: float = DEADLINE_S) -> Frame:
        """The response to the request *id_*."""
        wait_until(lambda: self.answers(id_) or self.closed.is_set(), f"a response with the id {id_}", deadline_s)
        found = self.answers(id_)
        assert found, f"closed without a response with the id {id_}; {self.error!r}, {len(self.frames)} frames"
        assert len(found) == 1, f"{len(found)} responses with the id {id_}"
        return found[0]

    def call(self, content: bytes = b"", fields: Fields | None = None, **changes: object) -> Frame:
        """The response to a request."""
        return self.wait(self.ask(content, fields, **changes))

    def wait_frame(self, condition: Callable[[Frame], bool], what: str, deadline_s: float = DEADLINE_S) -> Frame:
        """The first frame that fulfils *condition*."""
        found: Frame = wait_until(lambda: next(filter(condition, list(self.frames)), None), what, deadline_s)
        return found

    def wait_goaway(self, deadline_s: float = DEADLINE_S) -> Frame:
        """The GOAWAY that the other side sends."""
        return self.wait_frame(lambda frame: frame.command == GOAWAY, "a GOAWAY", deadline_s)

    def wait_closed(self, deadline_s: float = DEADLINE_S) -> None:
        """Wait until the other side has closed."""
        assert self.closed.wait(deadline_s), f"not closed within {deadline_s} s"

    def close(self) -> None:
        """Close this side."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self._thread.is_alive():
            self._thread.join(DEADLINE_S)
        self.sock.close()

    def reset(self) -> None:
        """End the connection as a process does that dies with unread bytes: by a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.shutdown(socket.SHUT_RD)  # wakes the reading thread, which else keeps the socket open
        self._thread.join(DEADLINE_S)
        self.sock.close()

    def _read(self) -> None:
        reader = Reader()
        try:
            while data := self.sock.recv(READ_SIZE):
                self.frames.extend(reader.feed(data))
        except Exception as error:  # noqa: BLE001  the test shows it
            self.error = error
        finally:
            self.closed.set()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
