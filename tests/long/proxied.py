"""The real program as a proxy: clusters of hosts behind a listener, and everything about it that can be measured from outside."""

import http.client
import json
import os
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.ports import free_port
from tests.process.program import Program, wait_until

HERE = Path(__file__).parent
MIB = 1 << 20


class Reading(NamedTuple):
    """What the whole program holds at one instant."""

    pss_bytes: int
    own_bytes: int
    fds: int
    arena_blocks: int
    greenlets: int

    def __str__(self) -> str:
        blocks = f"{self.arena_blocks} arena blocks, {self.greenlets} greenlets"
        memory = f"Pss {self.pss_bytes / MIB:.2f} MiB, {self.own_bytes / MIB:.2f} MiB of it not of files"
        return f"{memory}, {self.fds} descriptors, {blocks}"


class Proxied(Program):
    """A proxy with *workers* workers before *hosts* (ports), with an admin address and a probe listener.

    *options* are the listener's own keys, *http1* the proxy's options of HTTP/1, *cluster* keys of the cluster.
    """

    def __init__(
        self,
        directory: Path,
        hosts: list[int],
        *,
        workers: int = 2,
        options: dict[str, Any] | None = None,
        http1: dict[str, Any] | None = None,
        cluster: dict[str, Any] | None = None,
        timeout: str = "1m",
    ) -> None:
        super().__init__(directory)
        self.probe_port = free_port()
        self.admin_port = free_port()
        proxy = {"downstream_protocol": "Http1", "router_config_name": "r", "extend_config": {"Http1": http1 or {}}}
        self.server["processor"] = workers
        self.server["arena_size"] = "256MB"
        self.server["listeners"] = [
            {**_listener("front", self.port, proxy), **(options or {})},
            {
                **_listener("probe", self.probe_port, {**proxy, "extend_config": {}}),
                "stream_filters": [{"type": "probe:Probe", "python_path": str(HERE)}],
            },
        ]
        self.routes: list[dict[str, Any]] = [{"match": {"prefix": "/"}, "route": {"cluster_name": "hosts", "timeout": timeout}}]
        self.server["routers"] = [
            {
                "router_config_name": "r",
                "virtual_hosts": [{"name": "all", "domains": ["*"], "routers": self.routes}],
            }
        ]
        addresses = [{"address": f"127.0.0.1:{port}"} for port in hosts]
        self.config["cluster_manager"] = {"clusters": [{"name": "hosts", "hosts": addresses, **(cluster or {})}]}
        self.config["admin"] = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": self.admin_port}}}
        self.write()

    def start(self) -> None:
        """Start, and ask everything once that a reading asks: what the first answer takes is not growth."""
        super().start()
        wait_until(self._has_admin, "the admin API")
        self.reading()

    def _has_admin(self) -> bool:
        try:
            return bool(self.metrics())
        except OSError:
            return False

    def is_serving(self) -> bool:
        """Whether the workers answer."""
        if self.master is not None and self.master.poll() is not None:
            raise AssertionError(f"the master ended: {self.master.communicate()[1]}")
        try:
            return bool(self.probe())
        except OSError:
            return False

    def probe(self) -> dict[str, int]:
        """What one worker, whichever answers, says of itself."""
        connection = http.client.HTTPConnection("127.0.0.1", self.probe_port, timeout=10)
        try:
            connection.request("GET", "/")
            found: dict[str, int] = json.loads(connection.getresponse().read())
            return found
        finally:
            connection.close()

    def probe_all(self) -> list[dict[str, int]]:
        """What every worker says of itself."""
        found: dict[int, dict[str, int]] = {}

        def is_complete() -> bool:
            answer = self.probe()
            found[answer["pid"]] = answer
            return len(found) == self.server["processor"]

        wait_until(is_complete, "an answer of every worker")
        return list(found.values())

    def pss_bytes(self, kinds: str = "Pss") -> int:
        """Memory of all processes; what they share counts once. *kinds* is a pattern of names in smaps_rollup."""
        total = 0
        for pid in self.family():
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += sum(int(kib) for kib in re.findall(rf"^(?:{kinds}):\s+(\d+)", rollup, re.M)) * 1024
        return total

    def own_bytes(self) -> int:
        """The same without pages of files (programs, libraries), whose share changes with what else runs on the machine."""
        return self.pss_bytes("Pss_Anon|Pss_Shmem")

    def mapped_mib(self) -> dict[str, float]:
        """Pss of all processes by what is mapped."""
        found: dict[str, int] = {}
        for pid in self.family():
            kind = ""
            for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
                words = line.split()
                if words[0] == "Pss:":
                    found[kind] = found.get(kind, 0) + int(words[1])
                elif not words[0].endswith(":"):
                    kind = _kind_of_mapping(words[5] if len(words) > 5 else "")
        return {kind: round(kib / 1024, 1) for kind, kib in sorted(found.items())}

    def fds(self) -> int:
        """Open descriptors of all processes."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.family())

    def blocks_in_use(self) -> int:
        """Arena blocks that a worker owns, its magazines included."""
        return sum(size["total"] - size["free"] for size in self.status()["arena"])

    def reading(self) -> Reading:
        """Everything that might grow."""
        greenlets = sum(found["greenlets"] for found in self.probe_all())
        return Reading(self.pss_bytes(), self.own_bytes(), self.fds(), self.blocks_in_use(), greenlets)

    def settled_reading(self, deadline_s: float = 30.0) -> Reading:
        """A reading once every client's connection is closed and the workers have had time to give memory back.

        The arena is trimmed every 0.5 s, in two looks (worker.boot.TRIM_EVERY_S).
        """
        wait_until(lambda: self.counter("downstream_connection_active", 'listener="front"') == 0, "no connection", deadline_s)
        time.sleep(2.5)
        return self.reading()

    def metrics(self) -> str:
        """The text of /metrics."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def counter(self, name: str, labels: str) -> int:
        """The sum of the metric *name* over the lines whose labels hold the text *labels*."""
        lines = re.findall(rf"^{name}{{([^}}]*)}} (\d+)$", self.metrics(), re.M)
        return sum(int(value) for found, value in lines if labels in found)


def _kind_of_mapping(name: str) -> str:
    if "mosn_mp-" in name and name.startswith("/dev/shm/"):
        return "arena" if "arena" in name else "shared"
    return {"": "anonymous", "[heap]": "heap"}.get(name, "files" if name.startswith("/") else "other")


def _listener(name: str, port: int, proxy: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "address": f"127.0.0.1:{port}", "filter_chains": [{"filters": [{"type": "proxy", "config": proxy}]}]}
