"""What is served now: the accepted snapshot and its plan, the listening sockets, the shared memory."""

from typing import NamedTuple

from mosn_mp.ipc.channel import close_fds
from mosn_mp.ipc.landlock import Reach
from mosn_mp.ipc.plan import Plan
from mosn_mp.master.border.grant import Grant
from mosn_mp.master.border.reach import reach_of
from mosn_mp.master.listeners.sockets import ListeningSockets
from mosn_mp.master.state.shared_memory import SharedMemory


class Snapshot(NamedTuple):
    """A configuration on its way or in service; the descriptors are sealed memfds, owned by whoever holds the Snapshot."""

    version: int
    snapshot_fd: int
    tables_fd: int
    plan: Plan


class ServedState:
    """Written when a version begins (begin()) and when it is decided (accept()); read by all who serve it."""

    plan: Plan  # of the version being started or served

    def __init__(self, config_path: str, grant: Grant, sockets: ListeningSockets) -> None:
        self.config_path = config_path
        self.grant = grant  # what a plan may name
        self.sockets = sockets
        self.accepted: Snapshot | None = None  # None until the first version is decided
        self.memory: SharedMemory | None = None  # None until there is a valid configuration
        self.reach: Reach | None = None  # what workers of this generation have of the file system; None until a version begins
        self.last_version = 0  # the number of the last version that was tried

    def begin(self, snapshot: Snapshot) -> None:
        """The first version is on its way to the workers."""
        self.plan = snapshot.plan
        self.reach = reach_of(snapshot.plan)
        self.last_version = snapshot.version

    def accept(self, snapshot: Snapshot) -> Snapshot | None:
        """*snapshot* is decided; returns the one before it, whose descriptors are closed."""
        before, self.accepted, self.plan = self.accepted, snapshot, snapshot.plan
        if before is not None:
            close_fds([before.snapshot_fd, before.tables_fd])
            self.config_path = snapshot.plan.config_path
        return before

    def snapshot(self) -> Snapshot:
        """The accepted one; to be asked for only when there is one."""
        assert self.accepted is not None
        return self.accepted

    def shared(self) -> SharedMemory:
        """The shared memory; to be asked for only when there is a valid configuration."""
        assert self.memory is not None
        return self.memory
