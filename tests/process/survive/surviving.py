"""A program that everything is done to while clients of all kinds are connected, and the operations that it has to survive."""

import collections
import os
import re
import signal
import subprocess
import time
from collections.abc import Container
from pathlib import Path
from typing import NamedTuple

from tests.ports import free_port
from tests.process.descriptor_kinds import descriptor_kinds
from tests.process.loaded import Loaded
from tests.process.program import DEADLINE_S, is_alive, say, wait_until

OPERATION_S = 60.0  # an upgrade may wait for graceful_timeout


class Footprint(NamedTuple):
    """What the program has of the machine."""

    processes: tuple[str, ...]  # roles and slots
    descriptors: dict[str, collections.Counter[str]]  # what they are, by role and slot
    pss_bytes: int  # without pages of files
    shared: tuple[str, ...]  # in /dev/shm, but for those that another living program is just making
    temporary: tuple[str, ...]  # in /tmp

    @property
    def fds(self) -> int:
        """Descriptors of all processes."""
        return sum(kinds.total() for kinds in self.descriptors.values())

    def __str__(self) -> str:
        return (
            f"{len(self.processes)} processes, {self.fds} descriptors, {self.pss_bytes / 2**20:.2f} MiB, "
            f"{len(self.shared)} in /dev/shm, {len(self.temporary)} in /tmp"
        )


class Surviving(Loaded):
    """`/ws` leads to a WebSocket server, the listener `bolt` to a bolt server, `/up` and `/` as in Loaded."""

    def __init__(self, directory: Path, ws_port: int, bolt_port: int, workers: int = 3) -> None:
        super().__init__(directory)
        self.bolt_port = free_port()
        self.server["processor"] = workers
        self.server["arena_size"] = "256MB"
        self.server["graceful_timeout"] = "10s"
        front = self.server["listeners"][0]
        front["connection_idle_timeout"] = "10m"
        routes = self.server["routers"][0]["virtual_hosts"][0]["routers"]
        service = {"headers": [{"name": "service", "value": ".+", "regex": True}]}
        routes.insert(0, {"match": {"prefix": "/ws"}, "route": {"cluster_name": "ws", "timeout": "10m"}})
        routes.insert(1, {"match": service, "route": {"cluster_name": "bolt"}})
        for name, port in (("ws", ws_port), ("bolt", bolt_port)):
            self.config["cluster_manager"]["clusters"].append({"name": name, "hosts": [{"address": f"127.0.0.1:{port}"}]})
        proxy = {"type": "proxy", "config": {"downstream_protocol": "bolt", "router_config_name": "r"}}
        bolt = {"name": "bolt", "address": f"127.0.0.1:{self.bolt_port}", "filter_chains": [{"filters": [proxy]}]}
        self.server["listeners"].append(bolt)
        self.turn = 1  # what `/` answers
        self.write()

    # -- what is done to it ----------------------------------------------------------------------------------------------------

    def command(self, name: str) -> str:
        """Run the command *name*, which must succeed; what it printed."""
        command = [self.python, "-m", "mosn_mp", name, "-c", str(self.path)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=OPERATION_S, check=False)
        assert done.returncode == 0, (name, done.stdout, done.stderr, self.log_text()[-3000:])
        return done.stdout

    def reload(self) -> str:
        """Another version: `/` answers another number."""
        self.turn += 1
        self.set_answer(str(self.turn))
        text = self.command("reload")
        assert self.get() == self.turn
        return text

    def upgrade(self) -> str:
        """Another generation: the pid file names a new master, and the old one goes."""
        before = self.master_pid()
        text = self.command("upgrade")
        after = wait_until(lambda: (pid := self.master_pid()) != before and pid, f"another master than {before}")
        assert is_alive(after)
        wait_until(lambda: not is_alive(before), f"the end of the old master {before}", OPERATION_S)
        return text

    def rebalance(self) -> str:
        """All connections go to one worker, others come, and they are evened out again; the command says how many moved."""
        workers = self.server["processor"]
        self.use_workers(1)
        wait_until(lambda: len(self.loads()) == len(self.pids("worker")) == 1, "the one worker that is left")
        self.use_workers(workers)
        text = self.command("rebalance")
        assert re.search(r"\d+ connections moved", text), text
        return text

    def use_workers(self, count: int) -> None:
        """Reload with that many."""
        self.server["processor"] = count
        self.write()
        self.command("reload")

    # -- what it has -----------------------------------------------------------------------------------------------------------

    def master_pid(self) -> int:
        """The pid in the pid file; 0 if there is none just now."""
        try:
            return int((self.directory / "logs" / "mosn.pid").read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def is_serving(self) -> bool:
        """Whether the listener answers; the master that was started may have been upgraded away."""
        pid = self.master_pid()
        if pid and is_alive(pid):
            try:
                return self.get() > 0
            except OSError:
                return False
        return super().is_serving()

    def loads(self) -> list[int]:
        """Connections of each worker that serves."""
        return [p["connections"] for p in self.status()["processes"] if p["role"] == "worker" and p["state"] == "serving"]

    def footprint(self) -> Footprint:
        """Everything that is to be the same afterwards."""
        processes = self.status()["processes"]
        names = {process["pid"]: f"{process['role']} {process['slot']}" for process in processes}
        assert sorted(self.family()) == sorted(names), "processes that status does not know"
        return Footprint(
            tuple(sorted(names.values())),
            descriptor_kinds(names),
            sum(own_bytes(pid) for pid in names),
            tuple(sorted(name for name in names_of_ours("/dev/shm") if not is_anothers(name, names))),
            tuple(sorted(names_of_ours("/tmp"))),
        )

    def settled(self) -> Footprint:
        """The footprint once all clients are gone, the pools of connections to hosts too, and what their load needed."""
        clusters = self.config["cluster_manager"]["clusters"]
        hosts = [cluster["hosts"] for cluster in clusters]
        self._take_hosts([[] for _ in clusters])
        try:
            return self._settle()
        finally:
            self._take_hosts(hosts)

    def _take_hosts(self, hosts: list[list[dict[str, str]]]) -> None:
        for cluster, own in zip(self.config["cluster_manager"]["clusters"], hosts, strict=True):
            cluster["hosts"] = own
        self.write()
        self.command("reload")

    def _settle(self) -> Footprint:
        wait_until(lambda: sum(self.loads()) == 0, "the end of all connections", 30)
        last = self.footprint()
        quiet_since = time.monotonic()
        until = quiet_since + 30
        while time.monotonic() < min(until, quiet_since + 4):
            time.sleep(0.5)
            found = self.footprint()
            if abs(found.pss_bytes - last.pss_bytes) > 65536 or found._replace(pss_bytes=0) != last._replace(pss_bytes=0):
                last, quiet_since = found, time.monotonic()
        return last

    def end(self) -> None:
        """Leave nothing behind, of whatever generation."""
        pid = self.master_pid()
        if self.master is not None and self.master.poll() is not None and pid and is_alive(pid):
            os.kill(pid, signal.SIGINT)
            wait_until(lambda: not is_alive(pid), "the end of the last generation", DEADLINE_S)
        super().end()


def names_of_ours(directory: str) -> list[str]:
    """What a program of ours may have left in a directory that everybody uses."""
    return [name for name in os.listdir(directory) if name.startswith("mosn")]


def is_anothers(name: str, own: Container[int]) -> bool:
    """Whether the shared memory *name* was made by a process that lives and is none of *own*."""
    maker = re.fullmatch(r"mosn_mp-\w+-(\d+)-[0-9a-f]+", name)
    return maker is not None and int(maker[1]) not in own and is_alive(int(maker[1]))


def check_same(before: Footprint, after: Footprint, tolerance: float = 0.02) -> None:
    """*after* is what *before* was."""
    say(f"before: {before}\nafter:  {after}")
    assert after.processes == before.processes
    for name, kinds in after.descriptors.items():
        known = before.descriptors[name]
        assert kinds == known, f"{name}: gone {known - kinds}, new {kinds - known}"
    assert after.shared == before.shared
    assert after.temporary == before.temporary
    assert abs(after.pss_bytes - before.pss_bytes) <= tolerance * before.pss_bytes


def own_bytes(pid: int) -> int:
    """Memory of *pid* without pages of files, whose share changes with what else runs on the machine."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kib) for kib in re.findall(r"^(?:Pss_Anon|Pss_Shmem):\s+(\d+)", rollup, re.M)) * 1024
