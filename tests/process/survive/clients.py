"""Clients that stay connected while something is done to the program, each with a check of all it saw."""

import json
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.process.program import say
from tests.process.rpc.load import Load

HERE = Path(__file__).parent
BOLT_DEPTH = 8
FOR_EVER_S = 3600.0


class WebSocketServer:
    """web_socket_load.py as a server."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process = _run("server", self.port)

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.communicate()


class WebSockets:
    """*count* WebSockets that talk."""

    def __init__(self, port: int, count: int) -> None:
        self.count = count
        self.process = _run("client", port, count)

    def check(self) -> None:
        """Every message has come back, once and in order, and every connection is the one that was opened."""
        counts: dict[str, Any] = json.loads(self.process.communicate(timeout=60)[0])
        say(f"WebSockets: {counts}")
        assert counts["open"] == self.count
        assert counts["failures"] == []
        assert counts["sent"] == counts["received"] > self.count
        assert not {"wrong", "lost", "broken"} & set(counts)

    def end(self) -> None:
        """Kill it, if it runs."""
        self.process.kill()
        self.process.communicate()


class BoltConnections:
    """*count* bolt connections with BOLT_DEPTH requests under way on each."""

    def __init__(self, port: int, count: int) -> None:
        self.count = count
        self.load = Load(port, count, 0, FOR_EVER_S, depth=BOLT_DEPTH)

    def check(self) -> None:
        """Every request has got its one right answer, on the connection that it was sent on."""
        result = self.load.stop()
        say(f"bolt: {result}")
        assert result["sent"] == result["right"] > BOLT_DEPTH * self.count
        assert result["unasked"] == result["wrong"] == result["refused"] == 0
        assert result["closed_at"] == []

    def end(self) -> None:
        """Kill it, if it runs."""
        self.load.process.kill()
        self.load.process.communicate()


class IdleConnections:
    """*count* HTTP/1 connections that have had one answer each and wait."""

    def __init__(self, port: int, count: int) -> None:
        self.socks: list[socket.socket] = []
        for _ in range(count):
            self.socks.append(socket.create_connection(("127.0.0.1", port), timeout=10))
            self._ask(self.socks[-1])
        self.names = [sock.getsockname() for sock in self.socks]

    def check(self) -> None:
        """Nothing was heard on any of them, and each serves one more request."""
        poller = select.poll()
        for sock in self.socks:
            poller.register(sock, select.POLLIN | select.POLLRDHUP)
        heard = poller.poll(0)
        assert heard == [], f"{len(heard)} of {len(self.socks)} heard something"
        for sock in self.socks:
            self._ask(sock)
        assert [sock.getsockname() for sock in self.socks] == self.names
        say(f"idle: {len(self.socks)} connections had another answer")
        self.end()

    def end(self) -> None:
        """Close them."""
        for sock in self.socks:
            sock.close()

    @staticmethod
    def _ask(sock: socket.socket) -> None:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer or answer.endswith(b"\r\n\r\n"):
            piece = sock.recv(4096)
            assert piece, f"the end after {answer!r}"
            answer += piece
        assert answer.startswith(b"HTTP/1.1 200 OK") and b"close" not in answer, answer


def _run(*words: object) -> "subprocess.Popen[str]":
    command = [sys.executable, str(HERE / "web_socket_load.py"), *map(str, words)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process
