"""Tests that run side by side never meet on a port."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import free_port, next_port

ROOT = Path(__file__).resolve().parents[2]


def test_processes_that_ask_at_once_get_a_port_each() -> None:
    command = [sys.executable, "-c", "from tests.ports import free_port\nfor _ in range(100): print(free_port())"]
    asking = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    given = [port for one in asking for port in one.communicate(timeout=50)[0].split()]
    assert len(set(given)) == len(given) == 400


def test_a_port_is_below_those_that_linux_takes_itself() -> None:
    assert free_port() < 32_768


def test_a_port_in_use_is_not_given(tmp_path: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(OSError, match=f"all ports from {port} to {port} are in use"):
        next_port(range(port, port + 1), tmp_path)
    assert next_port(range(port, port + 1), tmp_path) == port
