"""The stages of the program, and the only ways from one to the next.

```
INITING --configuration valid--> STARTING --it is the program--> RUNNING --SIGTERM--> GRACEFUL_STOPPING
                                                                    '--another master serves--> UPGRADING
```
SIGINT, SIGQUIT and a failed start lead from anywhere to STOPPING. The numbers are MOSN's (pkg/stagemanager), for /api/v1/states.
"""

import enum
from collections.abc import Mapping


class Stage(enum.IntEnum):
    """What the program as a whole is doing, for /api/v1/states and `status`."""

    INITING = 2
    STARTING = 4
    RUNNING = 6
    GRACEFUL_STOPPING = 8
    STOPPING = 9
    UPGRADING = 13


TRANSITIONS: Mapping[Stage, frozenset[Stage]] = {
    Stage.INITING: frozenset({Stage.STARTING, Stage.STOPPING}),
    # A new master of an upgrade that serves, and is told to stop before it is the program, has connections to drain.
    Stage.STARTING: frozenset({Stage.RUNNING, Stage.GRACEFUL_STOPPING, Stage.STOPPING}),
    Stage.RUNNING: frozenset({Stage.GRACEFUL_STOPPING, Stage.STOPPING, Stage.UPGRADING}),
    Stage.GRACEFUL_STOPPING: frozenset({Stage.STOPPING}),
    Stage.UPGRADING: frozenset({Stage.STOPPING}),
    Stage.STOPPING: frozenset(),
}
STOPPING_STAGES = frozenset({Stage.GRACEFUL_STOPPING, Stage.STOPPING, Stage.UPGRADING})


class StageError(Exception):
    """A bug of ours: there is no way from one stage to the other."""


class Stages:
    """The stage that the program is in."""

    def __init__(self) -> None:
        self.now = Stage.INITING

    def enter(self, stage: Stage) -> None:
        """*stage* begins; StageError if it cannot come after the one that it is in."""
        if stage not in TRANSITIONS[self.now]:
            raise StageError(f"{stage.name} cannot come after {self.now.name}")
        self.now = stage

    def is_stopping(self) -> bool:
        """Whether this master is on its way out, however."""
        return self.now in STOPPING_STAGES

    def text(self) -> str:
        """The stage in words; "running" is the one in which changes can be made."""
        return self.now.name.lower().replace("_", " ")
