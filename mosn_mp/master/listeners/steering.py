"""Who of a SO_REUSEPORT group gets a new connection, and how a listening socket stops to get any, by classic BPF (socket(7)).

The kernel spreads connections over all sockets of a group, and a socket that is closed resets what is queued in it.
So before a socket is closed it must get nothing new while its queue is still served:

* fewer slots: a program of the group chooses among its first *count* sockets only. The kernel numbers the sockets of a group in
  the order of listen(2) and puts the last one into the place of one that is closed, so whoever opens slot by slot and closes the
  highest ones only has number = slot;
* a listener that goes: a filter drops SYN segments, so that no handshake begins; those under way end, and a client that comes
  now tries again a second later and is refused then;
* a socket that is gone for good: shutdown(2) ends it for whoever else holds its descriptor, and the same filter, locked, leaves
  nothing to somebody who calls listen(2) on it again.

Sources: Linux net/core/sock_reuseport.c, net/ipv4/tcp_ipv4.c (tcp_filter before the listener's state is looked at); HAProxy's
dev/plug_qdisc holds back SYNs for the same reason.
"""

import contextlib
import ctypes
import socket
import struct
from collections.abc import Sequence

SO_ATTACH_FILTER = 26
SO_DETACH_FILTER = 27
SO_LOCK_FILTER = 44
SO_ATTACH_REUSEPORT_CBPF = 51

# linux/bpf_common.h, linux/filter.h
_LD_W_ABS, _LD_B_ABS, _MOD_K, _AND_K, _JEQ_K, _RET_K, _RET_A = 0x20, 0x30, 0x94, 0x54, 0x15, 0x06, 0x16
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM
_TCP_FLAGS_AT, _SYN, _SYN_ACK = 13, 0x02, 0x12
_WHOLE = 0xFFFFFFFF

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, k

NO_SYN: Sequence[Instruction] = (
    (_LD_B_ABS, 0, 0, _TCP_FLAGS_AT),
    (_AND_K, 0, 0, _SYN_ACK),
    (_JEQ_K, 0, 1, _SYN),
    (_RET_K, 0, 0, 0),
    (_RET_K, 0, 0, _WHOLE),
)


def choose_first(sock: socket.socket, count: int) -> None:
    """New connections to the group of *sock* go to one of its first *count* sockets, by chance; OSError if that cannot be."""
    _attach(sock, SO_ATTACH_REUSEPORT_CBPF, ((_LD_W_ABS, 0, 0, _RANDOM), (_MOD_K, 0, 0, count), (_RET_A, 0, 0, 0)))


def refuse_handshakes(sock: socket.socket) -> None:
    """*sock* begins no handshake any more; those under way end. OSError if the kernel will not."""
    _attach(sock, SO_ATTACH_FILTER, NO_SYN)


def allow_handshakes(sock: socket.socket) -> None:
    """Take refuse_handshakes() back."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
    except FileNotFoundError:
        return  # there was no filter


def shut_for_all(sock: socket.socket) -> None:
    """Close *sock* here and for everybody who has a descriptor of it; connections in its queue are reset."""
    with sock:
        with contextlib.suppress(OSError):  # a kernel without filters: then it is shut, until somebody listens on it again
            refuse_handshakes(sock)
            sock.setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1)
        with contextlib.suppress(OSError):  # it never listened
            sock.shutdown(socket.SHUT_RDWR)


def queued(sock: socket.socket) -> int:
    """How many connections of the listening *sock* nobody has accepted yet: tcpi_unacked, 24 bytes into struct tcp_info."""
    (count,) = struct.unpack_from("I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28), 24)
    return int(count)


def _attach(sock: socket.socket, option: int, program: Sequence[Instruction]) -> None:
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
