"""A stream filter that answers with the pid of its worker, and makes trouble when its configuration says so."""

import os
import sys
import time

import gevent
from msgspec import Struct

from mosn_mp.filter.stream_filter import STOP, StreamFilter, Verdict
from mosn_mp.filter.stream_view import StreamView

DELAYS_S = {b"/slow": 1.0, b"/slower": 3.0, b"/never": 600.0}


class Trouble(Struct, frozen=True):
    """*kind*: `refuse`, `die` or `hang` in the one worker that makes the file *marker* first; `refuse_while` it exists."""

    kind: str = ""
    marker: str = ""


class Witness(StreamFilter):
    """Answers at once but for DELAYS_S; `/die` and `/loop` never; after `/fat` the worker has 64 MB more."""

    Config = Trouble

    def __init__(self, config: Trouble) -> None:
        super().__init__(config)
        if "controller" in sys.argv[0]:
            return  # the check of the configuration passes: the trouble is a worker's own
        if config.kind == "refuse_while":
            if os.path.exists(config.marker):
                raise ValueError("there is trouble")
        elif config.kind and self._is_first(config.marker):
            if config.kind == "refuse":
                raise ValueError("this worker does not like it")
            if config.kind == "die":
                os._exit(3)
            time.sleep(60)

    @staticmethod
    def _is_first(marker: str) -> bool:
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    def on_request(self, stream: StreamView) -> Verdict:
        path = stream.request.path
        if path == b"/die":
            os._exit(7)
        if path == b"/loop":
            while True:
                pass
        if path == b"/fat":
            self.ballast = []
            for _ in range(64):
                self.ballast.append(b"x" * (1 << 20))
                gevent.sleep(0)  # a worker that does nothing else for long is taken for stuck
        if path in DELAYS_S:
            gevent.sleep(DELAYS_S[path])
        stream.reply(200, b"%d" % os.getpid())
        return STOP
