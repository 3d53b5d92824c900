"""The host behind the proxy in a load test: small, large and streamed answers, uploads, and a port that breaks every promise.

gevent's own WSGI server does the HTTP, so that what the proxy forwards is judged by a parser that is not ours.
Run by run.py; prints the two ports it listens on.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from gevent import joinall, socket, spawn
from gevent.pywsgi import WSGIServer
from gevent.server import StreamServer

SMALL = b"x" * 1024
BLOCK = bytes(range(256)) * 64  # 16 KiB
LARGE_BLOCKS = 64  # 1 MiB

Environment = dict[str, Any]
Start = Callable[[str, list[tuple[str, str]]], object]


def answer(environment: Environment, start: Start) -> Iterator[bytes]:
    """One request: what is answered is chosen by its path."""
    path = environment["PATH_INFO"]
    if path == "/small":
        start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(SMALL)))])
        yield SMALL
    elif path == "/large":
        start("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(BLOCK) * LARGE_BLOCKS))])
        yield from [BLOCK] * LARGE_BLOCKS
    elif path == "/stream":  # no length: the server sends it chunked
        start("200 OK", [("Content-Type", "application/octet-stream")])
        yield from [BLOCK] * LARGE_BLOCKS
    elif path == "/upload":
        seen = hashlib.sha256()
        while block := environment["wsgi.input"].read(len(BLOCK)):
            seen.update(block)
        start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "64")])
        yield seen.hexdigest().encode()
    else:
        start("404 Not Found", [("Content-Length", "0")])


def hang_up(connection: socket.socket, _address: object) -> None:
    """Read a request and close without an answer."""
    connection.recv(65536)
    connection.close()


def main() -> None:
    """Serve until killed."""
    good = WSGIServer(("127.0.0.1", 0), answer, log=None)
    broken = StreamServer(("127.0.0.1", 0), hang_up)
    good.start()
    broken.start()
    good.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted connections take it over; Nagle would add 40 ms
    print(good.server_port, broken.server_port, flush=True)
    joinall([spawn(good.serve_forever), spawn(broken.serve_forever)])


if __name__ == "__main__":
    main()
