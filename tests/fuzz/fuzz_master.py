"""Fuzzes what the master hears: `python tests/fuzz/fuzz_master.py --inputs 1000000 [--seed N]`.

A real Master, without children, hears mutated frames with descriptors of all kinds over real channels: as a controller sends them
(while it starts, and while it serves and reloads), as a worker does in the middle of a rollout, as commands do over the control
socket. Whatever comes, no callback of its loop fails and no descriptor stays open.
"""

import contextlib
import gc
import io
import itertools
import logging
import socket
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402

from mosn_mp.ipc.channel import Channel, close_fds  # noqa: E402
from mosn_mp.ipc.frames import (  # noqa: E402
    AdminUp,
    Ask,
    Committed,
    Filed,
    Given,
    Loaded,
    Measure,
    Propose,
    Pulse,
    Ready,
    Refused,
    Rejected,
    SetLogEnabled,
    SetLogLevel,
    Unchanged,
    encode_frame,
)
from mosn_mp.ipc.memfd import seal_bytes  # noqa: E402
from mosn_mp.ipc.plan import ClusterPlan, ListenerPlan, Plan, encode_plan  # noqa: E402
from mosn_mp.ipc.report import Changes, Delta  # noqa: E402
from mosn_mp.master.border.grant import Grant  # noqa: E402
from mosn_mp.master.events.channel import EventChannel  # noqa: E402
from mosn_mp.master.listeners.socket_activation import Passed  # noqa: E402
from mosn_mp.master.processes.launch import Launched  # noqa: E402
from mosn_mp.master.processes.workers import Worker  # noqa: E402
from mosn_mp.master.rollout.reload import ChangeRequest  # noqa: E402
from mosn_mp.master.state.served import Snapshot  # noqa: E402
from mosn_mp.master.state.shared_memory import SharedMemory  # noqa: E402
from mosn_mp.master.state.stages import Stage  # noqa: E402
from mosn_mp.master.supervisor import Master  # noqa: E402
from tests.fuzz.build_mutator import resident_kib, run_command  # noqa: E402
from tests.fuzz.frame_inputs import Descriptors, Inputs, open_descriptors, release, send_packet  # noqa: E402

OF_CONTROLLERS = (Loaded, Unchanged, Rejected, Propose, Filed, AdminUp, SetLogLevel, SetLogEnabled, Pulse, Measure)
OF_WORKERS = (Pulse, Ready, Refused, Committed, Given)
LIVES = 2_000  # inputs that one master hears
# "upgrade" would start a program.
QUESTIONS = ["status", "reload", "rebalance", "host enable", "host disable", "host show", "host weight", "no such thing"]


class FuzzedMaster(Master):
    """A master whose loop turns when it is told to, with a controller and a worker that are sockets of ours."""

    def __init__(self, folder: Path, is_serving: bool) -> None:
        ours, self.controller = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # A plan of another file is judged, and never begun: no worker is to be forked here.
        path = str(folder / ("mosn.json" if is_serving else "other.json"))
        super().__init__(path, Grant(), "", Launched(0, ours), Passed(), None)
        self._loop.on_failure = self._note_failure
        self.failure: BaseException | None = None
        self.number = 0  # of the reload that waits for its controller
        self.plan = Plan(
            path, str(folder / "mosn.pid"), 1, [ListenerPlan("front", "127.0.0.1", 2045)], "stderr", "ERROR", 5.0, 1 << 20,
            [ClusterPlan("backend", ["127.0.0.1:8080"])],
        )  # fmt: skip
        if is_serving:
            self._serve()

    def _serve(self) -> None:
        memory = self._served.memory = SharedMemory(self.plan)
        tables = seal_bytes("fuzz-tables", memory.place(self.plan))
        snapshot = Snapshot(1, seal_bytes("fuzz-snapshot", b"\x90"), tables, self.plan)
        self._instance.claim(self.plan.pid_path)
        self._stages.enter(Stage.STARTING)
        self._served.begin(snapshot)
        self._served.accept(snapshot)
        self._stages.enter(Stage.RUNNING)

    def turn(self) -> None:
        """Call back for everything that has come; AssertionError if a callback failed."""
        for _ in range(2):  # what is accepted in the first turn is heard in the second one
            self._loop.call_later(0, self._loop.stop)
            self._loop.run()
        if self.failure is not None:
            raise AssertionError(f"a callback of the master's loop failed: {self.failure!r}") from self.failure

    def hear_controller(self) -> None:
        """Attach a new controller, in whose place we are from now on, and let a reload wait for it."""
        self.controller.close()
        self.turn()
        ours, self.controller = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._controller.attach(Launched(0, ours))
        if self._served.accepted is not None and self._reloader.is_idle():
            self.number += 1
            self._reloader.ask(ChangeRequest(self.plan.config_path, is_dry_run=True), lambda report: None)

    def hear_worker(self) -> tuple[socket.socket, Worker]:
        """A new worker, in whose place we are, in the middle of a rollout and of a transfer."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        worker = Worker(0, 0, -1)
        worker.channel = EventChannel(
            self._loop, Channel(ours), "worker", lambda delivery: self._on_worker_frame(worker, delivery), lambda: None
        )
        self._deployment = self._deployments.begin(self._served.snapshot(), [worker], lambda: None, lambda reason: None)
        self._transfers.begin(worker, lambda frame, fds: None, 3, lambda count: None)
        return theirs, worker

    def forget(self, worker: Worker) -> None:
        """*worker* is dead."""
        worker.channel.close()
        self._transfers.lost(worker)
        self._deployment.close()

    def ask(self) -> socket.socket:
        """A connection to the control socket."""
        asking = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        asking.connect(self.plan.pid_path + ".sock")
        return asking

    def end(self) -> None:
        """Close what it has."""
        self.controller.close()
        self.turn()
        if (accepted := self._served.accepted) is not None:
            close_fds([accepted.snapshot_fd, accepted.tables_fd])
            release(self._served.shared())
            self._instance.release()
        self._loop.close()

    def _note_failure(self) -> None:
        self.failure = self.failure or sys.exc_info()[1]


class Fuzzer:
    """Makes inputs, and looks what comes of them."""

    def __init__(self, seed: int, folder: Path) -> None:
        self._inputs = Inputs(seed)
        self._folder = folder
        self._master: FuzzedMaster | None = None
        plan = Plan(
            str(folder / "mosn.json"), str(folder / "mosn.pid"), 2, [ListenerPlan("l", "::1", 80)], "stdout", "INFO", 1.0, 1 << 21
        )
        changes = Changes(settings=Delta(("a",), ("b",)), warnings=("w",))
        sealed = [encode_plan(plan), msgspec.msgpack.encode(changes), b"no such cluster\nand this", b"{}"]
        self._descriptors = Descriptors(self._inputs, sealed)
        self._numbers = itertools.cycle(range(7))
        self.counts: Counter[str] = Counter()

    def run(self, count: int) -> None:
        """*count* inputs: by turns of controllers, workers and commands, for each master that lives."""
        for done in range(count):
            if done % LIVES == 0:
                self._replace(is_serving=done // LIVES % 4 != 3)
                before = open_descriptors()
            pick = self._inputs.random
            assert self._master is not None
            is_starting = self._master.number == 0 and done // LIVES % 4 == 3
            kind = "controller" if is_starting else pick.choice(("controller", "controller", "worker", "worker", "command"))
            try:
                getattr(self, f"_be_{kind}")(self._master)
            except Exception as error:
                raise AssertionError(f"{error!r}: {kind}, input {done}, said {self._said!r}") from error
            if open_descriptors() > before:
                raise AssertionError(f"descriptors stay open: {kind}, input {done}, said {self._said!r}")
            self.counts[kind] += 1

    def close(self) -> None:
        """Give everything back."""
        if self._master is not None:
            self._master.end()
        self._descriptors.close()

    def _replace(self, is_serving: bool) -> None:
        if self._master is not None:
            self._master.end()
            self._master = None
            gc.collect()  # mappings have descriptors of their own
        self._master = FuzzedMaster(self._folder, is_serving)

    def _say(self, sock: socket.socket, likely: tuple[type, ...], expected: int = 0) -> None:
        packet = self._inputs.packet(likely)
        fds = self._descriptors.some(expected)
        self._said.append((packet, len(fds)))
        send_packet(sock, packet, fds)

    def _be_controller(self, master: FuzzedMaster) -> None:
        pick = self._inputs.random
        self._said: list[tuple[bytes, int]] = []
        master.hear_controller()
        for _ in range(pick.choice((1, 1, 2))):
            if master.number and pick.random() < 0.4:  # what it asked for, by its number
                frame = pick.choice((Loaded(master.number), Unchanged(master.number), Rejected(master.number)))
                packet = encode_frame(frame)
                fds = self._descriptors.some(3 if isinstance(frame, Loaded) else 1)
                self._said.append((packet, len(fds)))
                send_packet(master.controller, packet, fds)
            else:
                self._say(master.controller, OF_CONTROLLERS, pick.choice((0, 1, 2, 3)))
        master.turn()

    def _be_worker(self, master: FuzzedMaster) -> None:
        pick = self._inputs.random
        self._said = []
        sock, worker = master.hear_worker()
        for _ in range(pick.choice((1, 2, 4))):
            if pick.random() < 0.3:
                send_packet(sock, encode_frame(pick.choice((Ready(1), Committed(1), Refused(1, "\x1b"), Given(1, -5)))), [])
            else:
                self._say(sock, OF_WORKERS)
        master.turn()
        master.forget(worker)
        sock.close()

    def _be_command(self, master: FuzzedMaster) -> None:
        pick = self._inputs.random
        self._said = []
        sock = master.ask()
        if pick.random() < 0.5:
            cluster, address = pick.choice(("backend", "", "\0")), pick.choice(("127.0.0.1:8080", "", "x"))
            ask = Ask(
                pick.choice(QUESTIONS), pick.choice(("", "/nowhere", "\0")), True, cluster, address, pick.randrange(-1, 130)
            )
            self._said.append((encode_frame(ask), 0))
            send_packet(sock, self._said[0][0], self._descriptors.some(0))
        else:
            self._say(sock, (Ask,))
        master.turn()
        with contextlib.suppress(BlockingIOError):
            sock.setblocking(False)
            _, fds, _, _ = socket.recv_fds(sock, 200_000, 3)
            close_fds(fds)
        sock.close()
        master.turn()


def fuzz(inputs: int, seed: int) -> list[str]:
    """Run *inputs* inputs; the report, a line each. AssertionError shows the input that failed."""
    logging.disable(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            fuzzer = Fuzzer(seed, Path(folder))
            fuzzer.run(min(inputs, 10_000))
            before, began = resident_kib(), time.perf_counter()
            fuzzer.run(max(inputs - 10_000, 0))
            rate = max(inputs - 10_000, 0) / (time.perf_counter() - began)
            fuzzer.close()
    finally:
        logging.disable(logging.NOTSET)
    heard = ", ".join(f"{kind} {count:,}" for kind, count in sorted(fuzzer.counts.items()))
    return [
        f"master: {fuzzer.counts.total():,} inputs, {rate:,.0f}/s; heard from: {heard}",
        f"memory: {before:,} KiB after the first 10,000 inputs, {resident_kib():,} KiB at the end",
    ]


if __name__ == "__main__":
    run_command(__doc__.splitlines()[0], fuzz)
