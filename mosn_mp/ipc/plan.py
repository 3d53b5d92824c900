"""The plan: what the master has to know of a snapshot that it does not read itself; the controller makes both."""

from typing import Annotated

import msgspec
from msgspec import Meta

from mosn_mp.ipc.decoding import decoded

# More than the master takes of each (border.plan_check), and far less than a memfd has room for: decoding costs memory, too.
Few, Many = Meta(max_length=131_072), Meta(max_length=2_000_000)


class ListenerPlan(msgspec.Struct, frozen=True):
    """One TCP address to listen on; *bind* False: the listener has no socket of its own (MOSN's bind_port)."""

    name: str
    host: str
    port: int
    bind: bool = True
    backlog: int = 1024

    @property
    def address(self) -> str:
        """Host and port as config.address writes them, which names its sockets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ClusterPlan(msgspec.Struct, frozen=True, array_like=True):
    """A cluster and the addresses of its hosts: what has numbers in shared memory, beside listeners."""

    name: str
    hosts: Annotated[list[str], Many]


class Plan(msgspec.Struct, frozen=True):
    """Everything of a snapshot that concerns the master, and where it came from. As whom it is served the master knows."""

    config_path: str
    pid_path: str
    workers: int
    listeners: Annotated[list[ListenerPlan], Few]
    log_path: str
    log_level: str
    graceful_timeout_s: float
    arena_bytes: int
    clusters: Annotated[list[ClusterPlan], Few] = []
    server_name: str = ""
    stall_timeout_s: float = 2.0
    memory_limit: int = 0
    rebalance_interval_s: float = 0.0
    disable_upgrade: bool = False
    inherit_config: bool = False
    weights: Annotated[dict[str, int], Many] = {}  # `cluster/address` of hosts with another weight than 1
    access_logs: Annotated[list[str], Few] = []  # their files
    read_paths: Annotated[list[str], Few] = []  # what of the file system workers may read beside what every program does
    write_paths: Annotated[list[str], Few] = []  # and write beside their logs
    stamp: str = ""  # of the file at config_path when this was read from it; "" = no file says it


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Plan)


def encode_plan(plan: Plan) -> bytes:
    """The msgpack of *plan*."""
    return _encoder.encode(plan)


def decode_plan(packed: bytes) -> Plan:
    """The plan in *packed*; ValueError if it is none."""
    return decoded(_decoder, packed)
