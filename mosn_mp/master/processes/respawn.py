"""How long to wait before a dead child is replaced: at once the first time, then longer while it keeps dying young."""

FIRST_DELAY_S = 0.1
LAST_DELAY_S = 5.0
# A child that lived this long did not die of its start: the next death is answered at once again.
HEALTHY_AFTER_S = 10.0


class Respawn:
    """The back-off of one slot: 0, 0.1, 0.2, 0.4 ... 5 s."""

    def __init__(self) -> None:
        self.deaths = 0  # in all, for `status`
        self._young = 0

    def delay_s(self, lived_s: float) -> float:
        """The wait before the next start, after a child that died *lived_s* after its own."""
        self.deaths += 1
        if lived_s >= HEALTHY_AFTER_S:
            self._young = 0
        self._young += 1
        if self._young == 1:
            return 0.0
        return min(LAST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(self._young - 2, 10))
