"""What a data plane is to the process around it: the interface between worker/process.py and worker/dataplane.py."""

from collections.abc import Mapping
from typing import Any, Protocol

from mosn_mp.config.snapshot import Snapshot
from mosn_mp.ipc.channel import Channel

SocketKey = tuple[str, int]  # (address, slot)


class Plane(Protocol):
    """Serves connections. All methods but give() and receive() are called from one greenlet.

    prepare() and commit() let other greenlets run when they take long, give() and receive() wait, the others return at once.

    Descriptors stay the caller's, channels do not.
    """

    def prepare(self, snapshot: Snapshot, version: int, sockets: Mapping[SocketKey, int], tables: bytes, /) -> Any:
        """Compile *snapshot*; the result goes to commit() or abort(). Any exception is a refusal, its text the reason.

        *sockets* are all that this worker has, of other slots too (lent ones); more may come before commit(). *tables*
        (ipc.tables) say where in shared memory the things of the configuration have their cells.
        """

    def commit(self, prepared: Any, sockets: Mapping[SocketKey, int], /) -> None:
        """Serve *prepared*: accept on those of *sockets* that are of its listeners. Listeners that are gone drain."""

    def abort(self, prepared: Any) -> None:
        """Forget *prepared*."""

    def part(self, deadline_s: float) -> None:
        """Finish what is in flight in *deadline_s*; told again, sooner. What is accepted from now on is answered once."""

    def stop_accepting(self) -> None:
        """Take what is queued and accept no more (the sockets are closed then)."""

    def is_drained(self) -> bool:
        """Nothing is in flight any more."""

    def active(self) -> int:
        """Connections with work in flight."""

    def close_all(self) -> None:
        """Close every connection and flush every log."""

    def reopen_logs(self) -> None:
        """Open the access logs anew."""

    def set_log_enabled(self, log_path: str, enabled: bool) -> bool:
        """Write the access log *log_path*, or do not; False = there is none."""

    def give(self, channel: Channel, count: int) -> int:
        """Let who is behind *channel* have *count* live connections (-1: all); returns how many went, when it is over (waits)."""

    def receive(self, channel: Channel) -> None:
        """Serve on what the worker behind *channel* gives, until it is gone (waits)."""

    def lend(self, key: SocketKey, fd: int) -> None:
        """Accept from *fd* at once, another slot's socket of an address that is listened on, until it is withdrawn."""

    def withdraw(self, key: SocketKey) -> None:
        """Take what is queued in this socket, then accept from it no more."""
