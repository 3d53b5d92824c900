"""Does what takes long in pieces, so that clients are served between them: compiling a hundred thousand hosts takes a second."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import gevent

from mosn_mp.steps import Steps, T

# A client that comes at the wrong moment waits so long, on an idle core; as long as a few hundred requests take.
PIECE_S = 0.003
# Then the loop turns until there is nothing to do, or for so long: under full load the work gets three quarters of the time.
REST_S = 0.001


def do_in_pieces(steps: Steps[T], within: Callable[[], AbstractContextManager[object]]) -> T:
    """The result of *steps*; lets other greenlets run between two pieces, each of which is done *within* a context of its own."""
    while True:
        until = time.monotonic() + PIECE_S
        with within():
            while time.monotonic() < until:
                try:
                    next(steps)
                except StopIteration as e:
                    result: T = e.value
                    return result
        gevent.sleep(REST_S)
