"""A channel: frames and descriptors over one end of a SOCK_SEQPACKET Unix socket pair (unix(7), SCM_RIGHTS).

A packet is a whole frame, so there is no framing and no partial read; the other end's death is end-of-file. Channels never
block: `send` keeps what the kernel does not take (the owner flushes when the socket is writable), `receive_nowait` gives None
when there is nothing, and `wait_receive` is the one blocking call, with a deadline, for the command line and for start-up.
"""

import array
import contextlib
import errno
import os
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from mosn_mp.ipc.frames import MAX_FDS, MAX_FRAME_BYTES, AnyFrame, Frame, decode_frame, encode_frame

# A healthy receiver empties its channel within one loop turn; this many frames behind, it is stuck or stopped.
MAX_WAITING_FRAMES = 256

_FD_SIZE = array.array("i").itemsize
_GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN)
# The kernel has no memory or descriptor just now; ETOOMANYREFS: too many descriptors are on their way (unix(7)).
_SHORT = (errno.ENOBUFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETOOMANYREFS)
SHORT_S = 0.05  # after which it is worth another try


class ChannelClosedError(Exception):
    """The other end is gone."""


class ChannelStuckError(Exception):
    """The other end does not read: MAX_WAITING_FRAMES wait for it."""


class BadFrameError(Exception):
    """What came is a frame, and not one that the other end may send, or not with what it came with."""


class ChannelShortError(Exception):
    """The kernel has no memory or descriptor for it just now; what was to be received is still there."""


class LostFdsError(ValueError):
    """*frame* arrived without its descriptors: this process may open no more. The kernel has closed them (MSG_CTRUNC)."""

    def __init__(self, frame: AnyFrame) -> None:
        super().__init__(f"a {type(frame).__name__} frame lost its descriptors: no more may be opened (LimitNOFILE, ulimit -n)")
        self.frame = frame


class Delivery(NamedTuple):
    """A frame as received; the receiver owns *fds* (close-on-exec) and closes them."""

    frame: AnyFrame
    fds: list[int]

    def take_fd(self) -> int:
        """The first of them, which close() is not to close."""
        return self.fds.pop(0)

    def close(self) -> None:
        """Close what was not taken."""
        close_fds(self.fds)
        self.fds.clear()


class Channel:
    """One end; owns *sock* (SOCK_SEQPACKET) and makes it non-blocking."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self.max_fds = MAX_FDS  # that one frame may bring; what the kernel has no room for it closes itself
        self._waiting: deque[tuple[bytes, list[int]]] = deque()

    @classmethod
    def pair(cls) -> tuple["Channel", "Channel"]:
        """Two connected ends (close-on-exec)."""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(one), cls(other)

    @classmethod
    def adopt(cls, fd: int) -> "Channel":
        """The end that descriptor *fd* is (inherited over fork or exec); takes it over and marks it close-on-exec."""
        os.set_inheritable(fd, False)
        return cls(socket.socket(fileno=fd))

    def fileno(self) -> int:
        """The socket's descriptor, -1 once closed."""
        return self._sock.fileno()

    def has_waiting(self) -> bool:
        """Whether frames wait for the socket to be writable."""
        return bool(self._waiting)

    def send(self, frame: Frame, fds: Sequence[int] = ()) -> None:
        """Send *frame* with *fds* (duplicated: the caller keeps its own); raises ChannelClosedError, ChannelStuckError, or
        ChannelShortError (nothing was sent, nor waits).
        """
        packed = encode_frame(frame)
        if len(fds) > MAX_FDS:
            raise ValueError(f"{len(fds)} descriptors with one frame: at most {MAX_FDS}")
        if self._waiting or not self._send_packet(packed, fds):
            if len(self._waiting) >= MAX_WAITING_FRAMES:
                raise ChannelStuckError(f"{MAX_WAITING_FRAMES} frames wait for the other end to read")
            self._waiting.append((packed, _duplicates(fds)))

    def flush(self) -> None:
        """Send what waits, as far as the kernel takes it; raises ChannelClosedError."""
        while self._waiting:
            packed, fds = self._waiting[0]
            if not self._send_packet(packed, fds):
                return
            self._waiting.popleft()
            close_fds(fds)

    def receive_nowait(self) -> Delivery | None:
        """The next frame, or None if there is none yet; raises ChannelClosedError, ChannelShortError; LostFdsError for a frame
        whose descriptors are lost, ValueError for no frame.
        """
        try:
            packed, ancillary, flags, _ = self._sock.recvmsg(
                MAX_FRAME_BYTES, _ancillary_bytes(self.max_fds), socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return None
        except OSError as e:
            if e.errno in _GONE:
                raise ChannelClosedError("the other end is gone") from e
            if e.errno in _SHORT:
                raise ChannelShortError(e.strerror) from e
            raise
        fds = _received_fds(ancillary)
        if not packed:
            close_fds(fds)
            raise ChannelClosedError("the other end is gone")
        try:
            if flags & socket.MSG_TRUNC or (flags & socket.MSG_CTRUNC and len(fds) >= self.max_fds):
                raise ValueError(f"a packet larger than a frame, or with more than {self.max_fds} descriptors")
            frame = decode_frame(packed)
            if flags & socket.MSG_CTRUNC:
                raise LostFdsError(frame)
            return Delivery(frame, fds)
        except ValueError:
            close_fds(fds)
            raise

    def wait_receive(self, timeout_s: float) -> Delivery:
        """The next frame, waited for; raises TimeoutError after *timeout_s*, ChannelClosedError, ValueError."""
        until = time.monotonic() + timeout_s
        poller = select.poll()
        poller.register(self._sock, select.POLLIN)
        while True:
            try:
                delivery = self.receive_nowait()
            except ChannelShortError:
                delivery = None
                time.sleep(min(SHORT_S, timeout_s))
            if delivery is not None:
                return delivery
            left_s = until - time.monotonic()
            if left_s <= 0 or not poller.poll(left_s * 1000):
                raise TimeoutError(f"no answer within {timeout_s:g} s")

    def shut_receiving(self) -> None:
        """What the other end sends from now on fails there; what it has sent can still be received."""
        with contextlib.suppress(OSError):  # it is gone
            self._sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close this end and what waited to be sent; the other end sees end-of-file. May be called twice."""
        while self._waiting:
            close_fds(self._waiting.popleft()[1])
        self._sock.close()

    def _send_packet(self, packed: bytes, fds: Sequence[int]) -> bool:
        """Whether the kernel took the packet. Where it has no memory it is as if the other end did not read."""
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self._sock.sendmsg([packed], ancillary, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return False
        except OSError as e:
            if e.errno in _GONE:
                raise ChannelClosedError("the other end is gone") from e
            if e.errno in _SHORT:
                return False
            raise
        return True


def close_fds(fds: Sequence[int]) -> None:
    """Close every descriptor of *fds*."""
    for fd in fds:
        os.close(fd)


def _ancillary_bytes(fds: int) -> int:
    return socket.CMSG_LEN(fds * _FD_SIZE) if fds else 0  # CMSG_SPACE has room for one more where the number is odd


def _duplicates(fds: Sequence[int]) -> list[int]:
    """A duplicate of each of *fds*; ChannelShortError if there are no more to be had."""
    made: list[int] = []
    try:
        for fd in fds:
            made.append(os.dup(fd))
    except OSError as e:
        close_fds(made)
        raise ChannelShortError(e.strerror) from e
    return made


def _received_fds(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors in what recvmsg() gave beside the packet."""
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % _FD_SIZE])
    return fds.tolist()
