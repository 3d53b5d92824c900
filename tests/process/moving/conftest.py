"""A proxy with an HTTP and a bolt listener whose workers come and go, so that connections move."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.program import wait_until
from tests.process.proxy.upstream import Upstream as HttpUpstream
from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream as BoltUpstream


class MovingSetting(RpcSetting):
    """Begins with one worker; shift() makes two of it and lets the second have half of the connections."""

    def connections(self) -> list[int]:
        """Clients' connections by worker."""
        return [p["connections"] for p in self.status()["processes"] if p["role"] == "worker"]

    def use_workers(self, count: int) -> None:
        """Reload with so many workers; those that leave give their connections to the others."""
        self.server["processor"] = count
        self.write()
        done = self.run("reload")
        assert done.returncode == 0, done.stderr
        wait_until(lambda: len(self.connections()) == count, f"{count} workers")

    def rebalance(self) -> dict[str, Any]:
        """The report of `mosn_mp rebalance`."""
        done = self.run("rebalance", "--json")
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def shift(self) -> int:
        """Two workers, and half of the connections in the new one; how many moved."""
        self.use_workers(2)
        return int(self.rebalance()["moved"])


@pytest.fixture
def http_origin() -> Iterator[HttpUpstream]:
    """An HTTP upstream of the test's own."""
    made = HttpUpstream()
    yield made
    made.close()


@pytest.fixture
def bolt_origin() -> Iterator[BoltUpstream]:
    """A bolt upstream of the test's own."""
    made = BoltUpstream()
    yield made
    made.stop()
    assert not made.errors, made.errors


@pytest.fixture
def moving(tmp_path: Path, http_origin: HttpUpstream, bolt_origin: BoltUpstream) -> Iterator[MovingSetting]:
    """The proxy; `/web` leads to the HTTP upstream, everything of bolt to the other."""
    setting = MovingSetting(tmp_path)
    setting.server["rebalance_interval"] = "0s"
    setting.add_cluster("up", bolt_origin.port)
    setting.add_cluster("web", http_origin.port)
    setting.add_route({"prefix": "/"}, route={"cluster_name": "up"})
    setting.change_listener("front", access_logs=[{"log_path": str(tmp_path / "logs" / "access.log")}])
    setting.start()
    try:
        yield setting
        assert "Traceback" not in setting.log_text(), setting.log_text()
    finally:
        setting.end()


