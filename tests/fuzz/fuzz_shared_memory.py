"""Fuzzes what reads shared memory: `python tests/fuzz/fuzz_shared_memory.py --inputs 1000000 [--seed N]`.

A worker that was taken over may write any bytes anywhere in the counters, the state and what workers hold of the arena. Each
input is a few writes of that kind, mostly where something is, then one reader of the master, of the controller (through mappings
that are read-only) or of another worker. It has to answer: with figures that fit where they go, in bounded time and memory, and
without an exception.
"""

import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from mosn_mp.buffer.arena import Arena, arena_shape  # noqa: E402
from mosn_mp.buffer.holdings import Holdings  # noqa: E402
from mosn_mp.buffer.segment import PAGE, Segment  # noqa: E402
from mosn_mp.cluster.state import State  # noqa: E402
from mosn_mp.ipc.plan import ClusterPlan, ListenerPlan, Plan  # noqa: E402
from mosn_mp.ipc.tables import decode_tables  # noqa: E402
from mosn_mp.master.state.counts import budget_of, count_listeners, count_row  # noqa: E402
from mosn_mp.master.state.shared_memory import SharedMemory  # noqa: E402
from mosn_mp.observe.metrics.metrics import Metrics  # noqa: E402
from mosn_mp.observe.metrics.prometheus import render  # noqa: E402
from mosn_mp.observe.metrics.reading import Names, read_all  # noqa: E402
from mosn_mp.observe.metrics.stats import stats_glob, stats_json  # noqa: E402
from tests.fuzz.build_mutator import resident_kib, run_command  # noqa: E402

WORKERS = 3
LONGEST_S = 2.0  # of one reader, on a busy machine; all take far below 0.1 s
MOST_KIB = 100 << 10  # of memory that readers may take
ADDRESS_SPACE = 96 << 20  # keeps counters and state small, so that all of them can be written
NUMBERS = [b"\xff" * 8, b"\0" * 8, b"\x80" + bytes(7), bytes(7) + b"\x80", b"\1" + bytes(7), b"\xfe" * 8, bytes(4) + b"\xff" * 4]
MANY = list(range(WORKERS, 9))


def plan_of(listeners: int, clusters: int) -> Plan:
    """A plan of so many, with three hosts in each cluster."""
    return Plan(
        "/c.json", "", WORKERS, [ListenerPlan(f"l{i}", "127.0.0.1", 2000 + i) for i in range(listeners)], "stdout", "INFO", 1.0,
        2 << 20, [ClusterPlan(f"c{i}", [f"10.0.{i}.{k}:1" for k in range(3)]) for i in range(clusters)],
    )  # fmt: skip


def made_small() -> SharedMemory:
    """Shared memory of as little address space as a process under such a limit would give it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ADDRESS_SPACE, before[1]))
    try:
        return SharedMemory(plan_of(4, 6))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Readers:
    """Everything that reads shared memory, as the processes have it."""

    def __init__(self, memory: SharedMemory) -> None:
        self.memory = memory
        self.plans = [plan_of(4, 6), plan_of(2, 3), plan_of(5, 6)]
        tables = decode_tables(memory.place(self.plans[0]))
        holdings_fd, metrics_fd = memory.fds()
        self.metrics = Metrics(Segment.attach(os.dup(metrics_fd), tables.metrics, is_read_only=True))
        self.holdings = Holdings(Segment.attach(os.dup(holdings_fd), tables.arena, is_read_only=True))
        self.names = Names(
            {number: name for name, number in memory.numbering.listeners.items()},
            {number: host for host, number in memory.numbering.hosts.items()},
            ("l0", "l1"),
        )
        self.workers = [
            Arena(Segment.create(arena_shape(memory.arena_bytes)), memory.holdings, row) for row in range(WORKERS)
        ]
        self.state: State = memory.state
        self.master = {
            "arena_usage": memory.arena_usage,
            "release_buffers": lambda: memory.release_buffers(7),
            "release_row": lambda: memory.release_row(7),
            "expect_buffers_of": lambda: memory.expect_buffers_of({0, 1, 2}),
            "totals": memory.totals,
            "retire_unused": self.retire_unused,
            "active_requests": lambda: memory.active_requests("c1", "10.0.1.2:1"),
            "disabled_hosts": memory.disabled_hosts,
            "is_disabled": lambda: memory.is_disabled("c1", "10.0.1.2:1"),
            "connections_of": lambda: memory.connections_of(0),
            "counts_of": lambda: (count_row(memory, 1), count_listeners(memory), budget_of(memory, 1)),
        }
        self.controller = {
            "metrics": lambda: b"".join(render(read_all(self.metrics, self.names), {}, self.holdings.usage(), "1", ())),
            "stats": lambda: stats_json(read_all(self.metrics, self.names)),
            "stats_glob": lambda: stats_glob(read_all(self.metrics, self.names)),
        }
        self.worker = {"buffers": self.use_buffers, "limits": self.use_limits}

    def retire_unused(self) -> int:
        """A reload in the master."""
        self.plans.append(self.plans.pop(0))
        self.memory.place(self.plans[0])
        return self.memory.retire_unused(self.plans[0])

    def use_buffers(self) -> int:
        """A worker takes buffers, uses them and gives them back."""
        arena = self.workers[0]
        taken = [arena.take_block(size) for size in (100, 4097, 20_000)]
        assert all(taken), "the first refill is everybody's own"
        for address in taken:
            arena.block_view(address)[:8] = b"12345678"
            arena.drop_block(address)
        return int(arena.trim())

    def use_limits(self) -> list[int]:
        """A worker counts in limits, follows cursors and looks at health."""
        held = self.state.acquire(2, 1, 0, 100)
        if held:
            self.state.give_one(2, 1, 0)
        return [self.state.held_of(2, 1), self.state.next_of(3), self.state.health_of(2), int(self.metrics.sums(4, 1)[0])]


def check(found: object) -> None:
    """AssertionError if a figure is beyond what 64 bits hold, or an answer is larger than what such a program has to say."""
    encoded = found if isinstance(found, bytes) else msgspec.msgpack.encode(found)
    assert len(encoded) < 4 << 20, f"{len(encoded)} bytes"


class Enemy:
    """A worker that writes what it likes."""

    def __init__(self, memory: SharedMemory, dice: random.Random) -> None:
        self.dice = dice
        views = [memory.holdings.segment.view, memory.metrics.segment.view, memory.state.segment.view]
        row_bytes = memory.metrics.segment.size // memory.rows
        flags_at = memory.state.segment.size - 2 * PAGE
        self.places = [
            (views[0], 0, PAGE),
            *((views[1], row * row_bytes, 3 * PAGE) for row in MANY[:2] + [0, 1, 2]),
            *((views[1], row * row_bytes + at, 4 * PAGE) for row in (0, 1, 7) for at in (row_bytes // 4, row_bytes - 5 * PAGE)),
            *((views[2], at, 2 * PAGE) for at in (0, PAGE, flags_at)),
            *((view, 0, len(view)) for view in views),
        ]

    def write(self) -> None:
        """One write."""
        view, start, length = self.dice.choice(self.places)
        at = start + self.dice.randrange(length)
        if self.dice.random() < 0.7:
            at &= ~7
        words = self.dice.choice(NUMBERS) if self.dice.random() < 0.7 else self.dice.randbytes(8)
        piece = words * (1 if self.dice.random() < 0.9 else self.dice.randrange(1, 200))
        view[at : at + len(piece)] = piece[: len(view) - at]


def fuzz(inputs: int, seed: int) -> list[str]:
    """Run *inputs* inputs; the report, a line for each reader. AssertionError names the reader and the input."""
    dice = random.Random(seed)
    memory = made_small()
    readers = Readers(memory)
    enemy = Enemy(memory, dice)
    doing: dict[str, Callable[[], object]] = {**readers.master, **readers.controller, **readers.worker}
    names = [*doing, *3 * [*readers.worker, "connections_of", "active_requests", "is_disabled"]]
    calls: Counter[str] = Counter()
    longest: dict[str, float] = {}
    before = 0
    for number in range(inputs):
        for _ in range(dice.randrange(1, 6)):
            enemy.write()
        name = dice.choice(names)
        began = time.process_time()
        try:
            check(doing[name]())
        except Exception as error:
            raise AssertionError(f"seed {seed}, input {number}: {name}: {error!r}") from error
        spent = time.process_time() - began
        assert spent < LONGEST_S, f"seed {seed}, input {number}: {name} took {spent:.2f} s"
        calls[name] += 1
        longest[name] = max(longest.get(name, 0.0), spent)
        if number == 2000:
            before = resident_kib()
    grown = resident_kib() - before if before else 0
    assert grown < MOST_KIB, f"seed {seed}: {grown} KiB more"
    lines = [f"{name}: {calls[name]:,} times, at most {longest[name] * 1000:.1f} ms" for name in doing]
    return [*lines, f"{inputs:,} inputs, {grown} KiB more memory"]


if __name__ == "__main__":
    run_command("fuzz the readers of shared memory", fuzz)
