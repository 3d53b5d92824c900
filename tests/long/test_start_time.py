"""How soon the first request is served."""

import socket
import statistics
import sys
import time
from pathlib import Path

import pytest

from tests.process.program import Program

TRIES = 5
POLL_S = 0.005
MAX_S = 1.0
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def answers(port: int) -> bool:
    """Whether a connection and a request, made now, are served."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(REQUEST)
            return client.recv(4096).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def time_to_serve(program: Program) -> float:
    """Seconds from the start of the command to the first answer."""
    program.server["listeners"][0].pop("stream_filters")  # the configuration's own answer
    program.write()
    begun = time.monotonic()
    program.master = program.spawn()
    while not answers(program.port):
        assert program.master.poll() is None
        assert time.monotonic() - begun < 20
        time.sleep(POLL_S)
    return time.monotonic() - begun


@pytest.mark.alone
def test_the_first_request_is_served_within_a_second(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = []
    for number in range(TRIES):
        folder = tmp_path / str(number)
        folder.mkdir()
        program = Program(folder)
        try:
            times.append(time_to_serve(program))
        finally:
            program.end()
    with capsys.disabled():
        sys.stdout.write(f"\nstart to first answer: {', '.join(f'{t:.3f}' for t in times)} s\n")
    assert statistics.median(times) <= MAX_S
