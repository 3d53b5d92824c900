"""Starts the real program in a directory of its own on free ports; every wait has a deadline."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mosn_mp.master.control.client import AskError, ask_status, report_json
from tests.ports import free_port
from tests.process.command import TIMEOUT_S, run_command

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
DEADLINE_S = 30.0  # what is waited for takes milliseconds, and seconds where other tests keep the machine busy


def wait_until(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """The first true value of *condition*; AssertionError naming *what* after the deadline."""
    began = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited_s = time.monotonic() - began
        assert waited_s < deadline_s, f"not within {deadline_s} s: {what}"
        time.sleep(min(0.01 + waited_s / 20, 0.05))  # a look costs the program time too, as a question at its admin address


def wait_equal(look: Callable[[], Any], expected: Any, deadline_s: float = DEADLINE_S) -> None:
    """Wait until *look* finds what is *expected*; AssertionError with the difference after the deadline."""
    until = time.monotonic() + deadline_s
    while (found := look()) != expected and time.monotonic() < until:
        time.sleep(0.05)
    assert found == expected, f"not within {deadline_s} s: {found} is not {expected}"


def settled(look: Callable[[], Any], pause_s: float) -> Any:
    """What *look* finds once it finds the same twice, *pause_s* apart; AssertionError after the deadline."""
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        found = look()
        time.sleep(pause_s)
        if look() == found:
            return found
    raise AssertionError(f"not the same for {pause_s} s within {DEADLINE_S} s: {found}")


def say(text: str) -> None:
    """Print *text*, for whoever runs pytest with -s or reads why a test failed."""
    sys.stdout.write(f"{text}\n")


def is_alive(pid: int) -> bool:
    """Whether *pid* runs (a zombie does not)."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it ended before, or while, we looked
        return False


class Program:
    """One configuration and the master that serves it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.path = directory / "mosn.json"
        self.log = directory / "logs" / "mosn.log"
        self.master: subprocess.Popen[str] | None = None
        self.start_options: list[str] = []
        self.python = sys.executable
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.config: dict[str, Any] = {
            "servers": [
                {
                    "processor": 2,
                    "graceful_timeout": "5s",
                    "arena_size": "16MB",
                    "read_write_paths": [str(directory)],  # filters leave marks there
                    "listeners": [self.listener("front", self.port)],
                    "routers": [
                        {
                            "router_config_name": "r",
                            "virtual_hosts": [
                                {
                                    "name": "v",
                                    "domains": ["*"],
                                    "routers": [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": "hi"}}],
                                }
                            ],
                        }
                    ],
                }
            ]
        }
        self.write()

    @staticmethod
    def listener(name: str, port: int) -> dict[str, Any]:
        """A listener of the configuration."""
        proxy = {"type": "proxy", "config": {"downstream_protocol": "Http1", "router_config_name": "r"}}
        return {
            "name": name,
            "address": f"127.0.0.1:{port}",
            "bind_port": True,
            "filter_chains": [{"filters": [proxy]}],
            "stream_filters": [{"type": "witness:Witness", "python_path": str(HERE), "config": {}}],
        }

    def trouble(self, kind: str) -> Path:
        """Let the filter make trouble of *kind*; the marker file that it goes by."""
        marker = self.directory / "marker"
        self.server["listeners"][0]["stream_filters"][0]["config"] = {"kind": kind, "marker": str(marker)}
        self.write()
        return marker

    @property
    def server(self) -> dict[str, Any]:
        """The one entry of servers."""
        server: dict[str, Any] = self.config["servers"][0]
        return server

    def write(self) -> None:
        """Write the configuration to its file, in one step."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(self.config))
        fresh.rename(self.path)

    def spawn(self) -> subprocess.Popen[str]:
        """Start a master without waiting for anything."""
        command = [self.python, "-m", "mosn_mp", "start", "-c", str(self.path), *self.start_options]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def start(self) -> None:
        """Start the master and wait until it serves."""
        self.master = self.spawn()
        self.wait_serving()

    def wait_serving(self) -> None:
        """Wait for an answer of the listener."""
        wait_until(self.is_serving, "the first answer")

    def is_serving(self) -> bool:
        """Whether the listener answers."""
        if self.master is not None and self.master.poll() is not None:
            raise AssertionError(f"the master ended: {self.master.communicate()[1]}")
        try:
            return self.get() > 0
        except OSError:
            return False

    def get(self, path: str = "/", timeout_s: float = DEADLINE_S) -> int:
        """The pid of the worker that answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request("GET", path)
            return int(connection.getresponse().read())
        finally:
            connection.close()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command `mosn_mp` with *arguments* and `-c` this configuration."""
        words = [*arguments, "-c", str(self.path)]
        if self.python == sys.executable:
            return run_command(words, self.environment)
        command = [self.python, "-m", "mosn_mp", *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)

    def status(self) -> dict[str, Any]:
        """What `mosn_mp status --json` prints, without a process for each look."""
        try:
            report: dict[str, Any] = json.loads(report_json(ask_status(str(self.path))))
        except AskError as e:
            raise AssertionError(str(e)) from e
        return report

    def version(self) -> int:
        """The version of the configuration that serves."""
        return int(self.status()["config_version"])

    def pids(self, role: str) -> list[int]:
        """The processes of *role*."""
        return [process["pid"] for process in self.status()["processes"] if process["role"] == role]

    def log_text(self) -> str:
        """The log so far."""
        return self.log.read_text() if self.log.exists() else ""

    def signal(self, number: signal.Signals) -> None:
        """Send *number* to the master."""
        assert self.master is not None
        self.master.send_signal(number)

    def wait_exit(self, deadline_s: float = DEADLINE_S) -> int:
        """The exit status of the master."""
        assert self.master is not None
        self.master.communicate(timeout=deadline_s)
        return self.master.returncode

    def family(self) -> list[int]:
        """Every living process that was started for this configuration."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if str(self.path).encode() in words and is_alive(int(entry.name)):
                    found.append(int(entry.name))
        return found

    def descriptors(self) -> dict[int, int]:
        """How many descriptors each process has."""
        return {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in self.family()}

    def end(self) -> None:
        """Leave nothing behind."""
        if self.master is not None and self.master.poll() is None:
            self.master.send_signal(signal.SIGINT)
            try:
                self.master.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.master.kill()
        for pid in self.family():
            os.kill(pid, signal.SIGKILL)
        if self.master is not None:
            self.master.communicate()  # last: another generation writes to the same pipes
