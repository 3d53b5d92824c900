"""The units as scripts/install-service installs them, under a real systemd."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ports import privileged_port
from tests.process.program import ROOT, Program, wait_until
from tests.process.systemd_machine import Systemd, why_not
from tests.process.test_systemd_notify import clients_of, servers_of

UNIT = "mosn_mp.service"
# The Python of a test is where it is, and nobody waits 20 s for the watchdog; the rest of the unit is as installed.
LOCAL = f"[Service]\nProtectHome=no\nWatchdogSec=3\nEnvironment=PYTHONPATH={ROOT}\nStandardError=append:/run/mosn_mp.stderr\n"
REFUSAL = why_not()
pytestmark = pytest.mark.skipif(bool(REFUSAL), reason=REFUSAL)


class Service(Program):
    """A configuration on a privileged port, and the unit that serves it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.port = privileged_port()
        self.config["pid"] = "/run/mosn_mp/mosn.pid"
        self.server["default_log_path"] = "/var/log/mosn_mp/mosn.log"
        self.server["listeners"] = [self.listener("front", self.port)]
        self.write()
        self.path.chmod(0o644)
        program = Path(sys.executable).parent / "mosn_mp"
        install = [ROOT / "scripts/install-service", "--root", directory / "root", "--program", program, "--socket"]
        subprocess.run([*install, "--config", "/srv/mosn.json"], check=True, capture_output=True)
        units = directory / "root/etc/systemd/system"
        (units / "mosn_mp.service.d/10-local.conf").write_text(LOCAL)
        socket_unit = units / "mosn_mp.socket"
        streams = re.sub(r"(?m)^ListenStream=.*", f"ListenStream=127.0.0.1:{self.port}", socket_unit.read_text())
        socket_unit.write_text(streams)
        self.systemd = Systemd(directory)

    def control(self, *arguments: str) -> None:
        """systemctl, which must succeed."""
        done = self.systemd.control(*arguments)
        assert done.returncode == 0, f"{done.stderr}\n{self.log_text()}\n{self.systemd.run('cat', '/run/mosn_mp.stderr').stdout}"

    def show(self, name: str) -> str:
        """A property of the unit."""
        return self.systemd.show(UNIT, name)

    def log_text(self) -> str:
        return self.systemd.run("cat", "/var/log/mosn_mp/mosn.log").stdout

    def status(self) -> dict[str, Any]:
        done = self.systemd.run(sys.executable, "-m", "mosn_mp", "status", "--json", "-c", "/srv/mosn.json")
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def kill(self, number: signal.Signals, pids: list[int]) -> None:
        """Send *number* to *pids* of the namespace."""
        assert self.systemd.run("kill", f"-{number.name[3:]}", *map(str, pids)).returncode == 0

    def wait_restarted(self, before: int) -> None:
        """Wait until systemd has started it again by itself."""
        wait_until(lambda: int(self.show("NRestarts")) > before and self.show("SubState") == "running", "a restart", 20)

    def end(self) -> None:
        self.systemd.end()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    try:
        yield made
    finally:
        made.end()


def test_the_unit_starts_serves_and_stops(service: Service) -> None:
    service.control("start", UNIT)
    assert service.show("ActiveState") == "active"
    assert service.show("StatusText") == "Serving version 1 of /srv/mosn.json with 2 workers."
    assert service.show("NFileDescriptorStore") == "2"
    assert service.get() in service.pids("worker")
    uids = set()
    for pid in [pid for role in ("master", "controller", "worker") for pid in service.pids(role)]:
        facts = dict(line.split(":\t", 1) for line in service.systemd.run("cat", f"/proc/{pid}/status").stdout.splitlines())
        uids.add(facts["Uid"].split()[0])
        assert facts["NoNewPrivs"] == "1"
        assert facts["Seccomp"] == "2"
        assert int(facts["CapBnd"], 16) == 1 << 10  # CAP_NET_BIND_SERVICE
    assert len(uids) == 1
    assert uids != {"0"}
    service.control("stop", UNIT)
    assert service.show("Result") == "success"
    assert service.show("NFileDescriptorStore") == "0"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", service.port))


def test_no_queued_connection_is_lost_when_the_master_is_killed(service: Service) -> None:
    service.control("start", UNIT)
    for restarts in range(3):
        old = set(service.pids("worker"))
        service.kill(signal.SIGSTOP, list(old))
        clients = clients_of(service, 100)
        service.kill(signal.SIGKILL, service.pids("master"))
        clients += clients_of(service, 100)
        service.wait_restarted(restarts)
        assert not servers_of(clients) & old
    assert service.show("NFileDescriptorStore") == "2"


def test_a_restart_loses_no_connection(service: Service) -> None:
    service.control("start", UNIT)
    for _ in range(3):
        restart = subprocess.Popen(["nsenter", f"--target={service.systemd.pid}", "--all", "--", "systemctl", "restart", UNIT])
        served = 0
        while restart.poll() is None:
            servers_of(clients_of(service, 5))
            served += 5
        assert restart.returncode == 0
        sys.stdout.write(f"served during a restart: {served}, failed: 0\n")


def test_a_reload_is_a_job_that_waits_and_may_fail(service: Service) -> None:
    service.control("start", UNIT)
    workers = set(service.pids("worker"))
    second = privileged_port()
    service.server["listeners"].append(service.listener("second", second))
    service.write()
    service.control("reload", UNIT)
    assert service.show("StatusText") == "Serving version 2 of /srv/mosn.json with 2 workers."
    assert service.show("NFileDescriptorStore") == "4"
    socket.create_connection(("127.0.0.1", second)).close()
    service.server["nonsense"] = True
    service.write()
    if service.show("Type") == "notify":  # with notify-reload systemd asks for no result
        assert service.systemd.control("reload", UNIT).returncode != 0
    else:
        service.control("reload", UNIT)
    assert "The last reload was refused: " in service.show("StatusText")
    assert (service.show("ActiveState"), service.show("NRestarts")) == ("active", "0")
    assert set(service.pids("worker")) == workers


def test_an_upgrade_makes_another_process_the_main_one(service: Service) -> None:
    service.control("start", UNIT)
    client = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    for turn in range(3):
        before = int(service.show("MainPID"))
        client.request("GET", "/")
        client.getresponse().read()
        assert service.systemd.run("kill", "-USR2", str(before)).returncode == 0
        wait_until(lambda before=before: int(service.show("MainPID")) != before, "another main process")
        client.request("GET", "/")  # served by either
        client.getresponse().read()
        assert service.show("StatusText") == f"Serving version {turn + 2} of /srv/mosn.json with 2 workers."
        wait_until(lambda: not service.status()["draining_master"], "the end of the generation before")
        client.request("GET", "/")
        assert int(client.getresponse().read()) in service.pids("worker")
    assert (service.show("ActiveState"), service.show("NRestarts"), service.show("NFileDescriptorStore")) == ("active", "0", "2")
    # what the store holds serves the next start
    service.kill(signal.SIGSTOP, service.pids("worker"))
    clients = clients_of(service, 50)
    service.kill(signal.SIGKILL, service.pids("master"))
    service.wait_restarted(0)
    servers_of(clients)
    service.control("stop", UNIT)
    assert service.show("Result") == "success"


def test_a_drain_that_takes_longer_than_the_units_patience_is_waited_for(service: Service) -> None:
    (service.directory / "root/etc/systemd/system/mosn_mp.service.d/20-patience.conf").write_text("[Service]\nTimeoutStopSec=1\n")
    service.control("daemon-reload")
    service.control("start", UNIT)
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    connection.request("GET", "/slower")
    wait_until(lambda: any(p["active"] for p in service.status()["processes"]), "a request in flight")
    service.control("stop", UNIT)
    assert connection.getresponse().status == 200
    assert service.show("Result") == "success"


def test_a_master_that_hangs_is_replaced_by_the_watchdog(service: Service) -> None:
    service.control("start", UNIT)
    service.kill(signal.SIGSTOP, service.pids("worker"))
    clients = clients_of(service, 50)
    service.kill(signal.SIGSTOP, [int(service.show("MainPID"))])
    service.wait_restarted(0)
    servers_of(clients)


def test_the_socket_unit_listens_while_the_service_is_stopped(service: Service) -> None:
    service.control("start", "mosn_mp.socket")
    clients = clients_of(service, 50)  # which start it
    servers_of(clients)
    assert service.show("NFileDescriptorStore") == "0"  # the sockets are the socket unit's
    for _ in range(3):
        service.systemd.control("stop", UNIT)
        clients = clients_of(service, 50)
        servers_of(clients)
    assert service.show("ActiveState") == "active"


def test_a_refused_configuration_fails_the_start_and_says_why(service: Service) -> None:
    service.server["nonsense"] = True
    service.write()
    assert service.systemd.control("start", UNIT).returncode != 0
    wait_until(lambda: "nonsense" in service.show("StatusText"), "the reason")
