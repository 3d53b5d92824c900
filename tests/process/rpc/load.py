"""The processes of a load test: the echo server on a port that stays, the load client, and a proxy with several workers."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.ports import free_port
from tests.process.program import ROOT
from tests.process.rpc.setting import RpcSetting


class Echo:
    """tests/rpc/echo.py as a process; restart() takes the same port."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.port = free_port()
        self.start()

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [sys.executable, "-m", "tests.rpc.echo", str(self.port), str(self.delay_s)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout is not None
        assert int(self.process.stdout.readline()) == self.port

    def goaway(self) -> None:
        """All connections say GOAWAY."""
        self.process.send_signal(signal.SIGUSR1)

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.communicate()

    def restart(self) -> None:
        """Kill it and start it again."""
        self.end()
        self.start()

    def __enter__(self) -> "Echo":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()


class Load:
    """tests/rpc/load.py as a process."""

    def __init__(self, port: int, connections: int, rate: float, seconds: float, protocol: int = 1, depth: int = 0) -> None:
        self.seconds = seconds
        command = [sys.executable, "-m", "tests.rpc.load", *map(str, (port, connections, rate, seconds, protocol, depth))]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)

    def stop(self) -> dict[str, Any]:
        """End it now, for one with a depth, and say as result()."""
        self.process.terminate()
        return self.result()

    def result(self) -> dict[str, Any]:
        """What became of the requests: the fields of tests.rpc.load.Result."""
        try:
            output, errors = self.process.communicate(timeout=self.seconds + 30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert not errors, errors
        found: dict[str, Any] = json.loads(output)
        return found


class LoadedSetting(RpcSetting):
    """A proxy with *workers* workers before echo servers."""

    def __init__(self, directory: Path, workers: int, echoes: list[Echo], **cluster: Any) -> None:
        super().__init__(directory)
        self.server["processor"] = workers
        self.server["arena_size"] = "256MB"
        self.add_cluster("up", *[echo.port for echo in echoes], **cluster)
        self.add_route({"prefix": "/"}, route={"cluster_name": "up"})

    def kill_worker(self, turn: int) -> int:
        """kill -9 of one of the workers; its pid."""
        pids = sorted(self.pids("worker"))
        pid = pids[turn % len(pids)]
        os.kill(pid, signal.SIGKILL)
        return pid

    def __enter__(self) -> "LoadedSetting":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()
