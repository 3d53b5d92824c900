"""Bodies far larger than memory should hold: verified by hash, with the memory of all processes watched."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.long import bulk
from tests.long.growth import Growth
from tests.long.proxied import MIB, Proxied

GIB = 1 << 30
MAX_GROWTH = 4 * MIB
COMMAND = [sys.executable, str(Path(__file__).parent / "bulk.py")]


def run(*words: object) -> dict[str, object]:
    """What bulk.py found."""
    done = subprocess.run([*COMMAND, *map(str, words)], stdout=subprocess.PIPE, timeout=600, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def proxied(shared_proxy_to: Callable[..., Proxied]) -> Iterator[Proxied]:
    """A proxy before bulk.py, each of its processes with one small transfer of each kind behind it."""
    server = subprocess.Popen([*COMMAND, "serve"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    made = shared_proxy_to(int(server.stdout.readline()), timeout="20m")
    for _ in range(6):
        for framing in ("length", "chunked"):
            run("download", made.port, framing, 3 * MIB)
            run("upload", made.port, framing, 3 * MIB)
    yield made
    server.kill()
    server.communicate()


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("direction", ["download", "upload"])
@pytest.mark.parametrize("size", [256 * MIB, pytest.param(2 * GIB, marks=pytest.mark.slow)], ids=["256MiB", "2GiB"])
def test_a_huge_body_arrives_whole_in_little_memory(
    proxied: Proxied, direction: str, framing: str, size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with Growth(proxied) as growth:
        found = run(direction, proxied.port, framing, size)
    with capsys.disabled():
        sys.stdout.write(f"\n{direction} {size // MIB} MiB by {framing}: {growth}\n")
    assert found == {"count": size, "hash": bulk.expected_hash(size)}
    assert growth.bytes <= MAX_GROWTH


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_slow_reader_makes_nothing_grow(proxied: Proxied, framing: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Growth(proxied) as growth:
        found = run("download", proxied.port, framing, 2 * GIB, MIB, 10)
    with capsys.disabled():
        sys.stdout.write(f"\n1 MiB/s for 10 s by {framing}: {growth}\n")
    assert 8 * MIB < int(str(found["count"])) < 13 * MIB
    assert growth.bytes <= MAX_GROWTH
