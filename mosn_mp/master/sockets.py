"""The listening sockets: one SO_REUSEPORT socket for each listener and worker slot, bound and kept open by the master.

A worker's death closes none of them, so the connections queued in the kernel wait for its replacement (measured, peers.md 2.6:
closing one with its worker resets about half of what is queued in the group).
"""

import contextlib
import errno
import logging
import os
import socket
import time

from mosn_mp.ipc.frames import SocketName
from mosn_mp.ipc.plan import ListenerPlan
from mosn_mp.master.activation import Claims

log = logging.getLogger("mosn_mp.master")


class BindError(Exception):
    """An address that cannot be listened on."""


class ListeningSockets:
    """All sockets by listener and slot."""

    def __init__(self, claims: Claims | None = None) -> None:
        """*claims*: what the service manager passed, which is preferred to binding."""
        self._sockets: dict[SocketName, socket.socket] = {}
        self._claims = claims or Claims()
        self._slots = 1

    def open(self, listeners: list[ListenerPlan], slots: int) -> None:
        """Bind and listen on what is not open yet; raises BindError, with nothing new left open."""
        fresh: dict[SocketName, socket.socket] = {}
        try:
            for plan in listeners:
                claimed = self._claims.claim(plan.host, plan.port, slots) if plan.bind else {}
                for slot, sock in claimed.items():
                    fresh[SocketName(plan.name, slot)] = sock
                    sock.listen(plan.backlog)  # which may have been another one in its last life
                if plan.bind and not claimed and SocketName(plan.name, 0) not in self._sockets:
                    wait_free(plan)
                for slot in range(slots) if plan.bind else ():
                    name = SocketName(plan.name, slot)
                    if name not in self._sockets and name not in fresh:
                        fresh[name] = _join(plan, list(claimed.values()), slot)
        except BindError:
            for sock in fresh.values():
                sock.close()
            raise
        self._sockets.update(fresh)
        self._slots = slots

    def of_slot(self, slot: int) -> dict[SocketName, int]:
        """The descriptors of *slot*'s sockets; the master keeps them.

        With its share of those that were passed for slots beyond the last one: the kernel queues connections in them, too.
        """
        return {name: sock.fileno() for name, sock in self._sockets.items() if name.slot % self._slots == slot}

    def to_store(self) -> dict[str, int]:
        """The descriptors that the service manager is to keep if we die, by their names in its store."""
        return self._claims.to_store({sock.fileno(): name.slot for name, sock in self._sockets.items()})

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


def _join(plan: ListenerPlan, group: list[socket.socket], slot: int) -> socket.socket:
    """The socket of *slot* beside those of *group*, which were passed (none: a new group); BindError."""
    try:
        return _listen(plan)
    except BindError as e:
        if not group:
            raise
        # Those of another user: the unit's User= was changed. Workers share what there is.
        log.warning("%s; slot %d accepts from a socket that the service manager passed", e, slot)
        return group[slot % len(group)].dup()


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
