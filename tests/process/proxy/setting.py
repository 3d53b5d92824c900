"""A running mosn_mp in front of scriptable upstreams: its configuration, its counters, its logs."""

import http.client
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.process.program import DEADLINE_S, Program, wait_until
from tests.process.proxy.upstream import BlackHole
from tests.process.proxy.wire import Wire, connect, request

HERE = Path(__file__).parent
LISTENER_KEYS = (
    "access_logs",
    "connection_idle_timeout",
    "max_connections",
    "stream_filters",
    "write_min_rate",
    "write_timeout",
)
PING = {"match": {"path": "/ping"}, "direct_response": {"status": 200, "body": "pong"}}


class Setting(Program):
    """One worker, a listener `front`, a router with the route `/ping`, an admin address; changed as wanted before start()."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.admin_port = free_port()
        self.ports = {"front": self.port}
        self.holes: list[BlackHole] = []
        self.server.update({"processor": 1, "listeners": [self._listener("front", self.port)]})
        self.server["routers"][0]["virtual_hosts"][0]["routers"] = [PING]
        self.config["cluster_manager"] = {"clusters": []}
        self.config["admin"] = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": self.admin_port}}}

    @staticmethod
    def _listener(name: str, port: int) -> dict[str, Any]:
        proxy = {"downstream_protocol": "Http1", "router_config_name": "r", "extend_config": {"Http1": {}}}
        return {
            "name": name,
            "address": f"127.0.0.1:{port}",
            "filter_chains": [{"filters": [{"type": "proxy", "config": proxy}]}],
        }

    # -- configuration -------------------------------------------------------------------------------------------------------

    def add_listener(self, name: str, **options: Any) -> dict[str, Any]:
        """One more listener on the same routes; *options* of `Http1` are those that it knows."""
        self.ports[name] = free_port()
        listener = self._listener(name, self.ports[name])
        self.server["listeners"].append(listener)
        self.change_listener(name, **options)
        return listener

    def change_listener(self, name: str, **options: Any) -> None:
        """Set options of a listener or of its Http1 limits."""
        listener = next(one for one in self.server["listeners"] if one["name"] == name)
        for key, value in options.items():
            if key in LISTENER_KEYS:
                listener[key] = value
            else:
                listener["filter_chains"][0]["filters"][0]["config"]["extend_config"]["Http1"][key] = value

    def add_cluster(self, name: str, *ports: int, **options: Any) -> None:
        """A cluster of ports of this machine and a route `/name` to it."""
        hosts = [{"address": f"127.0.0.1:{port}"} for port in ports]
        self.config["cluster_manager"]["clusters"].append({"name": name, "hosts": hosts, **options})
        self.add_route({"prefix": f"/{name}"}, route={"cluster_name": name})

    def add_black_hole(self, name: str, **options: Any) -> None:
        """A cluster whose host never answers a connect."""
        self.holes.append(BlackHole())
        self.add_cluster(name, self.holes[-1].port, **options)

    def add_route(self, match: dict[str, Any], first: bool = False, **action: Any) -> None:
        """A route."""
        routes = self.server["routers"][0]["virtual_hosts"][0]["routers"]
        routes.insert(0 if first else len(routes), {"match": match, **action})

    def is_serving(self) -> bool:
        """Whether the listener and the admin address answer."""
        if self.master is not None and self.master.poll() is not None:
            raise AssertionError(f"the master ended: {self.master.communicate()[1]}")
        try:
            with connect(self.port) as client:
                return client.get("/ping").status > 0 and bool(self.counts())
        except OSError:
            return False

    def start(self) -> None:
        """Write the configuration, start, wait until it serves."""
        self.write()
        super().start()

    def end(self) -> None:
        """End everything."""
        super().end()
        for hole in self.holes:
            hole.close()

    # -- use -----------------------------------------------------------------------------------------------------------------

    def connect(self, listener: str = "front", receive_buffer: int = 0) -> Wire:
        """A client's connection."""
        return connect(self.ports[listener], receive_buffer)

    def send_until_stuck(self, client: Wire, path: str, listener: str = "front") -> int:
        """Send GETs of *path* and read no answer but the first, until one does not leave the proxy; the bytes of the unread."""
        first = client.get(path)
        length = len(first.head) + len(first.body)
        tally = self.tally()
        for count in range(1, 1000):
            client.send(request(path))
            until = time.monotonic() + 0.2
            while tally.of(f"{listener}.bytes_write_total") < count * length:
                if time.monotonic() > until:
                    return count * length
        raise AssertionError("the socket takes everything")

    def counts(self) -> Counter[str]:
        """Every counter: `front.request_total` of listeners, `cluster.request_total` of clusters, `worker.exceptions`.

        A host, and so its cluster, is shown from its first event on: what is not there is 0.
        """
        admin = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=5)
        admin.request("GET", "/api/v1/stats")
        stats = json.loads(admin.getresponse().read())
        admin.close()
        found: Counter[str] = Counter()
        for kind, spaces in stats.items():
            for space, values in spaces.items():
                name = _short_name(kind, space)
                for key, value in values.items() if name else ():
                    found[f"{name}.{key}"] = int(value)
        return found

    def tally(self) -> "Tally":
        """Counts from now on."""
        return Tally(self)

    def log_lines(self, name: str) -> list[str]:
        """The lines of the access log *name* so far."""
        path = self.directory / "logs" / name
        return path.read_text().splitlines() if path.exists() else []

    def wait_lines(self, name: str, count: int) -> list[str]:
        """The access log's lines, once there are *count*."""
        lines: list[str] = wait_until(lambda: len(self.log_lines(name)) >= count and self.log_lines(name), f"{count} log lines")
        return lines


def _short_name(kind: str, space: str) -> str:
    words = space.split(".", 1)
    if kind == "worker":
        return "worker"
    if kind == "downstream":
        return words[1] if words[0] == "listener" else ""
    return words[1] if kind == "upstream" and ".host." not in space else ""


class Tally:
    """How much counters grew since it was made."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.before = setting.counts()

    def of(self, name: str) -> int:
        """By how much the counter *name* grew."""
        return self.setting.counts()[name] - self.before[name]

    def wait(self, name: str, grown: int, deadline_s: float = DEADLINE_S) -> None:
        """Wait until *name* grew by exactly *grown*."""
        until = time.monotonic() + deadline_s
        while (found := self.of(name)) != grown and time.monotonic() < until:
            time.sleep(0.01)
        assert found == grown, f"{name} grew by {found}, not {grown}"
