"""What `mosn_mp status` and `mosn_mp reload` show: the master's answers, as they travel and as --json prints them."""

import msgspec


class DescriptorReport(msgspec.Struct, frozen=True):
    """What a process may open, and has; of a worker also what it keeps free, and whether clients wait in the queue for want of
    descriptors now, and how often they have.
    """

    limit: int = 0
    used: int = 0
    reserved: int = 0
    accept_paused: bool = False
    accept_pauses: int = 0


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
    last_end: str = ""  # how the last of them ended
    active: int = 0  # connections with work in flight
    connections: int = 0
    requests: int = 0
    descriptors: DescriptorReport = DescriptorReport()


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


class HostReport(msgspec.Struct, frozen=True, kw_only=True):
    """One host of a cluster: is it picked, how often, how many requests are under way at it, how many other hosts are picked."""

    cluster: str
    address: str
    in_rotation: bool
    active: int
    others: int
    weight: int = 1


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
    disabled_hosts: list[str] = []  # `cluster/address`, out of rotation by `mosn_mp host`
    draining_master: int = 0  # pid of the generation before this one, while it lives
    weights: dict[str, int] = {}  # by `cluster/address`, where it is not 1
    filed_version: int = 0  # that config_path says, as far as is known
    unconfined: list[str] = []  # what the kernel does not take from workers and controller, and why
    file_problem: str = ""  # why the served one could not be written to it


class Delta(msgspec.Struct, frozen=True):
    """Names that are new, different, and gone."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """How a configuration differs from the one that is served, and what the controller warns of in it.

    *python*: users' files that changed. Everything else as in config.diff.
    """

    settings: Delta = Delta()
    listeners: Delta = Delta()
    routers: Delta = Delta()
    virtual_hosts: Delta = Delta()
    clusters: Delta = Delta()
    hosts: Delta = Delta()
    python: Delta = Delta()
    warnings: tuple[str, ...] = ()


class RebalanceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a rebalance: how many connections went to another worker; connections by slot before and after."""

    moved: int
    took_s: float
    before: dict[int, int]
    after: dict[int, int]


class UpgradeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an upgrade: the pids of both masters, what serves now; not *ok*: the old one, as if nothing had been."""

    ok: bool
    old_pid: int
    new_pid: int
    program: str  # of the one that serves now
    version: int
    took_s: float
    problems: tuple[str, ...] = ()


class ReloadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a reload. *version* is served now, whether it is a new one or (refused, unchanged, dry run) the old one."""

    ok: bool
    is_dry_run: bool = False
    version: int
    took_s: float
    workers_before: int
    workers: int
    changes: Changes = Changes()
    problems: tuple[str, ...] = ()
