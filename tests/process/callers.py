"""Connects again and again, one request on each connection, until refused: `callers.py PORT`; prints what became of them.

answered    the right answer came
refused     nobody listened (any more): the only end that a caller may see of a program that stops
others      the errno of what broke, or `ended` for a connection that was closed without an answer
"""

import errno
import json
import sys
from collections import Counter

import gevent
from gevent import socket

CALLERS = 32
TIMEOUT_S = 8.0
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def call(port: int) -> str:
    """One connection with one request, and its end."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as sock:
            sock.sendall(REQUEST)
            return "answered" if sock.recv(4096).startswith(b"HTTP/1.1 200 OK") else "ended"
    except OSError as e:
        name = errno.errorcode.get(e.errno or 0, type(e).__name__)
        return "refused" if name == "ECONNREFUSED" else name


def main() -> None:
    """Call until refused."""
    counts: Counter[str] = Counter()

    def work() -> None:
        outcome = ""
        while outcome != "refused":
            outcome = call(int(sys.argv[1]))
            counts[outcome] += 1

    gevent.joinall([gevent.spawn(work) for _ in range(CALLERS)])
    sys.stdout.write(json.dumps(counts))


if __name__ == "__main__":
    main()
