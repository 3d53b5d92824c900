"""Arbitrary Python inside a worker finds no byte of what passes through another one, and changes nothing of it."""

import contextlib
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.process.infiltrated import infiltrated, inside, interpreter, program
from tests.process.program import Program, free_port, wait_until
from tests.process.proxy.upstream import Upstream, Visit, ok
from tests.process.proxy.wire import Wire, chunked

__all__ = ["interpreter", "program"]

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="there is nothing to be had from a program that root did not start"),
    pytest.mark.unsanitized,  # it reads and writes free blocks
]

# Keeps counters and state small: all that a worker has mapped is read and written here, to the last page.
ADDRESS_SPACE = 96 << 20

LOCAL_PORTS = """
import os, socket
found = []
for name in os.listdir("/proc/self/fd"):
    try:
        sock = socket.socket(fileno=os.dup(int(name)))
        if sock.family == socket.AF_INET and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            found.append(sock.getsockname()[1])
    except OSError:
        pass
"""

# The second half of what is looked for stands nowhere in the memory of who looks for it.
SEARCH = """
import ctypes, os
first, masked = {first!r}, {masked!r}
found = []

def search(piece, where):
    at = piece.find(first)
    while at >= 0:
        rest = piece[at + len(first) : at + len(first) + len(masked)]
        if len(rest) == len(masked) and all(a ^ 0x55 == b for a, b in zip(rest, masked)):
            found.append(where)
            return
        at = piece.find(first, at + 1)

for words in map(str.split, open("/proc/self/maps").readlines()):
    name = words[5] if len(words) > 5 else ""
    if words[1][0] != "r" or name.startswith("[v") or name.startswith("/") and not name.startswith("/memfd:"):
        continue
    start, end = (int(number, 16) for number in words[0].split("-"))
    for at in range(start, end, 1 << 20):
        search(ctypes.string_at(at, min(end - at, (1 << 20) + 64)), f"{{words[1]}} {{name}}")
for number in os.listdir("/proc/self/fd"):
    path = "/proc/self/fd/" + number
    try:
        if not os.readlink(path).startswith("/memfd:"):
            continue
        at = 0
        while piece := os.pread(int(number), (1 << 20) + 64, at):
            search(piece, os.readlink(path))
            at += 1 << 20
    except OSError:
        pass
found = sorted(set(found))
"""

OVERWRITE = """
import ctypes
found = 0
for words in map(str.split, open("/proc/self/maps").readlines()):
    if words[1] == "rw-s":
        start, end = (int(number, 16) for number in words[0].split("-"))
        ctypes.memset(start, {byte}, end - start)
        found += 1
"""


class Upload(NamedTuple):
    """A request whose body is stuck in a worker, because the host reads none of it yet."""

    enemy: int  # the other worker
    worker: int
    first: bytes  # both halves of what the body repeats
    second: bytes
    body: bytes
    client: Wire
    host_reads: threading.Event
    came: list[bytes]

    def search(self, pid: int) -> list[str]:
        """Where in the memory of worker *pid* the body lies."""
        found: list[str] = inside(pid, SEARCH.format(first=self.first, masked=bytes(byte ^ 0x55 for byte in self.second)))
        return found


def first_of(pids: list[int], is_it: Callable[[int], bool]) -> int:
    """The first of *pids* that it is; 0: none."""
    return next(filter(is_it, pids), 0)


def obeys(pid: int) -> bool:
    """Whether the enemy's file is loaded in *pid*."""
    try:
        return bool(inside(pid, "found = 1"))
    except OSError:
        return False


def send(client: Wire, wire: bytes) -> None:
    """Send all, or as much as the program takes."""
    with contextlib.suppress(OSError):
        client.send(wire)


@pytest.fixture
def upload(program: Program) -> Iterator[Upload]:
    """An upload in flight in one of two workers."""
    upstream, host_reads, came = Upstream(), threading.Event(), list[bytes]()

    def script(visit: Visit) -> None:
        host_reads.wait(60)
        came.append(visit.body(visit.message).body)
        visit.send(ok(b"all of it"))

    upstream.script = script
    port = free_port()
    proxied = {**program.listener("proxied", port), "stream_filters": []}
    program.server["listeners"].append(proxied)
    route = {"match": {"prefix": "/up"}, "route": {"cluster_name": "up"}}
    program.server["routers"][0]["virtual_hosts"][0]["routers"].insert(0, route)
    program.config["cluster_manager"] = {"clusters": [{"name": "up", "hosts": [{"address": f"127.0.0.1:{upstream.port}"}]}]}
    program.write()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ADDRESS_SPACE, limits[1]))
    try:
        program.start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    first, second = os.urandom(16), os.urandom(16)
    piece = (first + second) * (1 << 15)
    body = 16 * piece
    with Wire(socket.create_connection(("127.0.0.1", port))) as client:
        # In chunks, which pass through buffers; a body of known length goes through a pipe.
        head = b"POST /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        sender = threading.Thread(target=send, args=(client, head + chunked(*[piece] * 16)))
        sender.start()
        upstream.wait_messages(1)
        workers = program.pids("worker")
        worker = wait_until(lambda: first_of(workers, lambda pid: port in inside(pid, LOCAL_PORTS)), "who has the connection")
        enemy = next(pid for pid in workers if pid != worker)
        yield Upload(enemy, worker, first, second, body, client, host_reads, came)
        host_reads.set()
        sender.join()
    upstream.close()


def test_no_worker_finds_what_is_in_flight_in_another_one(upload: Upload) -> None:
    wait_until(lambda: upload.search(upload.worker), "the body in the worker that has it")
    assert upload.search(upload.enemy) == []


@pytest.mark.parametrize("byte", [0, 0x20, 0xFF])
def test_whatever_a_worker_writes_into_all_that_it_shares_a_request_of_another_one_is_what_it_was(
    program: Program, upload: Upload, byte: int
) -> None:
    wait_until(lambda: upload.search(upload.worker), "the body in the worker that has it")
    assert inside(upload.enemy, OVERWRITE.format(byte=byte)) >= 3
    upload.host_reads.set()
    assert upload.client.response().body == b"all of it"
    assert upload.came == [upload.body]
    assert upload.worker in program.pids("worker")


def test_neither_the_controller_nor_a_later_worker_has_the_buffers_of_a_worker(program: Program, upload: Upload) -> None:
    controller = infiltrated(program)[1]
    assert upload.search(controller) == []
    os.kill(upload.enemy, signal.SIGKILL)
    later = wait_until(lambda: first_of(program.pids("worker"), lambda pid: pid not in upload and obeys(pid)), "another worker")
    assert upload.search(later) == []
