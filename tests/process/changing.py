"""A program that is upgraded while changes are asked for."""

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mosn_mp.ipc.channel import Channel, ChannelClosedError
from mosn_mp.ipc.frames import Ask
from mosn_mp.ipc.report import StatusReport, UpgradeReport
from mosn_mp.master.control.client import ask_over
from mosn_mp.master.control.server import control_path
from tests.ports import free_port
from tests.process.dynamic import Dynamic
from tests.process.program import Program, is_alive, say, wait_until
from tests.process.releases import script, start_program

ANSWER_S = 60.0
SETTLED_S = 20.0
REQUESTS = 8


class Change(NamedTuple):
    """*ask* makes it, or is refused: False. If it was made *holds* is true from then on, soon."""

    name: str
    ask: Callable[[], bool]
    holds: Callable[[], bool]


class Changing(Dynamic):
    """`/` answers a number of the file; nothing listens behind `/up`, and nothing leads to the router and the cluster `side`."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.config |= {"disable_upgrade": False, "close_graceful": False}
        self.access_log = directory / "logs" / "access.log"
        log = {"log_path": str(self.access_log), "log_format": "%path%"}
        self.server["listeners"][0]["access_logs"] = [log]
        host = {"name": "v", "domains": ["*"], "routers": []}
        self.server["routers"].append({"router_config_name": "side", "virtual_hosts": [host]})
        self.config["cluster_manager"]["clusters"].append({"name": "side", "lb_type": "LB_RANDOM", "hosts": []})
        self.guest_port = free_port()
        self.number = 1
        self.is_kept = False  # the file says what is changed
        self.pool = ThreadPoolExecutor(16)
        self.outcomes: Counter[str] = Counter()
        self.answers_of: dict[int, set[int]] = {}  # by version
        self.write()

    def keep(self) -> None:
        """Let it start with auto_config."""
        self.is_kept = True
        self.start_options = ["-f", "auto_config=true"]

    def start(self) -> None:
        """Start, without hosts."""
        Program.start(self)
        self.wait_admin()

    @property
    def pid_path(self) -> str:
        """The pid file."""
        return str(self.directory / "logs" / "mosn.pid")

    @property
    def pid(self) -> int:
        """Who it says is the master."""
        return int(Path(self.pid_path).read_text())

    def ask_control(self, ask: Ask) -> bytes | None:
        """The answer of the control socket, None if it is a refusal or there is none."""
        try:
            with self.connect_control() as sock:
                answer = ask_over(Channel(sock), ask, ANSWER_S)
        except (OSError, ChannelClosedError):
            return None
        return answer.body if answer.ok else None

    def connect_control(self) -> socket.socket:
        """A client of the control socket."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(control_path(self.pid_path))
        return sock

    def report(self) -> StatusReport:
        """What `mosn_mp status` would print."""
        return msgspec.msgpack.decode(wait_until(lambda: self.ask_control(Ask("status")), "status"), type=StatusReport)

    def ask_admin(self, path: str, value: Any) -> bool:
        """POST *value*; whether it was done."""
        try:
            return self.ask("POST", path, json.dumps(value))[0] == 200
        except (OSError, HTTPException):
            return False

    def answers(self, path: str = "/") -> set[int]:
        """What *path* answers, over a few connections."""
        return {self.get(path) for _ in range(REQUESTS)}

    def next_number(self) -> int:
        """Write a file with another answer, which it returns."""
        self.number += 1
        self.set_answer(str(self.number))
        return self.number

    # -- upgrades -------------------------------------------------------------------------------------------------------------

    def upgrade_with(self, offset_ms: float, kinds: "Iterable[Callable[[Changing], Change]]") -> None:
        """Upgrade to another file (with auto_config the same one), ask for changes of *kinds* *offset_ms* later, and look."""
        wait_until(lambda: self.report().draining_master == 0, "one generation")
        if self.is_kept:
            self.number += 1
        else:
            self.next_number()
        changes = [kind(self) for kind in kinds]
        old = self.pid
        begun = threading.Event()
        asked = [self.pool.submit(self._ask_at, begun, offset_ms, change) for change in changes]
        os.kill(old, signal.SIGUSR2)
        begun.set()
        done = [future.result() for future in asked]
        wait_until(lambda: self.pid != old and not is_alive(old), f"{offset_ms} ms: the end of the old generation", SETTLED_S)
        self.wait_admin()
        for change, was_done in zip(changes, done, strict=True):
            self.outcomes[f"{change.name}: {'done' if was_done else 'refused'}"] += 1
            if was_done:
                wait_until(change.holds, f"{offset_ms} ms: what '{change.name}' asked for", SETTLED_S)
        self.answers_of.setdefault(self.report().config_version, set()).update(self.answers())
        mixed = {version: answers for version, answers in self.answers_of.items() if len(answers) > 1}
        assert not mixed, f"{offset_ms} ms: one version, several contents: {mixed}"

    @staticmethod
    def _ask_at(begun: threading.Event, offset_ms: float, change: Change) -> bool:
        begun.wait()
        time.sleep(offset_ms / 1000)
        return change.ask()

    def upgrade(self, text: str = "") -> None:
        """Upgrade to a program of *text* (default: this release), and wait until nothing else is left."""
        old = self.pid
        assert self.begin_upgrade(text or start_program(), 0).result().ok
        wait_until(lambda: not is_alive(old), "the end of the old generation", SETTLED_S)
        self.wait_admin()

    def begin_upgrade(self, text: str, pause_s: float = 0.7) -> "Future[UpgradeReport]":
        """Begin an upgrade to a program of *text* that does nothing for *pause_s*; its report. Returns when it has begun."""
        marker = self.directory / "begun"
        marker.unlink(missing_ok=True)
        program = script(self.directory, f"open({str(marker)!r}, 'w').close()\nimport time; time.sleep({pause_s})\n{text}")
        report = self.pool.submit(self._upgrade_to, program)
        wait_until(marker.exists, "the new program")
        return report

    def _upgrade_to(self, program: str) -> UpgradeReport:
        body = self.ask_control(Ask("upgrade", program))
        assert body is not None
        return msgspec.msgpack.decode(body, type=UpgradeReport)

    def took_ms(self) -> float:
        """How long an upgrade takes until the pid file says who serves."""
        old, began = self.pid, time.monotonic()
        os.kill(old, signal.SIGUSR2)
        wait_until(lambda: self.pid != old, "another master", SETTLED_S)
        took = (time.monotonic() - began) * 1000
        say(f"\nan upgrade takes {took:.0f} ms")
        return took

    def end(self) -> None:
        """Leave nothing of any generation behind."""
        self.pool.shutdown(cancel_futures=True)
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.family(), "nothing left")
        assert self.master is not None
        self.master.communicate()
