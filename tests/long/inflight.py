"""What one worker has in flight at an instant, seen from outside: its row of shared memory, its sockets in the kernel."""

import os
import time
from pathlib import Path
from typing import NamedTuple

from mosn_mp.buffer.segment import Segment
from mosn_mp.ipc.memfd import read_sealed
from mosn_mp.ipc.tables import decode_tables, unpack_numbers
from mosn_mp.observe.metrics.cells import BLOCKS, WORKER
from mosn_mp.observe.metrics.metrics import Metrics
from mosn_mp.observe.metrics.reading import read_workers

ACTIVE = BLOCKS["downstream"].cell("request_active").at
PID = WORKER.cell("pid").at


class InFlight(NamedTuple):
    """Read from the outside at *looked_at* (monotonic)."""

    looked_at: float
    begun: int  # requests that the worker has read
    unread: int  # connections with bytes that it has not read
    ports: set[int]  # of the clients, of all connections

    @property
    def requests(self) -> int:
        """Requests in flight: those begun, and one on each connection that waits to be read."""
        return self.begun + self.unread


class Witness:
    """Looks into the shared memory of a running program, by the descriptors of its master."""

    def __init__(self, master_pid: int) -> None:
        found = {os.readlink(link): link for link in Path(f"/proc/{master_pid}/fd").iterdir()}
        metrics = next(path for name, path in found.items() if "mosn_mp-metrics" in name)
        tables = next(path for name, path in found.items() if "mosn_mp-tables" in name)
        metrics_fd, tables_fd = os.open(metrics, os.O_RDWR), os.open(tables, os.O_RDONLY)
        placed = decode_tables(read_sealed(tables_fd))
        self._metrics = Metrics(Segment.attach(metrics_fd, placed.metrics))
        os.close(tables_fd)
        self._bases = [self._metrics.base_of("downstream", number) for number in unpack_numbers(placed.listeners)]

    def of(self, pid: int, port: int) -> InFlight:
        """What worker *pid* has in flight on the listener at *port*; exact if the worker is stopped."""
        row = next(int(dict(worker.labels)["slot"]) for worker in read_workers(self._metrics) if worker.cells[PID] == pid)
        begun = sum(self._metrics.row(row, base + ACTIVE, 1)[0] for base in self._bases)
        inodes = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
        looked_at = time.monotonic()
        clients = [sock for sock in connections(port) if f"socket:[{sock.inode}]" in inodes]
        return InFlight(looked_at, begun, sum(sock.unread > 0 for sock in clients), {sock.client_port for sock in clients})


class ServerSocket(NamedTuple):
    """An established connection of 127.0.0.1."""

    inode: int
    client_port: int
    unread: int


def connections(port: int) -> list[ServerSocket]:
    """The server's ends of all connections to *port* (proc(5), /proc/net/tcp: state 01)."""
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, queues, *_ = words = line.split()
        if state == "01" and int(local.rpartition(":")[2], 16) == port:
            found.append(ServerSocket(int(words[9]), int(remote.rpartition(":")[2], 16), int(queues.rpartition(":")[2], 16)))
    return found
