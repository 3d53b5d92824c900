"""Clients that begin a request and leave it at that: beginners.py PORT COUNT NUMBER, from addresses of 127.<NUMBER>.0.0.

Says `begun` when all COUNT are connected and have sent their first bytes, then waits for the end of all of them, or of its stdin;
prints as JSON how many were ended, and the first lines of what they were told.
"""

import json
import resource
import select
import socket
import sys
import time
from collections import Counter

ADDRESSES = 64  # of each process
BEGINNINGS = (b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX-Filler: " + b"x" * 200)
NO_PORT_YET = 24  # IP_BIND_ADDRESS_NO_PORT: a port for each address and far end


def begin(port: int, number: int, which: int) -> socket.socket:
    """One client."""
    sock = socket.socket()
    sock.setsockopt(socket.IPPROTO_IP, NO_PORT_YET, 1)
    sock.bind((f"127.{number}.0.{1 + which % ADDRESSES}", 0))
    sock.connect(("127.0.0.1", port))
    sock.sendall(BEGINNINGS[which % len(BEGINNINGS)])
    sock.setblocking(False)
    return sock


def main() -> None:
    """All of them."""
    port, count, number = map(int, sys.argv[1:4])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    started = time.monotonic()
    socks = {sock.fileno(): sock for sock in (begin(port, number, which) for which in range(count))}
    sys.stdout.write(f"begun {time.monotonic() - started:.1f}\n")
    sys.stdout.flush()
    told: Counter[str] = Counter()
    poller = select.epoll()
    for fd in socks:
        poller.register(fd, select.EPOLLIN)
    poller.register(sys.stdin.fileno(), select.EPOLLIN)
    goes_on = True
    while goes_on and socks:
        for fd, _ in poller.poll(1.0):
            if fd == sys.stdin.fileno():
                goes_on = False
                continue
            try:
                data = socks[fd].recv(4096)
            except ConnectionResetError:
                data = b""
            if data:
                told[data.partition(b"\r\n")[0].decode()] += 1
            else:
                socks.pop(fd).close()
    sys.stdout.write(json.dumps({"ended": count - len(socks), "told": told}))


if __name__ == "__main__":
    main()
