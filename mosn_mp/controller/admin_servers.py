"""The servers of the admin API, one for each address that the configuration gives it: started, moved and stopped as it says."""

import errno
from collections.abc import Callable

import gevent

from mosn_mp.admin.api import AdminApi
from mosn_mp.admin.connection import AdminLimits
from mosn_mp.admin.counts import AdminCounts
from mosn_mp.admin.server import AdminServer, Where
from mosn_mp.admin.unix_socket import SocketFile
from mosn_mp.config.decoding.address import Address
from mosn_mp.config.model import Config
from mosn_mp.ipc.frames import AdminUp, Frame

# The controller before us (killed with its master, or crashed) closes the admin port when it notices: at once, but not before.
TRIES = 40
RETRY_S = 0.05
MAX_EDIT_BYTES = 4 << 20  # 10,000 routes of MOSN's are 2 MB of JSON


class AdminServers:
    """All of them, over one AdminApi. *counts* is kept, *tell* hears where they are and what went wrong."""

    def __init__(self, api: AdminApi, counts: AdminCounts, tell: Callable[[Frame], None]) -> None:
        self._api = api
        self._counts = counts
        self._tell = tell
        self._limits = AdminLimits()
        self._wanted: list[Where] = []
        self._servers: dict[Where, AdminServer] = {}  # those that are up

    def take(self, config: Config) -> None:
        """Serve where *config* says, from now on."""
        self._limits = limits_of(config)
        before, self._wanted = self._wanted, places_of(config)
        for where in set(self._servers) - set(self._wanted):
            gevent.spawn(self._servers.pop(where).stop)
        for server in self._servers.values():
            server.limits = self._limits
        if self._wanted != before:
            self._tell_where()
        for where in self._wanted:
            if where not in before:
                gevent.spawn(self._start, where)

    def _start(self, where: Where) -> None:
        """Start the server at *where*; the program serves on without it, and says why."""
        for attempt in range(1, TRIES + 1):
            if where not in self._wanted or where in self._servers:
                return  # another reload wants it elsewhere
            server = AdminServer(self._api, where, self._limits, self._counts)
            try:
                server.start()
            except OSError as e:
                if e.errno == errno.EADDRINUSE and attempt < TRIES:
                    gevent.sleep(RETRY_S)
                    continue
                self._tell_where(f"cannot listen on {where}: {e.strerror or e}")
            else:
                self._servers[where] = server
                self._tell_where()
            return

    def _tell_where(self, problem: str = "") -> None:
        self._tell(AdminUp(", ".join(str(where) for where in self._wanted if where in self._servers), problem))

    def retire(self, timeout_s: float) -> None:
        """Leave all addresses to another process; returns when who was asking is answered, at the latest after *timeout_s*."""
        self._wanted = []
        gevent.joinall([gevent.spawn(server.stop, timeout_s) for server in self._servers.values()])

    def close(self) -> None:
        """Stop listening: the process ends."""
        for server in self._servers.values():
            server.close()


def places_of(config: Config) -> list[Where]:
    """Where the admin API of *config* is."""
    if config.admin is None:
        return []
    address = config.admin.address
    places: list[Where] = []
    if address.socket_address is not None:
        places.append(Address(address.socket_address.address, address.socket_address.port_value))
    if address.pipe is not None:
        places.append(SocketFile(address.pipe.path, int(address.pipe.mode, 8)))
    return places


def limits_of(config: Config) -> AdminLimits:
    """What a client of the admin API may take: a whole router with thousands of routes, if it may change any."""
    is_debug = config.admin is not None and config.admin.debug
    return AdminLimits(body_bytes=MAX_EDIT_BYTES) if is_debug else AdminLimits()
