"""A program under steady load, from the verifying client and from wrk, and what they counted."""

import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tests.ports import free_port
from tests.process.program import Program, wait_until

HERE = Path(__file__).parent
WRK_CONNECTIONS = 8


class Result(NamedTuple):
    """What the clients counted; *wrk_errors* are resets, timeouts and answers of another status than 200."""

    requests: int
    failed: int
    connections: int
    failures: list[str]
    wrk_requests: int
    wrk_errors: int
    wrk_text: str

    def __str__(self) -> str:
        return (
            f"verifying client: {self.requests} requests on {self.connections} connections, {self.failed} failed; "
            f"wrk: {self.wrk_requests} requests, {self.wrk_errors} failed"
        )


class Loaded(Program):
    """`/up` leads to two servers of the test; `/` answers by itself."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.upstreams = [free_port(), free_port()]
        self.server["listeners"][0].pop("stream_filters")
        self.server["routers"][0]["virtual_hosts"][0]["routers"] = [
            {"match": {"prefix": "/up"}, "route": {"cluster_name": "up"}},
            {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": "1"}},
        ]
        self.config["cluster_manager"] = {"clusters": [{"name": "up", "lb_type": "LB_RANDOM", "hosts": []}]}
        self.set_hosts(self.upstreams)
        self.children: list[subprocess.Popen[str]] = []

    def set_hosts(self, ports: list[int]) -> None:
        """Let `/up` lead to these."""
        self.config["cluster_manager"]["clusters"][0]["hosts"] = [{"address": f"127.0.0.1:{port}"} for port in ports]
        self.write()

    def set_answer(self, text: str) -> None:
        """Let `/` answer *text*, which must be a number."""
        self.server["routers"][0]["virtual_hosts"][0]["routers"][-1]["direct_response"]["body"] = text
        self.write()

    def start(self) -> None:
        """Start the servers, then the program."""
        servers = self._run("server", *map(str, self.upstreams))
        assert servers.stdout is not None
        assert servers.stdout.readline() == "ready\n"
        super().start()

    def get_text(self, path: str) -> str:
        """The body of an answer on a new connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def hits(self, port: int) -> int:
        """How many requests the server at *port* has answered."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/hits/0/0")
        count = int(connection.getresponse().getheader("X-Hits", ""))
        connection.close()
        return count

    def begin_load(self, wrk_s: int = 0) -> None:
        """Let the clients begin, and wait until they are well under way; *wrk_s* 0: without wrk."""
        self.client = self._run("client", str(self.port))
        self.wrk: subprocess.Popen[str] | None = None
        if wrk_s and shutil.which("wrk"):
            command = ["wrk", "-t1", f"-c{WRK_CONNECTIONS}", f"-d{wrk_s}s", "--timeout", "10s", f"http://127.0.0.1:{self.port}/up/7/100"]
            self.wrk = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.children.append(self.wrk)
        before = sum(map(self.hits, self.upstreams))
        wait_until(lambda: sum(map(self.hits, self.upstreams)) > before + 50, "the load well under way")

    def end_load(self) -> Result:
        """Stop the clients and count."""
        self.client.send_signal(signal.SIGTERM)
        counted: dict[str, Any] = json.loads(self.client.communicate(timeout=30)[0])
        text = ""
        if self.wrk is not None:
            self.wrk.send_signal(signal.SIGINT)  # it prints what it has
            text = self.wrk.communicate(timeout=30)[0]
        socket_errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        statuses = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        wrk_requests = re.search(r"(\d+) requests in", text)
        errors = sum(map(int, socket_errors.groups())) if socket_errors else 0
        return Result(
            sum(counted.get(kind, 0) for kind in ("keep", "new", "upload")),
            counted.get("failed", 0),
            counted.get("connections", 0),
            counted["failures"],
            int(wrk_requests[1]) if wrk_requests else 0,
            errors + (int(statuses[1]) if statuses else 0),
            text,
        )

    def end(self) -> None:
        """Leave nothing behind."""
        super().end()
        for child in self.children:
            if child.poll() is None:
                child.terminate()
                child.wait(5)

    def _run(self, *arguments: str) -> "subprocess.Popen[str]":
        child = subprocess.Popen([sys.executable, str(HERE / "steady.py"), *arguments], stdout=subprocess.PIPE, text=True)
        self.children.append(child)
        return child
