"""Changes that are asked for while it is not clear which master is the program: they wait, in the order in which they came.

```
HOLDING (at the start) --release(): this is the program--> OPEN --hold(): another one starts--> HOLDING
                                                            ^------release(): it failed------------'|
                                               PASSING <------pass_on(): it is the program now------'
```
So a reload and an upgrade never overlap: what the new generation reads is not changed behind its back, and what is asked for
meanwhile is done afterwards, by whoever serves then.
"""

import enum
from collections.abc import Callable
from typing import NamedTuple

from mosn_mp.master.events.channel import Send

# As many as may wait for one another in rollout.reload.
MAX_HELD = 64


class Phase(enum.Enum):
    """What becomes of a request."""

    HOLDING = "waits"
    OPEN = "is done"
    PASSING = "goes to the next master"


class Request(NamedTuple):
    """Something that is asked for. One of the three is called, once; *pass_on* gets what sends to the next master."""

    do: Callable[[], None]
    pass_on: Callable[[Send], None]
    refuse: Callable[[str], None]
    key: str = ""  # not "": one that comes right behind another one of this key is the same


class Deferral:
    """The one way for requests that change something."""

    def __init__(self) -> None:
        self._phase = Phase.HOLDING
        self._held: list[Request] = []
        self._send: Send | None = None

    def submit(self, request: Request) -> None:
        """Do *request* now or later, here or elsewhere."""
        if self._send is not None:
            request.pass_on(self._send)
        elif self._phase is Phase.OPEN:
            request.do()
        elif not (request.key and self._held and self._held[-1].key == request.key):
            if len(self._held) < MAX_HELD or request.key:
                self._held.append(request)
            else:
                request.refuse(f"{MAX_HELD} other changes wait for the end of an upgrade")

    def is_passing(self) -> bool:
        """Whether another master is the program."""
        return self._phase is Phase.PASSING

    def hold(self) -> None:
        """Another generation is about to start: nothing that it was told may change now."""
        self._phase = Phase.HOLDING

    def release(self) -> None:
        """This master is the program, or goes on being it."""
        self._phase = Phase.OPEN
        for request in self._take_held():
            request.do()

    def pass_on(self, send: Send) -> None:
        """Another master is the program; *send* sends to it."""
        self._phase, self._send = Phase.PASSING, send
        for request in self._take_held():
            request.pass_on(send)

    def _take_held(self) -> list[Request]:
        held, self._held = self._held, []
        return held
