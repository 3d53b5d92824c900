"""What `mosn_mp status` shows: the master's answer, as it travels over the control socket and as --json prints it."""

import msgspec


class ProcessReport(msgspec.Struct, frozen=True):
    """One process. `slot` is -1 and `version`, `connections`, `requests` are 0 for master and controller."""

    role: str
    pid: int
    state: str
    uptime_s: float
    pss_bytes: int  # proportional set size; 0 = not readable
    slot: int = -1
    version: int = 0
    deaths: int = 0  # predecessors that ended before they were told to
    active: int = 0  # connections with work in flight
    connections: int = 0
    requests: int = 0


class ListenerReport(msgspec.Struct, frozen=True):
    """One listener, over all workers."""

    name: str
    address: str
    connections: int = 0
    connections_total: int = 0
    requests: int = 0


class ArenaReport(msgspec.Struct, frozen=True):
    """One size class of the arena."""

    block_bytes: int
    total: int
    free: int
    touched: int


class StatusReport(msgspec.Struct, frozen=True):
    """The whole program."""

    program: str
    server_name: str
    state: str
    config_path: str
    config_version: int
    admin_address: str
    processes: list[ProcessReport]
    listeners: list[ListenerReport]
    arena: list[ArenaReport]
    pss_bytes: int  # of all processes
