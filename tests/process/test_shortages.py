"""Out of descriptors, of buffers, of disk: degraded, counted, logged, and over when the cause is."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.program import wait_until
from tests.process.proxy.setting import Setting

DEVICE = "/dev/full"


class Short(Setting):
    """Starts with few descriptors, if wanted."""

    descriptors = 0

    def spawn(self) -> subprocess.Popen[str]:
        if self.descriptors:
            command = [
                "prlimit", f"--nofile={self.descriptors}:{self.descriptors}", sys.executable, "-m", "mosn_mp", "start", "-c",
                str(self.path),
            ]  # fmt: skip
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return super().spawn()


@pytest.fixture
def short(tmp_path: Path) -> Iterator[Short]:
    """Not started yet."""
    made = Short(tmp_path)
    try:
        yield made
    finally:
        made.end()


def lines_about(setting: Setting, key: str) -> int:
    return setting.log_text().count(f"[{key}]")


def test_a_full_disk_under_the_access_log(short: Short) -> None:
    short.change_listener("front", access_logs=[{"log_path": DEVICE}])
    short.start()
    began = time.monotonic()
    with short.connect() as client:
        while time.monotonic() - began < 2.2:
            assert client.get("/ping").status == 200
    wait_until(lambda: lines_about(short, "log_dropped") > 0, "a line in the log")
    wait_until(lambda: short.counts()["worker.log_dropped"] > 100, "the dropped lines counted")
    assert lines_about(short, "log_dropped") <= time.monotonic() - began + 1


def test_more_connections_than_descriptors(short: Short) -> None:
    short.descriptors = 400
    short.start()
    clients = [socket.create_connection(("127.0.0.1", short.port)) for _ in range(200)]
    try:
        wait_until(lambda: lines_about(short, "accept_pauses") > 0, "a line in the log")
        assert short.counts()["front.connection_total"] < 200
    finally:
        for client in clients:
            client.close()
    wait_until(lambda: short.counts()["front.connection_active"] == 0, "the clients gone")
    with short.connect() as client:
        assert client.get("/ping").status == 200


def test_a_worker_that_replaces_another_does_not_tell_its_story_again(short: Short) -> None:
    short.change_listener("front", max_connections=1)
    short.start()
    with short.connect() as first:
        assert first.get("/ping").status == 200
        for _ in range(3):
            socket.create_connection(("127.0.0.1", short.port)).close()
        wait_until(lambda: lines_about(short, "limit_connections") == 1, "a line in the log")
    short.server["processor"] = 2
    short.write()
    assert short.run("reload").returncode == 0
    time.sleep(1.5)
    assert lines_about(short, "limit_connections") == 1
