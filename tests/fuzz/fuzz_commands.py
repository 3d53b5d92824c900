"""Fuzzes what commands hear, and what lies in memfds: `python tests/fuzz/fuzz_commands.py --inputs 1000000 [--seed N]`.

Mutated answers with descriptors of all kinds come over real channels; what a command shows is one of its reports, without a
character that could move a cursor, or the reason why there is none. Mutated plans are judged as the master does it, and those
that pass are given their place in shared memory; changes, problems, tables and snapshots are decoded as their readers do it.
Whatever comes, there is no other error than the one that the reader is prepared for, and no descriptor stays open.
"""

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

import msgspec  # noqa: E402
from msgspec import inspect  # noqa: E402

from mosn_mp.config import snapshot  # noqa: E402
from mosn_mp.config.load import judge  # noqa: E402
from mosn_mp.config.problems import Findings  # noqa: E402
from mosn_mp.ipc.channel import BadFrameError, Channel, ChannelClosedError, close_fds  # noqa: E402
from mosn_mp.ipc.frames import Answer, Ask, encode_frame  # noqa: E402
from mosn_mp.ipc.memfd import seal_bytes  # noqa: E402
from mosn_mp.ipc.plan import ClusterPlan, ListenerPlan, Plan, encode_plan  # noqa: E402
from mosn_mp.ipc.report import (  # noqa: E402
    Changes,
    HostReport,
    RebalanceReport,
    ReloadReport,
    StatusReport,
    UpgradeReport,
)
from mosn_mp.ipc.tables import Tables, decode_tables  # noqa: E402
from mosn_mp.master.border.grant import Grant  # noqa: E402
from mosn_mp.master.border.plan_check import check_plan  # noqa: E402
from mosn_mp.master.border.received import changes_in, plan_in, problems_in  # noqa: E402
from mosn_mp.master.control.client import (  # noqa: E402
    AskError,
    host_text,
    rebalance_text,
    reload_text,
    report_json,
    report_over,
    status_text,
    upgrade_text,
)
from mosn_mp.master.state.directory import DirectoryFullError  # noqa: E402
from mosn_mp.master.state.shared_memory import SharedMemory  # noqa: E402
from mosn_mp.plugin.source import NO_SOURCES  # noqa: E402
from tests.fuzz.admin_inputs import TREE  # noqa: E402
from tests.fuzz.build_mutator import resident_kib, run_command  # noqa: E402
from tests.fuzz.frame_inputs import Descriptors, Inputs, open_descriptors, release, send_packet  # noqa: E402

TEXTS: dict[type, Callable[[Any], str]] = {
    StatusReport: status_text,
    ReloadReport: reload_text,
    HostReport: host_text,
    RebalanceReport: rebalance_text,
    UpgradeReport: upgrade_text,
}
VARIANTS = 40  # of each thing that is packed


class Fuzzer:
    """Makes inputs, and looks what comes of them."""

    def __init__(self, seed: int) -> None:
        self._inputs = Inputs(seed)
        self._packed = {kind: self._samples(kind) for kind in (*TEXTS, Plan, Changes, Tables)}
        self._packed[Plan] += [encode_plan(_sound_plan(number)) for number in range(VARIANTS)]
        self._packed[snapshot.Snapshot] = [_snapshot()]
        self._packed[str] = [b"one\ntwo", b"\x1b[2J\xff\n\n" * 300]
        self._descriptors = Descriptors(self._inputs, [text for kind in TEXTS for text in self._packed[kind][:4]])
        self.counts: Counter[str] = Counter()

    def run(self, count: int) -> None:
        """*count* inputs: of ten, four answers to commands, six memfds."""
        before = open_descriptors()
        for _ in range(count):
            self._said = b""
            kind = "command"
            try:
                if self._inputs.random.random() < 0.4:
                    outcome = self._ask()
                else:
                    kind, outcome = self._read()
            except Exception as error:
                raise AssertionError(f"{error!r}: {kind} was given {self._said!r}") from error
            if open_descriptors() != before:
                raise AssertionError(f"descriptors stay open: {kind} was given {self._said!r}")
            self.counts[f"{kind} {outcome}"] += 1

    def close(self) -> None:
        """Give everything back."""
        self._descriptors.close()

    def _samples(self, kind: type) -> list[bytes]:
        return [msgspec.msgpack.encode(self._inputs.value_of(inspect.type_info(kind))) for _ in range(VARIANTS)]

    def _some(self, kind: type) -> bytes:
        text = self._inputs.random.choice(self._packed[kind])
        return text if self._inputs.random.random() < 0.3 else self._inputs.mutated(text)

    def _ask(self) -> str:
        """A command hears an answer; what it shows is no terminal's command."""
        pick = self._inputs.random
        wanted = pick.choice(list(TEXTS))
        ours, master = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel = Channel(ours)
        if pick.random() < 0.6:
            self._said = self._some(wanted)
            fd = seal_bytes("fuzz", self._said)
            send_packet(master, encode_frame(Answer(True)), [fd])
            close_fds([fd])
        else:
            self._said = self._inputs.packet((Answer,))
            send_packet(master, self._said, self._descriptors.some(1))
        try:
            report = report_over(channel, Ask("status"), 1.0, wanted)
        except AskError as e:
            text, outcome = str(e), "refused"
        except (ChannelClosedError, ValueError):
            return "no answer"
        else:
            text, outcome = TEXTS[wanted](report), "shown"
            report_json(report)
        finally:
            channel.close()
            master.close()
        assert all(line.isprintable() for line in text.split("\n")), text
        return outcome

    def _read(self) -> tuple[str, str]:
        """A reader of a memfd finds what it wants there, or says what it is prepared to say."""
        pick = self._inputs.random
        kind = pick.choice((Plan, Plan, Plan, Changes, Tables, snapshot.Snapshot, str))
        self._said = self._some(kind)
        fd = seal_bytes("fuzz", self._said)
        try:
            return kind.__name__, self._outcome(kind, fd)
        except BadFrameError:
            return kind.__name__, "refused"
        finally:
            close_fds([fd])

    def _outcome(self, kind: type, fd: int) -> str:
        if kind is Plan:
            return _judged(plan_in(fd))
        if kind is Changes:
            changes_in(fd)
        elif kind is str:
            assert all(line.isprintable() for line in problems_in(fd))
        elif kind is Tables:
            try:
                decode_tables(self._said)
            except ValueError:
                return "refused"
        else:
            try:
                snapshot.decode(self._said).config()
            except (ValueError, RecursionError):  # a worker refuses whatever it cannot compile
                return "refused"
        return "taken"


def _judged(plan: Plan) -> str:
    """What the master would do with *plan*; one that is to be served has room."""
    if check_plan(plan, Grant(), plan.config_path, plan.pid_path):
        return "judged"
    small = msgspec.structs.replace(plan, arena_bytes=1 << 20)
    memory = SharedMemory(small)
    try:
        memory.place(small)
    except DirectoryFullError:
        return "no room"
    finally:
        release(memory)
    return "placed"


def _sound_plan(number: int) -> Plan:
    """One that the master would serve."""
    clusters = [ClusterPlan(f"c{at}", [f"10.0.{at}.{host}:80" for host in range(3)]) for at in range(number % 4)]
    listeners = [ListenerPlan(f"l{at}", "127.0.0.1", 2045 + at) for at in range(number % 3)]
    return Plan("/etc/mosn.json", "/run/mosn.pid", 1 + number % 3, listeners, "stderr", "INFO", 5.0, 1 << 20, clusters)


def _snapshot() -> bytes:
    config = judge(TREE, "/nowhere/fuzz.json", Findings())
    assert config is not None
    return snapshot.encode(config, NO_SOURCES)


def fuzz(inputs: int, seed: int) -> list[str]:
    """Run *inputs* inputs; the report, a line each. AssertionError shows the input that failed."""
    fuzzer = Fuzzer(seed)
    fuzzer.run(min(inputs, 10_000))
    before, began = resident_kib(), time.perf_counter()
    fuzzer.run(max(inputs - 10_000, 0))
    rate = max(inputs - 10_000, 0) / (time.perf_counter() - began)
    fuzzer.close()
    ends = ", ".join(f"{kind} {count:,}" for kind, count in sorted(fuzzer.counts.items()))
    return [
        f"commands and memfds: {fuzzer.counts.total():,} inputs, {rate:,.0f}/s: {ends}",
        f"memory: {before:,} KiB after the first 10,000 inputs, {resident_kib():,} KiB at the end",
    ]


if __name__ == "__main__":
    run_command(__doc__.splitlines()[0], fuzz)
