"""The control socket: `<pid file>.sock`, mode 0600, where the command line asks the running master.

Each connection is one Ask and one Answer over SOCK_SEQPACKET. Only the master's own user and root are heard (SO_PEERCRED).
"""

import contextlib
import errno
import logging
import os
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from mosn_mp.ipc.channel import Channel, Delivery, close_fds
from mosn_mp.ipc.frames import Answer, Ask
from mosn_mp.ipc.memfd import seal_bytes
from mosn_mp.master.border.paths import Place, find_place
from mosn_mp.master.events.channel import EventChannel
from mosn_mp.master.events.loop import READABLE, Loop, Timer

log = logging.getLogger("mosn_mp.master")

MAX_CLIENTS = 16  # a person and a few scripts; the rest waits in the backlog
CLIENT_TIMEOUT_S = 10.0
RETRY_S = 0.2  # of what there is no descriptor or memory for now
_UCRED = struct.Struct("3i")


def control_path(pid_path: str) -> str:
    """Where the control socket of the master with pid file *pid_path* is."""
    return pid_path + ".sock"


def short_address(place: Place) -> str:
    """The address of the socket at *place*, which fits sockaddr_un (108 bytes) however deep the directory is."""
    return f"/proc/self/fd/{place.fd}/{place.name}"


class Client(NamedTuple):
    """Who asks, and the end of our patience."""

    channel: EventChannel
    timer: Timer


class Question(NamedTuple):
    """What a client asks, until it is answered or somebody else's. It may hang up meanwhile."""

    ask: Ask
    reply: Callable[[Answer], None]
    is_open: Callable[[], bool]
    detach: Callable[[], int]  # the connection's descriptor; -1: it hung up


class ControlSocket:
    """The listening end; to be made by the holder of the pid file, so whatever lies at the path is stale."""

    def __init__(
        self, loop: Loop, path: str, answer: Callable[[Question], None], inherited: int | None = None
    ) -> None:
        """Listen at *path*; OSError if that cannot be done. *answer* gets each question.

        *inherited* is the descriptor of a master before us that listens there: nobody who asks meanwhile is turned away.
        """
        self._loop = loop
        self._place = find_place(path)
        self._answer = answer
        self._clients: dict[int, Client] = {}
        self._next_number = 0
        if inherited is None:
            try:
                self._sock = _listen(self._place)
            except OSError:
                os.close(self._place.fd)
                raise
        else:
            self._sock = socket.socket(fileno=inherited)
            self._sock.setblocking(False)
            self._sock.listen(MAX_CLIENTS)  # so that the kernel tells our pid to who connects
        loop.watch(self._sock.fileno(), self._accept)

    def fileno(self) -> int:
        """The listening descriptor."""
        return self._sock.fileno()

    def leave(self) -> None:
        """Another master answers from now on; who asked us is answered yet."""
        self._loop.unwatch(self._sock.fileno())
        self._sock.close()
        os.close(self._place.fd)

    def close(self) -> None:
        """Hang up on all and, unless it was left to another master, remove the socket."""
        if self._sock.fileno() >= 0:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._place.name, dir_fd=self._place.fd)
            self.leave()
        for number in list(self._clients):
            self._drop(number)

    def _accept(self, _: int) -> None:
        try:
            sock, _address = self._sock.accept()
        except OSError as e:  # it hung up again, or we are out of descriptors: then it waits, and so do we
            if e.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._loop.rewatch(self._sock.fileno(), 0)
                self._loop.call_later(RETRY_S, self._accept_again)
            return
        _pid, uid, _gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        if uid not in (0, os.geteuid()) or len(self._clients) >= MAX_CLIENTS:
            sock.close()
        else:
            self._add(sock)

    def adopt(self, fd: int, ask: Ask) -> None:
        """Answer *ask* of the client *fd*, which the master before us has heard."""
        number = self._add(socket.socket(fileno=fd))
        if number >= 0:
            self._ask(number, ask)

    def _add(self, sock: socket.socket) -> int:
        """The number of a client, -1 if there is nothing left to hear it with."""
        number = self._next_number
        self._next_number += 1
        try:
            channel = EventChannel(
                self._loop, Channel(sock), "control client", lambda d: self._reply(number, d), lambda: self._drop(number),
                on_end=lambda: self._drop(number),
            )  # fmt: skip
        except OSError as e:
            log.error("a control client was not heard: %s", e.strerror)
            sock.close()
            return -1
        self._clients[number] = Client(channel, self._loop.call_later(CLIENT_TIMEOUT_S, lambda: self._drop(number)))
        return number

    def _accept_again(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.rewatch(self._sock.fileno(), READABLE)

    def _reply(self, number: int, delivery: Delivery) -> None:
        if isinstance(delivery.frame, Ask):
            self._ask(number, delivery.frame)
        else:
            self._drop(number)

    def _ask(self, number: int, ask: Ask) -> None:
        self._clients[number].timer.cancel()  # an answer may take as long as a reload does
        self._answer(
            Question(ask, partial(self._tell, number), lambda: number in self._clients, partial(self._detach, number))
        )

    def _detach(self, number: int) -> int:
        client = self._clients.pop(number, None)
        if client is None:
            return -1
        client.timer.cancel()
        return client.channel.detach()

    def _tell(self, number: int, answer: Answer) -> None:
        client = self._clients.get(number)
        if client is None:
            return  # it hung up meanwhile
        try:
            fds = (seal_bytes("mosn_mp-answer", answer.body),) if answer.body else ()
        except OSError:
            self._loop.call_later(RETRY_S, lambda: self._tell(number, answer))
            return
        client.channel.send(replace(answer, body=b""), fds)
        close_fds(fds)
        self._clients[number] = Client(client.channel, self._loop.call_later(CLIENT_TIMEOUT_S, lambda: self._drop(number)))

    def _drop(self, number: int) -> None:
        client = self._clients.pop(number, None)
        if client is not None:
            client.timer.cancel()
            client.channel.close()


def _listen(place: Place) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(place.name, dir_fd=place.fd)
    # The mode at bind() counts: a chmod afterwards would leave a moment for others.
    umask = os.umask(0o177)
    try:
        sock.bind(short_address(place))
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(umask)
    sock.listen(MAX_CLIENTS)
    return sock
