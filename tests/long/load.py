"""Checks every answer: load.py PORT CONNECTIONS [fresh] [think], until its standard input ends.

Prints `begun` at the first right answer, and at the end as JSON what happened.

Each connection asks for /echo/N, N never the same twice, and wants it back as the body; `fresh` makes a connection per request,
`think` waits up to 100 ms before each and makes a new one for about every tenth.

    ok          answers that were right
    connect     connections that were refused or timed out
    in_flight   requests without a whole answer: the connection broke after the request was sent
    status      answers of another status than 200
    wrong       answers with another body
    idle        connections that ended between two requests: no failure
    broken      for each request in_flight: the client's port, when it was sent and when it failed (CLOCK_MONOTONIC)
"""

import json
import random
import socket
import sys
import time
from collections import Counter
from itertools import count

import gevent
from gevent import select
from gevent import socket as green
from gevent.event import Event

TIMEOUT_S = 20.0
THINK_S = 0.1


class Client:
    """All connections."""

    def __init__(self, port: int, *, is_fresh: bool, is_thinking: bool) -> None:
        self.port = port
        self.is_fresh = is_fresh
        self.is_thinking = is_thinking
        self.seen: Counter[str] = Counter()
        self.examples: list[str] = []
        self.broken: list[tuple[int, float, float]] = []
        self.numbers = count()
        self.has_begun = Event()
        self.is_ending = False

    def run(self) -> None:
        """One connection after the other, until the end."""
        while not self.is_ending:
            try:
                sock = green.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)
            except OSError as error:
                self.note("connect", str(error))
                gevent.sleep(0.01)
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with sock:
                while not self.is_ending and self.ask(sock) and not self.is_moving_on():
                    continue

    def is_moving_on(self) -> bool:
        """Whether the next request takes a new connection."""
        return self.is_fresh or (self.is_thinking and random.random() < 0.1)

    def ask(self, sock: green.socket) -> bool:
        """One request; whether the connection may carry another."""
        if self.is_thinking:
            gevent.sleep(random.uniform(0, THINK_S))
        sent_at = time.monotonic()  # before the look: what ends the connection between look and send ends a request
        if select.select([sock], [], [], 0)[0]:
            self.seen["idle"] += 1
            return False
        path = f"/echo/{next(self.numbers)}"
        try:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: load\r\n\r\n".encode())
            head, body = self.read(sock)
        except OSError as error:
            self.note("in_flight", f"{path}: {error}")
            self.broken.append((sock.getsockname()[1], sent_at, time.monotonic()))
            return False
        if not head.startswith("HTTP/1.1 200 "):
            self.note("status", head + body)
        elif body != path:
            self.note("wrong", f"{path}: {body}")
        else:
            self.seen["ok"] += 1
            self.has_begun.set()
            return True
        return False

    @staticmethod
    def read(sock: green.socket) -> tuple[str, str]:
        """Head and body of one answer by length."""
        data = b""
        while True:
            head, end, body = data.partition(b"\r\n\r\n")
            if end:
                length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                if len(body) >= length:
                    return head.decode(), body.decode()
            more = sock.recv(65536)
            if not more:
                raise OSError(f"closed after {len(data)} bytes")
            data += more

    def note(self, kind: str, text: str) -> None:
        """Something went wrong."""
        self.seen[kind] += 1
        if len(self.examples) < 20:
            self.examples.append(f"{kind}: {text}")


def main() -> None:
    """Until standard input ends."""
    port, connections, *words = sys.argv[1:]
    client = Client(int(port), is_fresh="fresh" in words, is_thinking="think" in words)
    workers = [gevent.spawn(client.run) for _ in range(int(connections))]
    client.has_begun.wait()
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    gevent.os.tp_read(0, 1)
    client.is_ending = True
    gevent.joinall(workers)
    sys.stdout.write(json.dumps({**client.seen, "examples": client.examples, "broken": client.broken}))


if __name__ == "__main__":
    main()
