"""The listening sockets: one SO_REUSEPORT socket for each address and worker slot, bound and kept open by the master.

A worker's death closes none of them, so the connections queued in the kernel wait for its replacement (measured:
closing one with its worker resets about half of what is queued in the group).

```
open() --bound--> listen() --listening--> retire() --leaving: gets nothing new, is served on--> close_leaving() --ended--> shut()
           '--> discard()                     ^------- listen() again -------'
```
"""

import contextlib
import errno
import logging
import os
import socket
import time
from collections.abc import Container, Iterable

from mosn_mp.ipc.frames import SocketName
from mosn_mp.ipc.plan import ListenerPlan
from mosn_mp.master.listeners.socket_activation import Claims, inode_of
from mosn_mp.master.listeners.steering import allow_handshakes, choose_first, queued, refuse_handshakes, shut_for_all

log = logging.getLogger("mosn_mp.master")

# A master that was killed a moment ago: its workers notice within this.
START_WAIT_S = 2.0
# Handshakes that began before a socket was told to begin no more have ended by then; a lost segment takes 1 s.
SETTLE_S = 1.5


class BindError(Exception):
    """An address that cannot be listened on."""


class ListeningSockets:
    """All sockets by address and slot."""

    def __init__(self, claims: Claims | None = None) -> None:
        """*claims*: what the service manager passed, which is preferred to binding."""
        self._sockets: dict[SocketName, socket.socket] = {}
        self._listening: set[SocketName] = set()
        self._leaving: dict[SocketName, float] = {}  # since when
        self._claims = claims or Claims()
        self._passed: set[SocketName] = set()
        self._ended: list[tuple[SocketName, socket.socket]] = []  # by us, and perhaps still held by others

    def open(self, listeners: list[ListenerPlan], slots: int, wait_s: float = START_WAIT_S) -> list[SocketName]:
        """Bind what is not open yet, and return its names; raises BindError, with nothing new left open.

        An address that somebody else listens on is waited for, for *wait_s*.
        """
        fresh: dict[SocketName, socket.socket] = {}
        self.shut({plan.address for plan in listeners})  # before the kernel counts them among the new ones
        try:
            for plan in listeners:
                claimed = self._claims.claim(plan.host, plan.port, slots) if plan.bind else {}
                for slot, sock in claimed.items():
                    fresh[SocketName(plan.address, slot)] = sock
                if plan.bind and not claimed and SocketName(plan.address, 0) not in self._sockets:
                    wait_free(plan, wait_s)
                for slot in range(slots) if plan.bind else ():
                    name = SocketName(plan.address, slot)
                    if name not in self._sockets and name not in fresh:
                        fresh[name] = _join(plan, list(claimed.values()), slot)
                self._passed.update(SocketName(plan.address, slot) for slot in claimed)
        except BindError:
            for sock in fresh.values():
                sock.close()
            raise
        self._sockets.update(fresh)
        return list(fresh)

    def listen(self, listeners: list[ListenerPlan], slots: int) -> None:
        """Take connections on all that open() bound for these, slot by slot; a leaving one comes back. BindError."""
        for plan in listeners:
            names = [SocketName(plan.address, slot) for slot in range(slots)] if plan.bind else []
            # An earlier run may have left sockets for more slots than there are: others serve them until retire().
            beyond = sorted((n for n in self._passed if n.address == plan.address and n.slot >= slots), key=lambda n: n.slot)
            for name in (*names, *beyond):
                sock = self._sockets[name]
                try:
                    sock.listen(plan.backlog)
                except OSError as e:
                    raise BindError(_explain(plan, e)) from e
                self._listening.add(name)
                if name in self._leaving:
                    del self._leaving[name]
                    allow_handshakes(sock)
            if names:
                self._choose(plan.address, slots)

    def retire(self, listeners: list[ListenerPlan], slots: int) -> bool:
        """What these listeners and slots do not need gets no new connections and is leaving; False: there is nothing such."""
        wanted = {SocketName(plan.address, slot) for plan in listeners if plan.bind for slot in range(slots)}
        surplus = self._listening - wanted
        kept = {name.address for name in wanted}
        for name in surplus:
            if name.address not in kept:
                if self._claims.is_of_unit(self._sockets[name].fileno()):
                    self._leaving.setdefault(name, time.monotonic())
                    continue  # it is the service manager's own, for whoever comes after us
                with contextlib.suppress(OSError):  # it may reset who connects at the moment when it is closed, no more
                    refuse_handshakes(self._sockets[name])
            elif not self._choose(name.address, slots):
                continue  # goes on taking its share of the connections, for a worker that it is lent to
            self._leaving.setdefault(name, time.monotonic())
        return bool(surplus)

    def leaving(self) -> list[SocketName]:
        """Those that are retired and open, the highest slots first."""
        return sorted(self._leaving, key=lambda name: -name.slot)

    def close_leaving(self, settle_s: float) -> list[SocketName]:
        """Close what has been leaving for *settle_s*, and return its names.

        Workers that serve it have descriptors of their own: no queue is lost until they close them.
        """
        settled = [name for name in self.leaving() if time.monotonic() - self._leaving[name] >= settle_s]
        self._end(settled)
        return settled

    def discard(self, names: Iterable[SocketName]) -> None:
        """Close these."""
        for name in names:
            self._sockets.pop(name).close()
            self._listening.discard(name)
            self._leaving.pop(name, None)
            self._passed.discard(name)

    def _end(self, names: list[SocketName]) -> None:
        """Discard these, and let nobody keep what is not a unit's nor ours by another name."""
        ending = [(name, self._sockets[name].dup()) for name in names]
        self.discard(names)
        kept = {inode_of(sock.fileno()) for sock in self._sockets.values()}
        for name, sock in ending:
            if self._claims.is_of_unit(sock.fileno()) or inode_of(sock.fileno()) in kept:
                sock.close()
            else:
                self._ended.append((name, sock))

    def shut(self, addresses: Container[str] = ()) -> bool:
        """Close what has ended for whoever holds it, where nobody waits or at *addresses*; False: all of it."""
        ended, self._ended = self._ended, []
        for name, sock in ended:
            if name.address in addresses or not queued(sock):
                shut_for_all(sock)
            else:
                self._ended.append((name, sock))
        return bool(self._ended)

    def of_slot(self, slot: int) -> dict[SocketName, int]:
        """The descriptors of *slot*'s sockets that are not leaving; the master keeps them."""
        return {
            name: sock.fileno() for name, sock in self._sockets.items() if name.slot == slot and name not in self._leaving
        }

    def listening(self) -> dict[SocketName, int]:
        """The descriptors of all that may have connections queued."""
        return {name: self._sockets[name].fileno() for name in sorted(self._listening, key=lambda n: (n.address, n.slot))}

    def to_store(self) -> dict[str, int]:
        """The descriptors that the service manager is to keep if we die, by their names in its store."""
        kept = self._listening - self._leaving.keys()
        return self._claims.to_store({sock.fileno(): name.slot for name, sock in self._sockets.items() if name in kept})

    def kept_by_units(self) -> list[int]:
        """The inodes of those that a socket unit has open too."""
        return self._claims.kept_by_units()

    def refuse(self) -> None:
        """No socket that only we and our workers hold begins a handshake any more: who comes now is refused when it is closed."""
        for name in self._listening:
            if not self._claims.is_of_unit(self._sockets[name].fileno()):
                with contextlib.suppress(OSError):  # as in retire()
                    refuse_handshakes(self._sockets[name])

    def names(self) -> list[SocketName]:
        """All that are open."""
        return list(self._sockets)

    def close(self) -> None:
        """Close all of them; connections queued in one that nobody else holds are reset by the kernel."""
        self.discard(self.names())

    def end(self) -> None:
        """Close all of them, nobody else is to serve them: shut() comes next."""
        self._end(self.names())

    def shut_all(self) -> None:
        """Close what has ended for whoever holds it."""
        self.shut({name.address for name, _ in self._ended})

    def _choose(self, address: str, slots: int) -> bool:
        """Let new connections to *address* go to its first *slots* sockets; False: the kernel does not do that."""
        if all(name.slot < slots for name in self._listening if name.address == address) and slots == 1:
            return True
        if not self._sockets[SocketName(address, 0)].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
            return True  # one socket of a socket unit, which all accept from
        try:
            choose_first(self._sockets[SocketName(address, 0)], slots)
        except OSError as e:
            log.warning("%s: the kernel spreads connections over all sockets, unused ones too: %s", address, e.strerror)
            return False
        return True


def wait_free(plan: ListenerPlan, timeout_s: float = START_WAIT_S) -> None:
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


def _bind(plan: ListenerPlan) -> socket.socket:
    sock = _new_socket(plan)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Accepted sockets inherit both on Linux: two system calls less for each connection.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.bind((plan.host, plan.port))
    except OSError as e:
        sock.close()
        raise BindError(_explain(plan, e)) from e
    return sock


def _join(plan: ListenerPlan, group: list[socket.socket], slot: int) -> socket.socket:
    """The socket of *slot* beside those of *group*, which were passed (none: a new group); BindError."""
    try:
        return _bind(plan)
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
