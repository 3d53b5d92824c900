"""A running mosn_mp that serves RPC: the listener `bolt` beside the HTTP listener `front`, both on the same routes."""

from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.process.proxy.setting import Setting
from tests.rpc.client import Client

HERE = Path(__file__).parent


class RpcSetting(Setting):
    """One worker; a cluster is added by add_cluster(), every request without a route of its own goes to the first."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.add_protocol("bolt", "bolt")

    def add_protocol(
        self, name: str, downstream: str, upstream: str = "", extend: dict[str, Any] | None = None, **options: Any
    ) -> dict[str, Any]:
        """A listener for the protocols *downstream*; *extend* is its extend_config, *options* its own keys."""
        proxy: dict[str, Any] = {"downstream_protocol": downstream, "router_config_name": "r", "extend_config": extend or {}}
        if upstream:
            proxy["upstream_protocol"] = upstream
        self.ports[name] = free_port()
        listener = {
            "name": name,
            "address": f"127.0.0.1:{self.ports[name]}",
            "filter_chains": [{"filters": [{"type": "proxy", "config": proxy}]}],
            **options,
        }
        self.server["listeners"] = [one for one in self.server["listeners"] if one["name"] != name] + [listener]
        return listener

    def add_service(self, service: str, cluster: str, **action: Any) -> None:
        """A route of one RPC service, before the others."""
        route = {"cluster_name": cluster, **action}
        self.add_route({"headers": [{"name": "service", "value": service}]}, first=True, route=route)

    def add_filter(self, name: str, place: str, **config: Any) -> None:
        """A stream filter of this folder for the listener *name*."""
        listener = next(one for one in self.server["listeners"] if one["name"] == name)
        listener.setdefault("stream_filters", []).append({"type": place, "python_path": str(HERE), "config": config})

    def client(self, listener: str = "bolt", **options: Any) -> Client:
        """A bolt client of a listener."""
        return Client(self.ports[listener], **options)

    def pss_bytes(self) -> int:
        """Memory of all processes; what they share counts once."""
        total = 0
        for pid in self.family():
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024
        return total
