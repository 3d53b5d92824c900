"""The load test: the configuration it serves, and its upstream host as plain clients see it."""

import hashlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import run

from mosn_mp.config.load import check

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """The good and the broken port of the upstream program."""
    with subprocess.Popen([sys.executable, ROOT / "loadtest/upstream.py"], stdout=subprocess.PIPE) as upstream:
        assert upstream.stdout
        good, broken = map(int, upstream.stdout.readline().split())
        yield good, broken
        upstream.kill()


def test_the_configuration_it_writes_is_served(tmp_path: Path) -> None:
    path = tmp_path / "mosn.json"
    path.write_text(json.dumps(run.config(tmp_path, 1, 1, 2, 3)))
    assert check(path).errors == ()


@pytest.mark.parametrize(("path", "size"), [("/small", 1024), ("/large", 1 << 20), ("/stream", 1 << 20)])
def test_the_host_answers_with_bodies_of_known_size(ports: tuple[int, int], path: str, size: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", ports[0], timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert (answer.status, len(answer.read())) == (200, size)
    assert (answer.headers["Transfer-Encoding"] == "chunked") == (path == "/stream")
    connection.close()


def test_the_host_digests_uploads(ports: tuple[int, int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", ports[0], timeout=10)
    pieces, headers = iter([b"a" * 70000, b"b"]), {"Transfer-Encoding": "chunked"}
    connection.request("POST", "/upload", body=pieces, headers=headers, encode_chunked=True)
    assert connection.getresponse().read().decode() == hashlib.sha256(b"a" * 70000 + b"b").hexdigest()
    connection.close()


def test_the_broken_host_hangs_up(ports: tuple[int, int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", ports[1], timeout=10)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        connection.request("GET", "/")
        connection.getresponse()
    connection.close()


@pytest.mark.interop("python:locust")
@pytest.mark.timeout(90)
def test_a_short_load_test_meets_its_limits() -> None:
    command = [sys.executable, ROOT / "loadtest/run.py", "--users", "8", "--seconds", "10"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=80)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "load test passed" in ended.stdout
