"""A data plane for tests of the processes around it: plain gevent sockets, a fixed answer that names the worker."""

import contextlib
import os
import socket
import time
from collections.abc import Mapping

import gevent

from mosn_mp.buffer.arena import Arena
from mosn_mp.cluster.state import RECORD_TYPES
from mosn_mp.config.model import Config
from mosn_mp.errors import ConfigError
from mosn_mp.ipc.tables import decode_tables
from mosn_mp.observe.directory import Directory
from mosn_mp.worker.boot import Shared
from mosn_mp.worker.plane import SocketKey

HOLD_BLOCKS = 3  # arena blocks that a worker holds all its life, for the master to take back


class FakePlane:
    """Answers every connection with its pid: `/slow` after a second, `/slower` after three, `/die` never.

    FAKE_REFUSE_SLOT, FAKE_HANG_SLOT and FAKE_DIE_SLOT in the environment make prepare() fail in that slot; FAKE_BAD_FILE while
    that file exists.
    """

    def __init__(self, slot: int, arena: Arena, shared: Shared) -> None:
        self.slot = slot
        self.arena = arena
        self.listeners: list[socket.socket] = []
        self.in_flight = 0
        self.acceptors: list[gevent.Greenlet] = []

    def prepare(self, config: Config, version: int, sockets: Mapping[SocketKey, int], tables: bytes) -> dict[SocketKey, int]:
        places = decode_tables(tables)
        assert Directory.unpack(places.metrics).find("downstream", [("listener", "front")]) is not None
        assert Directory.unpack(places.state, RECORD_TYPES).find("listener", [("listener", "front")]) is not None
        here = str(self.slot)
        if os.environ.get("FAKE_REFUSE_SLOT") == here or os.path.exists(os.environ.get("FAKE_BAD_FILE", "/nonexistent")):
            raise ConfigError("servers[0].listeners[0]", "the fake data plane does not like it")
        if os.environ.get("FAKE_HANG_SLOT") == here:
            time.sleep(60)
        if os.environ.get("FAKE_DIE_SLOT") == here:
            os._exit(3)
        return dict(sockets)

    def commit(self, prepared: dict[SocketKey, int]) -> None:
        for _ in range(HOLD_BLOCKS):
            self.arena.take_block(4096)
        for fd in prepared.values():
            sock = socket.socket(fileno=os.dup(fd))
            sock.setblocking(False)
            self.listeners.append(sock)
            self.acceptors.append(gevent.spawn(self.accept, sock))

    def abort(self, prepared: dict[SocketKey, int]) -> None:
        pass

    def accept(self, listening: socket.socket) -> None:
        hub = gevent.get_hub()
        while True:
            try:
                sock, _ = listening.accept()
            except BlockingIOError:
                hub.wait(hub.loop.io(listening.fileno(), 1))
                continue
            gevent.spawn(self.serve, sock)

    def serve(self, sock: socket.socket) -> None:
        hub = gevent.get_hub()
        sock.setblocking(False)
        self.in_flight += 1
        try:
            while True:
                try:
                    head = sock.recv(65536)
                    break
                except BlockingIOError:
                    hub.wait(hub.loop.io(sock.fileno(), 1))
            if head.startswith(b"GET /die"):
                os._exit(7)
            if head.startswith(b"GET /slow"):
                gevent.sleep(3 if head.startswith(b"GET /slower") else 1)
            body = b"%d" % os.getpid()
            sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        finally:
            self.in_flight -= 1
            sock.close()

    def drain(self, deadline_s: float) -> None:
        gevent.killall(self.acceptors, block=False)
        for listening in self.listeners:
            with contextlib.suppress(BlockingIOError):
                while True:
                    gevent.spawn(self.serve, listening.accept()[0])
            listening.close()

    def is_drained(self) -> bool:
        return self.in_flight == 0

    def active(self) -> int:
        return self.in_flight

    def close_all(self) -> None:
        pass

    def reopen_logs(self) -> None:
        pass

    def set_log_enabled(self, log_path: str, enabled: bool) -> bool:
        return False

    def lend(self, listener_name: str, fd: int) -> None:
        pass
