"""What another worker sends as a connection, as a stranger's input: whoever sends it may have been taken over.

What numbers and texts may be is said with the frame (ipc.frames), what the listener speaks is looked at where the connection
arrives (proxy.moving.arrival); here it is the descriptors.
"""

import fcntl
import os
import socket
import stat
import struct
import termios
from collections.abc import Sequence

from mosn_mp.ipc.channel import BadFrameError
from mosn_mp.ipc.frames import Transfer


def check_transfer(frame: Transfer, fds: Sequence[int]) -> None:
    """BadFrameError if *fds* are not what *frame* says; the sockets among them never block from now on."""
    filled = [length for length in frame.tunnel.pipes if length] if frame.tunnel is not None else []
    if frame.tunnel is not None and frame.waiting:
        raise BadFrameError("a tunnel with requests under way")
    sockets = 2 if frame.tunnel is not None or frame.waiting else 1
    if len(fds) != sockets + 2 * len(filled):
        raise BadFrameError(f"{len(fds)} descriptors instead of {sockets + 2 * len(filled)}")
    for fd in fds[:sockets]:
        _check_connection(fd)
    for at, length in enumerate(filled):
        _check_pipe(fds[sockets + 2 * at], fds[sockets + 2 * at + 1], length)


def _check_connection(fd: int) -> None:
    try:
        sock = socket.socket(fileno=fd)
    except OSError as e:
        raise BadFrameError(f"no socket: {e}") from e
    try:
        if sock.type != socket.SOCK_STREAM or sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise BadFrameError("no connection, but another kind of socket")
        sock.setblocking(False)
    finally:
        sock.detach()


def _check_pipe(read_end: int, write_end: int, length: int) -> None:
    ends = os.fstat(read_end), os.fstat(write_end)
    if not all(stat.S_ISFIFO(end.st_mode) for end in ends) or ends[0].st_ino != ends[1].st_ino:
        raise BadFrameError("two descriptors that are not the ends of a pipe")
    modes = [fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE for fd in (read_end, write_end)]
    if modes != [os.O_RDONLY, os.O_WRONLY]:
        raise BadFrameError("a pipe's ends the other way round")
    try:
        found = struct.unpack("i", fcntl.ioctl(read_end, termios.FIONREAD, bytes(4)))[0]
    except OSError as e:
        raise BadFrameError(f"a pipe that cannot be read: {e}") from e
    if found != length:
        raise BadFrameError(f"a pipe with {found} bytes instead of {length}")
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
