"""Many clients at once, served by one thread, and a host that answers as many; every wait has a deadline."""

import contextlib
import multiprocessing
import select
import socket
import threading
import time
from collections import Counter
from multiprocessing.connection import Connection
from typing import Self

from tests.process.proxy.wire import request

DEADLINE_S = 20.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Crowd:
    """Clients of one port, each of which asks once; who is answered closes, or (*stays*) waits."""

    def __init__(self, port: int, count: int, path: str = "/", stays: bool = False) -> None:
        """Connect all of them, without waiting for any."""
        self._poller = select.epoll()
        self._request = request(path)
        self._stays = stays
        self._clients: dict[int, socket.socket] = {}
        self._unread: dict[int, bytes] = {}
        self.kept: list[socket.socket] = []
        self.answers: Counter[str] = Counter()  # first lines, or why there is none
        for _ in range(count):
            client = socket.socket()
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(("127.0.0.1", port))
            self._clients[client.fileno()] = client
            self._unread[client.fileno()] = b""
            self._poller.register(client, select.EPOLLOUT)

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        for client in (*self._clients.values(), *self.kept):
            client.close()
        self._poller.close()

    def run(self, seconds: float = DEADLINE_S) -> Counter[str]:
        """Go on until all are answered, at most for *seconds*; the answers so far."""
        until = time.monotonic() + seconds
        while self._clients and time.monotonic() < until:
            for fd, events in self._poller.poll(0.05):
                if events & select.EPOLLOUT:
                    self._ask(fd)
                else:
                    self._read(fd)
        return self.answers

    @property
    def left(self) -> int:
        """How many have no answer yet."""
        return len(self._clients)

    def _ask(self, fd: int) -> None:
        try:
            self._clients[fd].send(self._request)
        except OSError as e:
            self._end(fd, str(e))
        else:
            self._poller.modify(fd, select.EPOLLIN)

    def _read(self, fd: int) -> None:
        try:
            data = self._clients[fd].recv(65536)
        except OSError as e:
            self._end(fd, str(e))
            return
        self._unread[fd] += data
        if not data:
            self._end(fd, "closed without an answer")
        elif b"\r\n\r\n" in self._unread[fd]:
            self._end(fd, self._unread[fd].partition(b"\r\n")[0].decode())

    def _end(self, fd: int, how: str) -> None:
        self.answers[how] += 1
        client = self._clients.pop(fd)
        self._poller.unregister(fd)
        if self._stays:
            self.kept.append(client)
        else:
            client.close()


class QuickHost:
    """A host with keep-alive connections, as many as wanted; while `holds` is set requests wait for their answers."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        self.holds = threading.Event()
        self._held: list[socket.socket] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def held(self) -> int:
        """Requests that wait for their answers."""
        return len(self._held)

    def close(self) -> None:
        """Stop."""
        self._ended.set()
        self._thread.join(DEADLINE_S)

    def _serve(self) -> None:
        poller = select.epoll()
        clients: dict[int, socket.socket] = {}
        self._listener.setblocking(False)
        poller.register(self._listener, select.EPOLLIN)
        while not self._ended.is_set():
            for fd, _ in poller.poll(0.02):
                if fd == self._listener.fileno():
                    self._accept(poller, clients)
                else:
                    self._answer(clients, fd)
            if not self.holds.is_set():
                while self._held:
                    self._held.pop().send(ANSWER)
        for client in (self._listener, *clients.values()):
            client.close()
        poller.close()

    def _accept(self, poller: select.epoll, clients: dict[int, socket.socket]) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                client, _ = self._listener.accept()
                client.setblocking(False)
                self.connections += 1
                clients[client.fileno()] = client
                poller.register(client, select.EPOLLIN)

    def _answer(self, clients: dict[int, socket.socket], fd: int) -> None:
        try:
            data = clients[fd].recv(65536)
        except OSError:
            data = b""
        if not data:
            clients.pop(fd).close()
        elif self.holds.is_set():
            self._held.append(clients[fd])
        else:
            clients[fd].send(ANSWER * data.count(b"\r\n\r\n"))


class FarHost:
    """A QuickHost in a process of its own, which has descriptors of its own."""

    def __init__(self) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._pipe, other = spawning.Pipe()
        self._process = spawning.Process(target=_serve_far, args=(other,), daemon=True)
        self._process.start()
        other.close()
        self.port: int = self._pipe.recv()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(DEADLINE_S)

    def hold(self) -> None:
        """Let requests wait for their answers."""
        self._pipe.send(True)

    def answer(self) -> None:
        """Answer those that wait, and what comes."""
        self._pipe.send(False)

    @property
    def held(self) -> int:
        """Requests that wait for their answers."""
        self._pipe.send(None)
        return int(self._pipe.recv())


def _serve_far(pipe: Connection) -> None:
    """The process of a FarHost: does what it is told, until nobody tells any more."""
    host = QuickHost()
    pipe.send(host.port)
    with contextlib.suppress(EOFError):
        while True:
            order = pipe.recv()
            if order is None:
                pipe.send(host.held)
            elif order:
                host.holds.set()
            else:
                host.holds.clear()
    host.close()
