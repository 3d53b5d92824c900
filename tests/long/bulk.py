"""Both ends of huge transfers, each a process of its own that holds one block in memory.

    bulk.py serve                                       prints its port; GET /length/N and /chunked/N send N bytes, PUT takes any
    bulk.py download PORT length|chunked N [PER_S S]    reads N bytes; or only S seconds, at PER_S bytes a second
    bulk.py upload PORT length|chunked N                sends N bytes

Every block of 1 MiB is random and carries its number, so that a lost, doubled or swapped block changes the hash. The one who
receives prints, or answers, the count and the hash (BLAKE2b) as JSON; the hash of what should come is expected_hash(N).
"""

import hashlib
import http.client
import json
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MIB = 1 << 20
BLOCK = random.Random(1).randbytes(MIB)
PIECE = 256 * 1024  # of one read


def blocks(count: int) -> Iterator[memoryview]:
    """*count* bytes in blocks; each is valid until the next."""
    block = bytearray(BLOCK)
    for number in range((count + MIB - 1) // MIB):
        block[:8] = number.to_bytes(8, "big")
        yield memoryview(block)[: min(MIB, count - number * MIB)]


def expected_hash(count: int) -> str:
    """Of what blocks(count) gives."""
    seen = hashlib.blake2b()
    for block in blocks(count):
        seen.update(block)
    return seen.hexdigest()


def send(sock: socket.socket, count: int, framing: str) -> None:
    """A body of *count* bytes."""
    for block in blocks(count):
        if framing == "chunked":
            sock.sendall(b"%x\r\n" % len(block))
        sock.sendall(block)
        if framing == "chunked":
            sock.sendall(b"\r\n")
    if framing == "chunked":
        sock.sendall(b"0\r\n\r\n")


class Source(BaseHTTPRequestHandler):
    """The server's side."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send what the path says."""
        _, framing, count = self.path.split("/")
        self.send_response(200)
        if framing == "length":
            self.send_header("Content-Length", count)
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            send(self.connection, int(count), framing)
        except OSError:
            self.close_connection = True

    def do_PUT(self) -> None:
        """Take a body, tell its length and hash."""
        seen, count = hashlib.blake2b(), 0
        for piece in self._pieces():
            count += len(piece)
            seen.update(piece)
        answer = json.dumps({"count": count, "hash": seen.hexdigest()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _pieces(self) -> Iterator[bytes]:
        if length := self.headers.get("Content-Length"):
            yield from self._exactly(int(length))
            return
        while size := int(self.rfile.readline(), 16):
            yield from self._exactly(size)
            assert self.rfile.readline() == b"\r\n"
        assert self.rfile.readline() == b"\r\n"

    def _exactly(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self.rfile.read1(min(PIECE, left))
            assert piece, "the body ends early"
            left -= len(piece)
            yield piece

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def serve() -> None:
    """Until killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Source)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


def download(port: int, framing: str, count: int, per_s: int = 0, seconds: float = 0) -> dict[str, object]:
    """Read *count* bytes, or at *per_s* for *seconds*."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    client.request("GET", f"/{framing}/{count}")
    answer = client.getresponse()
    seen, got, buffer = hashlib.blake2b(), 0, memoryview(bytearray(PIECE))
    begun = time.monotonic()
    while size := answer.readinto(buffer):
        seen.update(buffer[:size])
        got += size
        if seconds and time.monotonic() - begun > seconds:
            break
        if per_s:
            time.sleep(max(0.0, begun + got / per_s - time.monotonic()))
    return {"count": got, "hash": seen.hexdigest()}


def upload(port: int, framing: str, count: int) -> dict[str, object]:
    """Send *count* bytes; the server's word on them."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    client.putrequest("PUT", "/")
    if framing == "length":
        client.putheader("Content-Length", str(count))
    else:
        client.putheader("Transfer-Encoding", "chunked")
    client.endheaders()
    sender = threading.Thread(target=send, args=(client.sock, count, framing))
    sender.start()
    answer: dict[str, object] = json.loads(client.getresponse().read())
    sender.join()
    return answer


def main() -> None:
    """As the arguments say."""
    kind, *words = sys.argv[1:]
    if kind == "serve":
        serve()
        return
    port, framing, count = int(words[0]), words[1], int(words[2])
    if kind == "upload":
        found = upload(port, framing, count)
    else:
        found = download(port, framing, count, *map(int, words[3:]))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
