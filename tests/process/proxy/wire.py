"""Raw sockets for tests: what is sent is sent as it is, what is read is shown as it came; every wait has a deadline."""

import contextlib
import hashlib
import re
import socket
import struct
import time
from dataclasses import dataclass, field

from tests.process.program import DEADLINE_S

PAUSE_S = 0.001  # between tiny sends, so that most of them are read one by one; the outcome must not depend on it


class ClosedError(Exception):
    """The far side closed before what was waited for was complete; *rest* had come by then."""

    def __init__(self, rest: bytes) -> None:
        super().__init__(f"closed after {rest[-200:]!r}")
        self.rest = rest


@dataclass
class Message:
    """A message as it came over the wire."""

    head: bytes  # start line and fields with the empty line
    body: bytes = b""
    trailers: bytes = b""
    chunks: list[bytes] = field(default_factory=list)

    @property
    def first_line(self) -> bytes:
        """The start line."""
        return self.head.partition(b"\r\n")[0]

    @property
    def status(self) -> int:
        """The status of a response."""
        return int(self.head.split(b" ", 2)[1])

    @property
    def lines(self) -> list[bytes]:
        """The field lines in order."""
        return self.head.split(b"\r\n")[1:-2]

    def all(self, name: bytes) -> list[bytes]:
        """The values of all fields of that name."""
        return [line.partition(b":")[2].strip() for line in self.lines if line.partition(b":")[0].lower() == name.lower()]

    def get(self, name: bytes) -> bytes | None:
        """The value of the first field of that name."""
        values = self.all(name)
        return values[0] if values else None


class Wire:
    """One end of a TCP connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.unread = b""
        sock.settimeout(DEADLINE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- sending -------------------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send all of *data*."""
        self.sock.sendall(data)

    def send_pieces(self, data: bytes, size: int = 1) -> None:
        """Send *data* in segments of *size* bytes."""
        for at in range(0, len(data), size):
            self.sock.sendall(data[at : at + size])
            time.sleep(PAUSE_S)

    def send_split(self, data: bytes, at: int) -> None:
        """Send *data* in two segments."""
        self.sock.sendall(data[:at])
        time.sleep(PAUSE_S)
        self.sock.sendall(data[at:])

    def finish(self) -> None:
        """Close the sending half."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close both halves."""
        self.sock.close()

    def shut(self) -> None:
        """End the connection also for a thread that waits in it."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def reset(self) -> None:
        """Close with RST, also under a thread that waits in it."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RD)
        self.sock.close()

    # -- reading -------------------------------------------------------------------------------------------------------------

    def more(self) -> None:
        """Read once; ClosedError at the end."""
        data = self.sock.recv(1 << 16)
        if not data:
            raise ClosedError(self.unread)
        self.unread += data

    def until(self, mark: bytes) -> bytes:
        """Everything up to and with *mark*."""
        while mark not in self.unread:
            self.more()
        at = self.unread.index(mark) + len(mark)
        found, self.unread = self.unread[:at], self.unread[at:]
        return found

    def exactly(self, count: int) -> bytes:
        """*count* bytes."""
        found = bytearray(self.unread[:count])
        self.unread = self.unread[count:]
        while len(found) < count:
            data = self.sock.recv(min(count - len(found), 1 << 16))
            if not data:
                raise ClosedError(bytes(found))
            found += data
        return bytes(found)

    def rest(self) -> bytes:
        """Everything until the far side closes in order; ConnectionResetError if it resets."""
        while data := self.sock.recv(1 << 16):
            self.unread += data
        found, self.unread = self.unread, b""
        return found

    def ends(self) -> bytes:
        """As rest(), but a reset is an end as well."""
        try:
            return self.rest()
        except ConnectionResetError:
            found, self.unread = self.unread, b""
            return found

    def head(self) -> Message:
        """A message's head alone."""
        return Message(self.until(b"\r\n\r\n"))

    def chunked(self, message: Message) -> None:
        """Read a chunked body into *message*."""
        while True:
            size = int(self.until(b"\r\n"), 16)
            if size == 0:
                break
            message.chunks.append(self.exactly(size))
            assert self.exactly(2) == b"\r\n"
        message.body = b"".join(message.chunks)
        while (line := self.until(b"\r\n")) != b"\r\n":
            message.trailers += line

    def body(self, message: Message, without: bool = False, endless: bool = False) -> Message:
        """Read the body that the head announces; *without*: there is none, *endless*: unframed it lasts until the end."""
        length = message.get(b"content-length")
        if without:
            pass
        elif message.get(b"transfer-encoding") is not None:
            self.chunked(message)
        elif length is not None:
            message.body = self.exactly(int(length))
        elif endless:
            message.body = self.rest()
        return message

    def request(self) -> Message:
        """A whole request."""
        return self.body(self.head())

    def response(self, method: str = "GET") -> Message:
        """A whole final response to *method*; interim ones are passed over."""
        message = self.head()
        while 100 <= message.status < 200 and message.status != 101:
            message = self.head()
        without = method == "HEAD" or message.status in (101, 204, 304)
        return self.body(message, without, True)

    def get(self, path: str = "/", *lines: str, method: str = "GET") -> Message:
        """Send a request without a body and read the response."""
        self.send(request(path, *lines, method=method))
        return self.response(method)

    def is_quiet(self, seconds: float = 0.05) -> bool:
        """Whether nothing comes for a moment."""
        self.sock.settimeout(seconds)
        try:
            self.more()
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(DEADLINE_S)
        return False


def connect(port: int, receive_buffer: int = 0) -> Wire:
    """A connection to a port of this machine."""
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(DEADLINE_S)
    sock.connect(("127.0.0.1", port))
    return Wire(sock)


def request(path: str = "/", *lines: str, method: str = "GET", body: bytes | None = None) -> bytes:
    """The bytes of a request; a *body* is announced by its length."""
    text = [f"{method} {path} HTTP/1.1", "Host: test", *lines]
    if body is not None:
        text.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(text) + "\r\n\r\n").encode() + (body or b"")


def chunked(*pieces: bytes, trailers: bytes = b"") -> bytes:
    """A chunked body."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailers + b"\r\n"


def without_hops(message: Message) -> list[bytes]:
    """The field lines that are not about framing or the connection."""
    return [line for line in message.lines if not re.match(rb"(?i)(connection|transfer-encoding|content-length):", line)]


def pattern(size: int) -> bytes:
    """*size* bytes of which no two places look alike."""
    return b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(size // 32 + 1))[:size]
