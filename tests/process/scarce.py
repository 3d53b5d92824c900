"""A program that may open few files."""

import contextlib
import http.client
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.process.crowd import FarHost, QuickHost
from tests.process.program import HERE
from tests.process.proxy.setting import Setting


class Scarce(Setting):
    """Two workers that may open `descriptors` each, in front of a host; the filter Hoarder is there for the asking."""

    descriptors = 256

    def __init__(self, directory: Path, host: QuickHost | FarHost) -> None:
        super().__init__(directory)
        self.server["processor"] = 2
        filters = [{"type": "hoarder:Hoarder", "python_path": str(HERE), "config": {}}]
        self.change_listener("front", stream_filters=filters)
        self.add_cluster("up", host.port)
        self.add_cluster("hosts", *(self.other_hosts(host)))

    @staticmethod
    def other_hosts(host: QuickHost | FarHost) -> list[int]:
        """The same host once more: a pool of its own."""
        return [host.port]

    def spawn(self) -> subprocess.Popen[str]:
        limit = f"--nofile={self.descriptors}:{self.descriptors}"
        command = ["prlimit", limit, sys.executable, "-m", "mosn_mp", "start", "-c", str(self.path), *self.start_options]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def workers(self) -> list[dict[str, Any]]:
        """What `status` says of the workers."""
        return [process for process in self.status()["processes"] if process["role"] == "worker"]

    def sum_of(self, key: str) -> int:
        """A figure of the workers' budgets, added up."""
        return sum(int(worker["descriptors"][key]) for worker in self.workers())

    def worker_count(self, key: str) -> int:
        """A worker's counter, added up over the workers."""
        text = self.metrics()
        return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"worker_{key}{{"))

    def metrics(self) -> str:
        """The body of /metrics."""
        admin = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=5)
        admin.request("GET", "/metrics")
        with contextlib.closing(admin):
            return admin.getresponse().read().decode()
