"""Steady load in a process of its own: a client that checks every byte, and the server that it talks to through the proxy.

`steady.py client PORT` sends until SIGTERM and prints what it counted as JSON; `steady.py server PORT...` answers until then.
Clients of three kinds run at once: one keeps its connection as long as it may, one takes a new connection for each request, one
uploads. Whatever is not the right answer is a failure, a reset or an early end too; only the end of a connection that the last
answer announced, or that had not been used yet for a request, is none.
"""

import hashlib
import json
import random
import signal
import sys
import time
from collections import Counter

import gevent
from gevent import socket
from gevent.event import Event
from gevent.server import StreamServer

KEEPERS, NEWCOMERS, UPLOADERS = 4, 2, 2
# Between two requests of a client; a few hundred a second together leave the machine to what is tested, and to other tests.
PAUSES_S = (0, 0.001, 0.01, 0.03)
UPLOAD_BYTES = 200_000
TIMEOUT_S = 20.0


class BadAnswerError(Exception):
    """Not what was asked for."""


class Tally:
    """What all clients count."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []

    def fail(self, kind: str, error: Exception) -> None:
        """Note a failure."""
        self.counts["failed"] += 1
        if len(self.failures) < 20:
            self.failures.append(f"{kind} at {time.time() % 1000:.3f}: {type(error).__name__}: {error}")


class Client:
    """One connection at a time."""

    def __init__(self, port: int, tally: Tally) -> None:
        self.port = port
        self.tally = tally
        self.sock: socket.socket | None = None

    def ask(self, request: bytes, pieces: list[bytes]) -> bytes:
        """The body of the answer."""
        if self.sock is None:
            self.sock = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)
            self.tally.counts["connections"] += 1
        self.sock.sendall(request)
        for piece in pieces:
            self.sock.sendall(piece)
            gevent.sleep(0.001)
        return self._answer()

    def _answer(self) -> bytes:
        assert self.sock is not None
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._read(len(data))
        head, _, body = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise BadAnswerError(repr(head[:60]))
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields[b"content-length"])
        while len(body) < length:
            body += self._read(len(body))
        if len(body) > length:
            raise BadAnswerError("more than the body")
        if fields.get(b"connection") == b"close":
            self.close()
        return body

    def _read(self, so_far: int) -> bytes:
        assert self.sock is not None
        piece: bytes = self.sock.recv(65536)
        if not piece:
            raise BadAnswerError(f"end after {so_far} bytes")
        return piece

    def close(self) -> None:
        """Hang up."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None


def pattern(seed: int, length: int) -> bytes:
    """*length* bytes that tell whether some are lost or doubled."""
    return (b"%08d" % seed * (length // 8 + 1))[:length]


def fetch(client: Client, number: int) -> None:
    """A download, checked."""
    length = random.choice((0, 10, 3000, 100_000))
    got = client.ask(b"GET /up/%d/%d HTTP/1.1\r\nHost: x\r\n\r\n" % (number, length), [])
    if got != pattern(number, length):
        raise BadAnswerError(f"{len(got)} other bytes than the {length} wanted")


def upload(client: Client, number: int) -> None:
    """An upload in pieces, checked by its digest."""
    body = pattern(number, random.choice((1, UPLOAD_BYTES)))
    pieces = [body[at : at + 20_000] for at in range(0, len(body), 20_000)]
    got = client.ask(b"POST /up/digest HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body), pieces)
    if got != hashlib.sha256(body).hexdigest().encode():
        raise BadAnswerError("another digest")


def run_client(port: int) -> None:
    """Ask until SIGTERM, then print the counts."""
    tally, ended = Tally(), Event()
    gevent.signal_handler(signal.SIGTERM, ended.set)

    def work(kind: str) -> None:
        client = Client(port, tally)
        while not ended.is_set():
            number = random.randrange(10_000_000)
            try:
                (upload if kind == "upload" else fetch)(client, number)
                tally.counts[kind] += 1
            except (OSError, BadAnswerError, ValueError) as e:
                tally.fail(kind, e)
                client.close()
            if kind == "new":
                client.close()
            gevent.sleep(random.choice(PAUSES_S))
        client.close()

    kinds = ["keep"] * KEEPERS + ["new"] * NEWCOMERS + ["upload"] * UPLOADERS
    greenlets = [gevent.spawn(work, kind) for kind in kinds]
    gevent.joinall(greenlets)
    sys.stdout.write(json.dumps({**tally.counts, "failures": tally.failures}))


def serve(hits: Counter[int], sock: socket.socket) -> None:
    """One connection of the server behind the proxy; *hits* counts by port."""
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            piece = sock.recv(65536)
            if not piece:
                return
            data += piece
        head, _, data = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        length = next((int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")), 0)
        while len(data) < length:
            piece = sock.recv(65536)
            if not piece:
                return
            data += piece
        body, data = data[:length], data[length:]
        words = lines[0].split(b" ")[1].split(b"/")
        port = sock.getsockname()[1]
        hits[port] += words[1] != b"hits"
        answer = pattern(int(words[-2]), int(words[-1])) if length == 0 else hashlib.sha256(body).hexdigest().encode()
        sock.sendall(b"HTTP/1.1 200 OK\r\nX-Hits: %d\r\nContent-Length: %d\r\n\r\n" % (hits[port], len(answer)) + answer)


def run_servers(ports: list[int]) -> None:
    """Answer until SIGTERM."""
    ended = Event()
    gevent.signal_handler(signal.SIGTERM, ended.set)
    hits: Counter[int] = Counter()
    for port in ports:
        StreamServer(("127.0.0.1", port), lambda sock, _: serve(hits, sock), backlog=1024).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    ended.wait()


if __name__ == "__main__":
    if sys.argv[1] == "server":
        run_servers([int(port) for port in sys.argv[2:]])
    else:
        run_client(int(sys.argv[2]))
