"""The listening sockets: one SO_REUSEPORT socket for each listener and worker slot, bound and kept open by the master.

A worker's death closes none of them, so the connections queued in the kernel wait for its replacement (measured, peers.md 2.6:
closing one with its worker resets about half of what is queued in the group).
"""

import contextlib
import errno
import os
import socket
import time

from mosn_mp.ipc.frames import SocketName
from mosn_mp.ipc.plan import ListenerPlan


class BindError(Exception):
    """An address that cannot be listened on."""


class ListeningSockets:
    """All sockets by listener and slot."""

    def __init__(self) -> None:
        self._sockets: dict[SocketName, socket.socket] = {}

    def open(self, listeners: list[ListenerPlan], slots: int) -> None:
        """Bind and listen on what is not open yet; raises BindError, with nothing new left open."""
        fresh: dict[SocketName, socket.socket] = {}
        try:
            for plan in listeners:
                if plan.bind and SocketName(plan.name, 0) not in self._sockets:
                    wait_free(plan)
                for slot in range(slots) if plan.bind else ():
                    name = SocketName(plan.name, slot)
                    if name not in self._sockets:
                        fresh[name] = _listen(plan)
        except BindError:
            for sock in fresh.values():
                sock.close()
            raise
        self._sockets.update(fresh)

    def of_slot(self, slot: int) -> dict[SocketName, int]:
        """The descriptors of *slot*'s sockets; the master keeps them."""
        return {name: sock.fileno() for name, sock in self._sockets.items() if name.slot == slot}

    def names(self) -> list[SocketName]:
        """All that are open."""
        return list(self._sockets)

    def close(self) -> None:
        """Close all of them; connections queued in one that no worker holds are reset by the kernel."""
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()


def wait_free(plan: ListenerPlan, timeout_s: float = 2.0) -> None:
    """Return once nobody listens on the address; raises BindError when somebody still does after *timeout_s*.

    SO_REUSEPORT would let us join the group of a stranger of the same user and steal half of its connections. The wait is for the
    workers of a master that was killed a moment ago: they close their sockets when they notice.
    """
    until = time.monotonic() + timeout_s
    while True:
        with _new_socket(plan) as probe:
            try:
                probe.bind((plan.host, plan.port))
                return
            except OSError as e:
                if e.errno != errno.EADDRINUSE or time.monotonic() >= until:
                    raise BindError(_explain(plan, e)) from e
        time.sleep(0.02)


def _new_socket(plan: ListenerPlan) -> socket.socket:
    family = socket.AF_INET6 if ":" in plan.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        # `::` means both families, as in MOSN (Go's net.Listen), whatever net.ipv6.bindv6only says.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return sock


def _listen(plan: ListenerPlan) -> socket.socket:
    sock = _new_socket(plan)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Accepted sockets inherit both on Linux: two system calls less for each connection.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.bind((plan.host, plan.port))
        sock.listen(plan.backlog)
    except OSError as e:
        sock.close()
        raise BindError(_explain(plan, e)) from e
    return sock


def _explain(plan: ListenerPlan, e: OSError) -> str:
    text = f"listener {plan.name!r}: cannot listen on {plan.host}:{plan.port}: {e.strerror or e}"
    if e.errno == errno.EADDRINUSE:
        holder = _holder_of_port(plan.port)
        return f"{text}; held by {holder}" if holder else text
    if e.errno == errno.EACCES and plan.port < 1024:
        return f"{text}; ports below 1024 need root or CAP_NET_BIND_SERVICE"
    return text


def _holder_of_port(port: int) -> str:
    """Who listens on TCP *port*, as far as /proc shows it to us: "pid 4711 (nginx)", or ""."""
    inodes = _listening_inodes(port)
    if not inodes:
        return ""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it went away, or it is another user's
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{fd}") in inodes:
                        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
                            return f"pid {pid} ({comm.read().strip()})"
    return "a process of another user"


def _listening_inodes(port: int) -> set[str]:
    """`socket:[inode]` of every TCP socket that listens on *port* (proc(5), /proc/net/tcp: state 0A)."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table, encoding="ascii") as lines:
            for line in list(lines)[1:]:
                cells = line.split()
                if cells[3] == "0A" and int(cells[1].rsplit(":", 1)[1], 16) == port:
                    inodes.add(f"socket:[{cells[9]}]")
    return inodes
