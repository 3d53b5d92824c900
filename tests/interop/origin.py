"""A server for the tests with real clients: gevent's WSGI server, told by the path what to answer; prints its port.

    /echo       the request body, by its length; what arrived is in the header fields x-method, x-length, x-hash, x-version
    /stream     1 MiB in 64 pieces, without a length: chunked
    /size/N     N bytes by length
    /status/N   an empty answer of that status
"""

import hashlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from gevent.pywsgi import WSGIServer

BLOCK = bytes(range(256)) * 64  # 16 KiB
PIECES = 64

Environment = dict[str, Any]
Start = Callable[[str, list[tuple[str, str]]], object]


def answer(environment: Environment, start: Start) -> Iterator[bytes]:
    """One request; gevent leaves it to the application to send no body after HEAD."""
    body = serve(environment, start)
    if environment["REQUEST_METHOD"] == "HEAD":
        next(body, b"")
        return iter(())
    return body


def serve(environment: Environment, start: Start) -> Iterator[bytes]:
    """The answer as for GET."""
    _, kind, *rest = environment["PATH_INFO"].split("/")
    if kind == "echo":
        body = environment["wsgi.input"].read()
        fields = [
            ("x-method", environment["REQUEST_METHOD"]),
            ("x-length", environment.get("CONTENT_LENGTH") or "none"),
            ("x-hash", hashlib.sha256(body).hexdigest()),
            ("x-version", environment["SERVER_PROTOCOL"]),
        ]
        start("200 OK", [*fields, ("Content-Length", str(len(body)))])
        yield body
    elif kind == "stream":
        start("200 OK", [("Content-Type", "application/octet-stream")])
        yield from [BLOCK] * PIECES
    elif kind == "size":
        length = int(rest[0])
        start("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(length))])
        yield (BLOCK * (length // len(BLOCK) + 1))[:length]
    else:
        start(f"{rest[0]} As Asked", [("Content-Length", "0")])


def main() -> None:
    """Serve until killed."""
    server = WSGIServer(("127.0.0.1", 0), answer, log=None)
    server.start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
