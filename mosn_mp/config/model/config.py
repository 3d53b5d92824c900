"""A whole configuration: the server, and what a file says beside servers and clusters."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from mosn_mp.config.model.admin import Admin
from mosn_mp.config.model.cluster import ClusterManager
from mosn_mp.config.model.listener import Listener
from mosn_mp.config.model.router import Router
from mosn_mp.config.model.values import Bytes, Count, Deadline, Frozen, Name, Seconds


class Server(Frozen, frozen=True, kw_only=True):
    """The one server of a configuration."""

    mosn_server_name: str = ""
    user: str = ""  # controller and workers run as this one; "" = as whoever started the program
    group: str = ""  # "" = the user's own
    default_log_path: str = ""  # filled in by load(): <base>/logs/mosn.log; also stdout, stderr
    default_log_level: Annotated[str, Meta(extra={"choices": ("FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE")})] = "INFO"
    graceful_timeout: Seconds = 30.0
    goaway_timeout: Deadline = 5.0  # Envoy's drain_timeout; of a client that was told to go
    processor: Annotated[int, Meta(ge=1, le=250)] | Literal["auto"] = "auto"  # workers
    max_connections: Count = 0  # 0 = derived from RLIMIT_NOFILE
    worker_stall_timeout: Seconds = 2.0  # a worker whose loop stands still for this long is replaced; 0 = never
    rebalance_interval: Seconds = 10.0  # between looks at how evenly workers have connections; 0 = only `mosn_mp rebalance`
    worker_memory_limit: Bytes = 0  # of a worker's own memory; a fatter one is replaced and drained; 0 = none
    read_only_paths: tuple[Name, ...] = ()  # workers see little else of the file system; absolute after load()
    read_write_paths: tuple[Name, ...] = ()
    unfinished_size: Annotated[int, Meta(ge=1 << 16, extra={"unit": "size"})] = 16 << 20  # of each worker's heap
    arena_size: Annotated[int, Meta(ge=1 << 20, extra={"unit": "size"})] = 256 << 20
    listeners: tuple[Listener, ...] = ()
    routers: tuple[Router, ...] = ()


class Metrics(Frozen, frozen=True, kw_only=True):
    """MOSN's metrics options, none of which is served yet: the admin address serves /metrics and /api/v1/stats."""


class ThirdPartCodec(Frozen, frozen=True, kw_only=True):
    """A file that adds a protocol."""

    enable: bool = False
    type: Name
    path: Name  # absolute after load()
    loader_func_name: Name = "LoadCodec"  # MOSN's
    config: dict[str, Any] = {}


class ThirdPartCodecs(Frozen, frozen=True, kw_only=True):
    """Protocols of the user's own."""

    codecs: tuple[ThirdPartCodec, ...] = ()


class Config(Frozen, frozen=True, kw_only=True):
    """A whole configuration, as one file or snapshot holds it."""

    servers: Annotated[tuple[Server, ...], Meta(min_length=1, max_length=1)]
    cluster_manager: ClusterManager = ClusterManager()
    disable_upgrade: bool = False
    close_graceful: bool = False  # MOSN's old name for disable_upgrade
    inherit_old_mosnconfig: bool = False  # an upgrade serves what the old process serves, not what the file says
    pid: str = ""  # filled in by load(): <base>/logs/mosn.pid
    admin: Admin | None = None  # None = no admin server
    metrics: Metrics = Metrics()
    third_part_codec: ThirdPartCodecs = ThirdPartCodecs()

    @property
    def server(self) -> Server:
        """The one entry of servers."""
        return self.servers[0]
