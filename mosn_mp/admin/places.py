"""The places of an admin server: who is connected, and who goes when somebody new comes and there is no place left.

    half-open   the head or body of a request is awaited: dropped first, the oldest of them
    idle        between two requests: dropped next
    replying    an answer is being sent, and not read: dropped last
    changing    a change of the configuration is under way: never dropped

So connections that ask for nothing cost those that do nothing, however many they are.
"""

from enum import IntEnum
from typing import TYPE_CHECKING

from gevent import Greenlet

from mosn_mp.admin.counts import AdminCounts

if TYPE_CHECKING:
    Place = Greenlet[..., None]  # gevent's Greenlet takes no parameters at run time
else:
    Place = Greenlet


class Stage(IntEnum):
    """What a connection does; those of a lower stage are dropped first."""

    HALF_OPEN = 0
    IDLE = 1
    REPLYING = 2
    CHANGING = 3


class Places:
    """At most *limit* connections, each served by a greenlet."""

    def __init__(self, limit: int, counts: AdminCounts) -> None:
        self._limit = limit
        self._counts = counts
        self._stages: dict[Stage, dict[Place, None]] = {stage: {} for stage in Stage}  # each in the order of arrival

    def __len__(self) -> int:
        return sum(map(len, self._stages.values()))

    def enter(self, place: Place) -> bool:
        """Whether there is a place for *place*; another connection gives up its own if need be."""
        if len(self) >= self._limit and not self._drop():
            return False
        self._stages[Stage.HALF_OPEN][place] = None
        return True

    def move(self, place: Place, stage: Stage) -> None:
        """*place* is in *stage* from now on."""
        if self.leave(place):
            self._stages[stage][place] = None

    def leave(self, place: Place) -> bool:
        """*place* is gone; whether it was still here."""
        return any(places.pop(place, self) is None for places in self._stages.values())

    def at_stages(self, *stages: Stage) -> list[Place]:
        """The connections in *stages*."""
        return [place for stage in stages for place in self._stages[stage]]

    def _drop(self) -> bool:
        for stage in (Stage.HALF_OPEN, Stage.IDLE, Stage.REPLYING):
            for place in self._stages[stage]:
                self.leave(place)
                place.kill(block=False)
                self._counts.dropped_connections += 1
                return True
        return False
