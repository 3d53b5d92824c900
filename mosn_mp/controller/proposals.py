"""Changes that the admin API asks for: proposed to the master, which makes them one after the other with all others."""

import itertools
import os
from collections.abc import Callable

import msgspec
from gevent.event import AsyncResult

from mosn_mp.ipc.frames import Frame, Propose
from mosn_mp.ipc.memfd import seal_bytes
from mosn_mp.ipc.report import ReloadReport

# The master's own deadlines for loading, preparing and committing add up to less; 64 changes may wait before this one.
ANSWER_TIMEOUT_S = 300.0


class Proposals:
    """Those that wait for an answer. *send* sends a frame and its descriptors to the master."""

    def __init__(self, send: Callable[[Frame, tuple[int, ...]], None]) -> None:
        self._send = send
        self._waiting: dict[str, AsyncResult[ReloadReport]] = {}
        self._numbers = itertools.count(1)

    def propose(self, edit: str, body: bytes) -> ReloadReport:
        """What came of *edit*; lets other greenlets run meanwhile. TimeoutError if there is no answer."""
        token = f"{os.getpid()}-{next(self._numbers)}"
        answer = self._waiting[token] = AsyncResult()
        body_fd = seal_bytes("mosn_mp-edit", body)
        try:
            self._send(Propose(token, edit), (body_fd,))
            answer.wait(ANSWER_TIMEOUT_S)
            if answer.value is None:
                raise TimeoutError
            return answer.value
        finally:
            os.close(body_fd)
            del self._waiting[token]

    def conclude(self, token: str, packed: bytes) -> None:
        """The master's answer to the proposal *token*; of one that nobody waits for it is forgotten."""
        answer = self._waiting.get(token)
        if answer is not None:
            answer.set(msgspec.msgpack.decode(packed, type=ReloadReport))
