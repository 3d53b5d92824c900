"""What the kernel knows of every process, as the master tells it when somebody looks at /metrics."""

from collections.abc import Callable

from gevent.event import AsyncResult

from mosn_mp.ipc.frames import Figures, Frame, Measure
from mosn_mp.observe.proc import ProcessReading

# A master that is busy for longer is not worth keeping a scraper waiting, which gets everything else.
ANSWER_TIMEOUT_S = 2.0


class FiguresOfAll:
    """Asks the master, once for all who want to know at the same time. *send* sends it a frame."""

    def __init__(self, send: Callable[[Frame], None]) -> None:
        self._send = send
        self._asked: AsyncResult[Figures] | None = None

    def wait(self) -> dict[str, ProcessReading]:
        """The processes by name; nothing if the master does not answer in time."""
        answer = self._asked
        if answer is None:
            answer = self._asked = AsyncResult()
            self._send(Measure())
        answer.wait(ANSWER_TIMEOUT_S)
        if answer is self._asked:
            self._asked = None
        if answer.value is None:
            return {}
        return {name: ProcessReading(*reading) for name, reading in answer.value.processes.items()}

    def take(self, figures: Figures) -> None:
        """The master's answer; one that nobody waits for is forgotten."""
        if self._asked is not None:
            self._asked.set(figures)
            self._asked = None
