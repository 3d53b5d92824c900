"""Runs load.py beside what a test does, and hands over what it saw."""

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

KINDS = ("ok", "connect", "in_flight", "status", "wrong", "idle")


class Loaded:
    """Within a `with`: load on a port, from the first answer on; afterwards the counts of KINDS and examples of failures."""

    def __init__(self, port: int, connections: int, *words: str) -> None:
        self._command = [sys.executable, str(Path(__file__).parent / "load.py"), str(port), str(connections), *words]
        self.counts: dict[str, int] = {}
        self.examples: list[str] = []
        self.broken: list[tuple[int, float, float]] = []  # of each request in flight: the client's port, when sent, when failed

    def __enter__(self) -> "Loaded":
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"begun\n"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        output, _ = self._process.communicate(timeout=60)
        found: dict[str, Any] = json.loads(output or "{}")
        self.examples = found.pop("examples", [])
        self.broken = [(port, sent_at, failed_at) for port, sent_at, failed_at in found.pop("broken", [])]
        self.counts = {name: found.get(name, 0) for name in KINDS}

    @property
    def failed(self) -> int:
        """Requests and connections that failed, for whatever reason."""
        return sum(self.counts[name] for name in ("connect", "in_flight", "status", "wrong"))
