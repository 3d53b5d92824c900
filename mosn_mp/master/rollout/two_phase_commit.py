"""One transaction over workers: prepare everywhere, then commit everywhere or abort everywhere. Decides only; sends nothing.

```
PREPARING --all ready--> COMMITTING --all committed or gone--> DONE
    |------one refused, died or was too slow-----------------> ABORTED
```
Once it commits it cannot fail any more: a worker that dies then is replaced by one that prepares the committed version.
"""

import enum
from collections.abc import Iterable


class Phase(enum.Enum):
    """Where a rollout stands."""

    PREPARING = "preparing"
    COMMITTING = "committing"
    DONE = "done"
    ABORTED = "aborted"


# Compiling a snapshot takes a worker milliseconds to a second; one that says nothing for this long refuses.
PREPARE_TIMEOUT_S = 10.0
# A commit swaps one reference.
COMMIT_TIMEOUT_S = 5.0


class TwoPhaseCommit:
    """The rollout of *version* to the workers *pids*."""

    def __init__(self, version: int, pids: Iterable[int]) -> None:
        self.version = version
        self.pids = frozenset(pids)
        self.phase = Phase.PREPARING
        self.reason = ""  # why it was aborted
        self._waiting = set(self.pids)
        self._advance()

    def ready(self, pid: int) -> Phase:
        """Worker *pid* has compiled it. Returns the phase after that, as all methods here."""
        if self.phase is Phase.PREPARING:
            self._waiting.discard(pid)
            self._advance()
        return self.phase

    def refused(self, pid: int, reason: str) -> Phase:
        """Worker *pid* cannot serve it."""
        if self.phase is Phase.PREPARING and pid in self.pids:
            self.phase = Phase.ABORTED
            self.reason = reason
        return self.phase

    def committed(self, pid: int) -> Phase:
        """Worker *pid* serves it."""
        if self.phase is Phase.COMMITTING:
            self._waiting.discard(pid)
            self._advance()
        return self.phase

    def lost(self, pid: int, reason: str) -> Phase:
        """Worker *pid* died: a refusal while it prepared, nothing to wait for afterwards."""
        if self.phase is Phase.PREPARING:
            return self.refused(pid, reason)
        return self.committed(pid)

    def waiting(self) -> frozenset[int]:
        """The workers whose answer is outstanding."""
        return frozenset(self._waiting)

    def _advance(self) -> None:
        if self._waiting:
            return
        if self.phase is Phase.PREPARING and self.pids:
            self.phase = Phase.COMMITTING
            self._waiting = set(self.pids)
        else:
            self.phase = Phase.DONE
