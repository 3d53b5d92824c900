"""Fuzzes what a worker hears from another one: `python tests/fuzz/fuzz_worker.py --inputs 1000000 [--seed N]`.

The real data plane of a worker, with an HTTP/1 and a bolt listener, is given connections by mutated transfers, with descriptors
of all kinds and numbers; and gives connections to receivers that answer anything. Whoever sends these may have been taken over.
Whatever comes, the worker lives, nothing counts as a connection that is none, and no descriptor and no block stays taken.
"""

import copy
import logging
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import gevent  # noqa: E402
import msgspec  # noqa: E402
from msgspec import inspect  # noqa: E402

from mosn_mp.buffer.arena import Arena, arena_shape  # noqa: E402
from mosn_mp.buffer.segment import Segment  # noqa: E402
from mosn_mp.config import snapshot  # noqa: E402
from mosn_mp.config.load import judge  # noqa: E402
from mosn_mp.config.problems import Findings  # noqa: E402
from mosn_mp.ipc.channel import Channel, close_fds  # noqa: E402
from mosn_mp.ipc.frames import Give, Kept, Taken, Transfer  # noqa: E402
from mosn_mp.ipc.plan import ClusterPlan, ListenerPlan, Plan  # noqa: E402
from mosn_mp.master.state.shared_memory import SharedMemory  # noqa: E402
from mosn_mp.plugin.source import NO_SOURCES  # noqa: E402
from mosn_mp.worker.dataplane import make_data_plane  # noqa: E402
from tests.fuzz.admin_inputs import TREE  # noqa: E402
from tests.fuzz.build_mutator import resident_kib, run_command  # noqa: E402
from tests.fuzz.frame_inputs import Inputs, open_descriptors, send_packet  # noqa: E402

READ_S = 5.0  # a worker reads what it is sent, and sees the end, within a few turns of its loop
SETTLE_S = 90.0  # what lingers, or is a tunnel of which one side is shut, goes after a while
MOST_GROWN_KIB = 32 * 1024  # since the first 10,000 inputs
BATCH = 5_000  # inputs between two looks at what is taken
VARIANTS = 1000
SOUND: dict[str, list[Any]] = {
    "listener": ["l", "b", "x"],
    "protocol": ["Http1", "bolt", "", "x"],
    "word": [0, 0, 1, 0x101, 0xFFFFFFFF],
    "requests": [0, 5],
    "idle_ms": [0, 1000],
    "unread": [b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HT", b"x" * 70_000],
    "unsent": [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 60_000],
    "waiting": [[], [], [1], [1, 2, 2, 1 << 63]],
    "tunnel": [None, None],
}
SOUND_TUNNEL: dict[str, list[Any]] = {
    "cluster": ["c"],
    "host": ["127.0.0.1:8080"],
    "times": [[1, 2, 3, 4]],
    "counts": [[0, 0, 1, 1]],
    "variables": [b"", b"\x80", b"\x81\xa1a\x01", b"\x91" * 5000],
    "pipes": [[0, 0], [0, 0], [5, 0], [5, 5], [1 << 40, 1]],
    "to_up": [b"", b"abc"],
    "to_down": [b"", b"x" * 60_000],
    "unread_up": [b"", b"answer"],
}
SOUND_HEAD: dict[str, list[Any]] = {
    "method": [b"GET", b""],
    "path": [b"/", b"*"],
    "authority": [b"a", b""],
    "scheme": [b"http"],
    "status": [0, 101],
    "version": [11],
    "fields": [[], [[b"upgrade", b"websocket"]], [[b"a", b"b"]] * 30],
}


class Target:
    """A worker's data plane in this process."""

    def __init__(self) -> None:
        tree = copy.deepcopy(TREE)
        (listener,) = tree["servers"][0]["listeners"]
        bolt = copy.deepcopy(listener) | {"name": "b", "address": "127.0.0.1:2046"}
        bolt["filter_chains"][0]["filters"][0]["config"] |= {"downstream_protocol": "bolt", "upstream_protocol": "bolt"}
        tree["servers"][0]["listeners"].append(bolt)
        findings = Findings()
        config = judge(tree, "/nowhere/fuzz.json", findings)
        assert config is not None, findings.errors
        listeners = [ListenerPlan("l", "127.0.0.1", 2045), ListenerPlan("b", "127.0.0.1", 2046)]
        clusters = [ClusterPlan("c", ["127.0.0.1:8080"])]
        plan = Plan("/x", "/y", 1, listeners, "stderr", "ERROR", 5.0, 4 << 20, clusters)
        self.shared = SharedMemory(plan)
        self.arena = Arena(Segment.create(arena_shape(self.shared.arena_bytes)), self.shared.holdings, 0)
        self.plane = make_data_plane(0, self.arena, self.shared)
        tables = self.shared.place(plan)
        self.plane.commit(self.plane.prepare(snapshot.decode(snapshot.encode(config, NO_SOURCES)), 1, {}, tables), {})

    def taken(self) -> tuple[int, int, int]:
        """What is in use: descriptors, connections, blocks of buffers."""
        for _ in range(2):  # pipes at rest go at the second look
            self.plane.pipes.trim()
        return open_descriptors(), self.plane.active(), sum(row.in_use for row in self.arena.usage())


class Fuzzer:
    """Makes inputs, and looks what comes of them."""

    def __init__(self, seed: int) -> None:
        self._inputs = Inputs(seed)
        self._target = Target()
        self._transfers = [self._transfer() for _ in range(VARIANTS)]
        self.counts: Counter[str] = Counter()

    def run(self, count: int) -> None:
        """*count* inputs: of ten, nine transfers, and one answer to a worker that gives."""
        before = self._target.taken()
        for done in range(count):
            if done % BATCH == 0:
                self._settle(before)
            self._said: list[bytes] = []
            one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            give = self._inputs.random.random() < 0.1
            channel = Channel(one)
            reader = (
                gevent.spawn(self._target.plane.give, channel, 3) if give else gevent.spawn(self._target.plane.receive, channel)
            )
            for _ in range(self._inputs.random.choice((1, 1, 2))):
                self._say((Taken, Kept, Give) if give else (Transfer,), other)
            gevent.sleep(0)
            self._hear(other)
            other.close()
            reader.join(READ_S)
            assert reader.ready() and reader.successful(), f"{reader.exception!r}: said {self._said!r}"
            self.counts["gives" if give else "receives"] += 1
        self._settle(before)

    def _say(self, kinds: tuple[type, ...], other: socket.socket) -> None:
        pick = self._inputs.random
        packet, wanted = self._inputs.packet(kinds), pick.choice((1, 2, 4, 6, 0))
        if Transfer in kinds and pick.random() < 0.8:
            packet, right = pick.choice(self._transfers)
            wanted = right if pick.random() < 0.9 else wanted
        if pick.random() < 0.2:
            packet = self._inputs.mutated(packet)
        self._said.append(packet)
        fds, far = self._descriptors(wanted)
        send_packet(other, packet, fds)
        close_fds(fds)
        gevent.sleep(0)
        close_fds(far)

    def _descriptors(self, wanted: int) -> tuple[list[int], list[int]]:
        """Some to send, and their far ends."""
        pick = self._inputs.random
        near: list[int] = []
        far: list[int] = []
        while len(near) < wanted:
            if pick.random() < 0.03:
                near.append(pick.choice(MAKERS)())
            elif len(near) >= 2 and pick.random() < 0.9:
                near += os.pipe2(os.O_NONBLOCK)
                os.write(near[-1], b"piped")
            else:
                ends = [sock.detach() for sock in socket.socketpair()]
                near.append(ends[0])
                far.append(ends[1])
        return near, far

    def _hear(self, other: socket.socket) -> None:
        other.setblocking(False)
        try:
            while packet := socket.recv_fds(other, 200_000, 8)[0]:
                self.counts["taken" if b"Taken" in packet else "kept" if b"Kept" in packet else "given"] += 1
        except OSError:
            return

    def _settle(self, before: tuple[int, int, int]) -> None:
        """Wait until nothing more is taken than *before*."""
        until = time.monotonic() + SETTLE_S
        while True:
            now = self._target.taken()
            if all(a <= b for a, b in zip(now, before, strict=True)):
                return
            if time.monotonic() > until:
                raise AssertionError(f"descriptors, connections, blocks: {now}, before {before}")
            gevent.sleep(0.05)

    def _transfer(self) -> tuple[bytes, int]:
        """A Transfer, most of it sound, and how many descriptors it is to have."""
        pick = self._inputs.random
        value = self._changed(self._inputs.value_of(inspect.type_info(Transfer)), SOUND)
        if pick.random() < 0.8:
            value["listener"], value["protocol"] = pick.choice((("l", "Http1"), ("b", "bolt"), ("l", ""), ("b", "")))
        wanted = 2 if value.get("waiting") else 1
        if pick.random() < 0.4:
            if pick.random() < 0.8:
                value |= {"listener": "l", "protocol": "Http1", "waiting": []}
            tunnel_type = next(field.type for field in _fields(Transfer) if field.name == "tunnel")
            assert isinstance(tunnel_type, inspect.UnionType)
            (state,) = [kind for kind in tunnel_type.types if isinstance(kind, inspect.StructType)]
            value["tunnel"] = tunnel = self._changed(self._inputs.value_of(state), SOUND_TUNNEL)
            for side in ("request", "response"):
                head = self._changed(dict(zip(SOUND_HEAD, tunnel[side], strict=True)), SOUND_HEAD)
                tunnel[side] = list(head.values())
            wanted = 2 + 2 * sum(map(bool, tunnel["pipes"]))
        return msgspec.msgpack.encode(value), wanted

    def _changed(self, value: dict[str, Any], sound: dict[str, list[Any]]) -> dict[str, Any]:
        pick = self._inputs.random
        return value | {key: pick.choice(choices) for key, choices in sound.items() if pick.random() < 0.95}


MAKERS: list[Callable[[], int]] = [
    lambda: os.eventfd(0),
    lambda: os.memfd_create("fuzz"),
    lambda: os.open("/", os.O_PATH),
    lambda: socket.create_server(("127.0.0.1", 0)).detach(),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).detach(),
]


def _fields(kind: type) -> tuple[inspect.Field, ...]:
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return found.fields


def fuzz(inputs: int, seed: int) -> list[str]:
    """Run *inputs* inputs; the report, a line each. AssertionError shows the input that failed."""
    logging.disable(logging.CRITICAL)
    try:
        fuzzer = Fuzzer(seed)
        fuzzer.run(min(inputs, 10_000))
        before, began = resident_kib(), time.perf_counter()
        fuzzer.run(max(inputs - 10_000, 0))
        rate = max(inputs - 10_000, 0) / (time.perf_counter() - began)
        grown = resident_kib() - before
        assert grown < MOST_GROWN_KIB, f"memory grew by {grown:,} KiB"
    finally:
        logging.disable(logging.NOTSET)
    ends = ", ".join(f"{kind} {count:,}" for kind, count in sorted(fuzzer.counts.items()))
    done = fuzzer.counts["gives"] + fuzzer.counts["receives"]
    return [
        f"worker: {done:,} inputs, {rate:,.0f}/s: {ends}",
        f"memory: {before:,} KiB after the first 10,000 inputs, {resident_kib():,} KiB at the end",
    ]


if __name__ == "__main__":
    run_command(__doc__.splitlines()[0], fuzz)
