"""Descriptors that the service manager passes at the start: those of socket units, and what an earlier run left in its fd store.

Protocol: sd_listen_fds_with_names(3). LISTEN_PID names the process they are meant for, LISTEN_FDS how many there are (from 3 on),
LISTEN_FDNAMES their names, joined by colons. Ours in the fd store are called after address and slot (stored_name()), so a
restarted master puts every queue back into its slot. Any other name is a socket unit's.
"""

import itertools
import os
import socket
from collections.abc import Iterable, Mapping, MutableMapping
from typing import NamedTuple

FIRST_FD = 3  # SD_LISTEN_FDS_START
# What the service manager says to us alone: none of our children may take it for its own.
VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_SLOT = "_slot"


class PassedSocket(NamedTuple):
    """A listening TCP socket that was passed; *slot* is None if a socket unit made it."""

    name: str
    host: str
    port: int
    slot: int | None
    sock: socket.socket

    def is_bound_to(self, host: str, port: int) -> bool:
        """Whether it listens on that address, however the address is written."""
        return self.port == port and _packed(self.host) == _packed(host)


class Passed(NamedTuple):
    """Everything that the service manager gave this process; all empty where there is none."""

    notify_address: str = ""
    watchdog_s: float = 0.0
    sockets: tuple[PassedSocket, ...] = ()
    unusable: tuple[tuple[str, str], ...] = ()  # (name, problem) of descriptors that were closed
    # Of an upgrade: what the manager's store holds (name, inode), and the inodes of socket units' sockets.
    stored: tuple[tuple[str, int], ...] | None = None
    kept_by_units: frozenset[int] = frozenset()


class Claims:
    """What was passed, until each socket is claimed for a listener's address."""

    def __init__(self, passed: Iterable[PassedSocket] = (), kept_by_units: Iterable[int] = ()) -> None:
        self._unclaimed = list(passed)
        self._kept_by_units = {inode_of(p.sock.fileno()) for p in self._unclaimed if p.slot is None}.union(kept_by_units)

    def claim(self, host: str, port: int, slots: int) -> dict[int, socket.socket]:
        """The sockets of that address by slot; those of a socket unit for all *slots*, stored ones possibly for others.

        None is to be bound beside a socket unit's: it alone listens when this program is stopped, and its queue loses nothing.
        Where it brings fewer than *slots*, workers share: the same socket by another descriptor.
        """
        claimed: dict[int, socket.socket] = {}
        of_units = []
        for passed in [p for p in self._unclaimed if p.is_bound_to(host, port)]:
            self._unclaimed.remove(passed)
            if passed.slot is None or passed.slot in claimed:
                of_units.append(passed.sock)
            else:
                claimed[passed.slot] = passed.sock
        for sock in of_units:
            claimed[next(slot for slot in itertools.count() if slot not in claimed)] = sock
        if of_units:
            group = list(claimed.values())
            for slot in range(slots):
                if slot not in claimed:
                    claimed[slot] = group[slot % len(group)].dup()
        return claimed

    def is_of_unit(self, fd: int) -> bool:
        """Whether a socket unit has the socket *fd* open too."""
        return inode_of(fd) in self._kept_by_units

    def kept_by_units(self) -> list[int]:
        """The inodes of sockets that a socket unit has open too."""
        return sorted(self._kept_by_units)

    def take_unclaimed(self) -> list[PassedSocket]:
        """What no listener claimed; the caller's now."""
        unclaimed, self._unclaimed = self._unclaimed, []
        return unclaimed

    def to_store(self, sockets: Mapping[int, int]) -> dict[str, int]:
        """Of the descriptors in *sockets* (-> slot) those that the service manager is to store, by name.

        A socket unit's are kept anyhow, and one socket is stored once.
        """
        stored: dict[str, int] = {}
        inodes = set(self._kept_by_units)
        for fd, slot in sockets.items():
            inode = inode_of(fd)
            if inode not in inodes:
                inodes.add(inode)
                stored[_name_of(fd, slot)] = fd
        return stored


def take_passed(environment: MutableMapping[str, str], pid: int) -> Passed:
    """What the service manager passed to process *pid*, taken out of its *environment*, with the descriptors close-on-exec.

    To be called before any child is started: it would inherit descriptors and variables.
    """
    said = {name: environment.pop(name, "") for name in VARIABLES}
    watchdog_us = _number(said["WATCHDOG_USEC"]) if said["WATCHDOG_PID"] in ("", str(pid)) else 0
    count = _number(said["LISTEN_FDS"]) if said["LISTEN_PID"] == str(pid) else 0
    names = said["LISTEN_FDNAMES"].split(":") if said["LISTEN_FDNAMES"] else []
    sockets, unusable = [], []
    for at in range(count):
        name = names[at] if at < len(names) else "unknown"
        try:
            sockets.append(adopt_socket(name, FIRST_FD + at))
        except (OSError, ValueError) as e:
            unusable.append((name, str(e)))
    return Passed(said["NOTIFY_SOCKET"], watchdog_us / 1e6, tuple(sockets), tuple(unusable))


def stored_name(host: str, port: int, slot: int) -> str:
    """How the socket of *slot* on that address is called in the fd store: `127.0.0.1_2045_slot3`, `2001-db8--1_80_slot0`.

    FDNAME may be any 255 printable ASCII characters but a colon (sd_pid_notify_with_fds(3)).
    """
    return f"{host.replace(':', '-')}_{port}{_SLOT}{slot}"


def inode_of(fd: int) -> int:
    """What tells one socket from another, whatever descriptor it is reached by."""
    return os.fstat(fd).st_ino


def _name_of(fd: int, slot: int) -> str:
    with socket.socket(fileno=os.dup(fd)) as sock:
        host, port, *_ = sock.getsockname()
    return stored_name(host, port, slot)


def adopt_socket(name: str, fd: int) -> PassedSocket:
    """The socket behind *fd*, with the options that accepted connections inherit; else it is closed: ValueError, OSError."""
    os.set_inheritable(fd, False)
    try:
        sock = socket.socket(fileno=fd)
    except OSError:
        os.close(fd)
        raise
    try:
        host, port = _address(sock)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except (OSError, ValueError):
        sock.close()
        raise
    return PassedSocket(name, host, port, _slot_of(name, host, port, sock), sock)


def _address(sock: socket.socket) -> tuple[str, int]:
    """Host and port of *sock*; ValueError if no TCP connections can be accepted from it."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
        raise ValueError(f"not a TCP socket: {sock.family.name}, {sock.type.name}")
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ValueError("not a listening socket")
    host, port, *_ = sock.getsockname()
    if host == "::" and sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        raise ValueError("[::] without IPv4, which a listener on it has: set BindIPv6Only=both")
    return host, port


def _slot_of(name: str, host: str, port: int, sock: socket.socket) -> int | None:
    """The slot in the name of a socket that we stored; a name that is not that of its address is no name of ours."""
    slot = name.rpartition(_SLOT)[2]
    if not slot.isdecimal() or name != stored_name(host, port, int(slot)):
        return None
    return int(slot) if sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) else None


def _packed(host: str) -> bytes:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    address, _, scope = host.partition("%")
    return socket.inet_pton(family, address) + scope.encode()


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
