"""Watches the memory of a program while something happens."""

import threading
from types import TracebackType

from tests.long.proxied import MIB, Proxied

SAMPLE_S = 0.05


class Growth:
    """Within a `with`: how far the program's Pss, pages of files left out, rises above where it was."""

    def __init__(self, proxied: Proxied) -> None:
        self._proxied = proxied
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.before = 0
        self.highest = 0
        self.samples = 0

    def __enter__(self) -> "Growth":
        self.before = self.highest = self._proxied.own_bytes()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            self.highest = max(self.highest, self._proxied.own_bytes())
            self.samples += 1

    @property
    def bytes(self) -> int:
        """The highest rise seen."""
        return self.highest - self.before

    def __str__(self) -> str:
        return f"Pss {self.before / MIB:.2f} MiB + {self.bytes / MIB:.2f} MiB ({self.samples} samples)"
