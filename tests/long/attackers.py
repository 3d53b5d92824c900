"""Clients that mean no good: attackers.py PORT COUNT, of each of three kinds; prints as JSON how each kind ended.

    head    a request head of which one byte comes every SLOW_S
    body    a PUT of 1 MB of which one byte comes every SLOW_S
    read    a GET of /1m whose answer is never read

Runs until all of them were thrown out, or DEADLINE_S. `ended` counts those that the server ended; `answers` the first lines that
they got; `longest_s` is how long the most persistent one held out.
"""

import json
import resource
import socket
import sys
import time
from collections import Counter

import gevent
from gevent import socket as green

SLOW_S = 3.0  # longer than the limits of the test
DEADLINE_S = 30.0
HEADS = {
    "head": b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    "body": b"PUT /put/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
    "read": b"GET /1m HTTP/1.1\r\nHost: x\r\n\r\n",
}


class Kind:
    """All attackers of one kind."""

    def __init__(self, port: int, name: str) -> None:
        self.port = port
        self.name = name
        self.ended = 0
        self.longest_s = 0.0
        self.answers: Counter[str] = Counter()

    def attack(self, number: int) -> None:
        """One attacker, until it is thrown out."""
        with green.socket() as sock:
            sock.bind((f"127.0.1.{1 + number % 4}", 0))
            # A small segment size keeps the kernel's send buffer at the other end small: the answer gets stuck in the proxy.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", self.port))
            begun = time.monotonic()
            sock.sendall(HEADS[self.name])
            if self.name == "read":
                self.wait_reset(sock)
            else:
                self.drip(sock)
            self.ended += 1
            self.longest_s = max(self.longest_s, time.monotonic() - begun)

    def drip(self, sock: green.socket) -> None:
        """Send a byte now and then, until the server answers and closes."""
        answer = b""
        sock.settimeout(SLOW_S)
        try:
            while more := self.listen(sock):
                answer += more
        except OSError as error:
            answer = answer or str(error).encode()
        self.answers[answer.partition(b"\r\n")[0].decode()] += 1

    @staticmethod
    def listen(sock: green.socket) -> bytes:
        """What comes next; a byte goes whenever nothing came for SLOW_S."""
        while True:
            try:
                return bytes(sock.recv(4096))
            except TimeoutError:
                sock.sendall(b"x")

    @staticmethod
    def wait_reset(sock: green.socket) -> None:
        """Until the server has reset the connection: seen without reading."""
        while sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 7:  # TCP_CLOSE
            gevent.sleep(0.25)


def main() -> None:
    """All at once."""
    port, count = int(sys.argv[1]), int(sys.argv[2])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kinds = [Kind(port, name) for name in HEADS]
    attackers = [gevent.spawn(kind.attack, number) for number in range(count) for kind in kinds]
    gevent.joinall(attackers, timeout=DEADLINE_S)
    found = {k.name: {"ended": k.ended, "longest_s": round(k.longest_s, 2), "answers": k.answers} for k in kinds}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
