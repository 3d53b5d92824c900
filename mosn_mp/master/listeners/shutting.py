"""Listening sockets that are gone for good are shut once those who serve them have taken what is queued."""

import time

from mosn_mp.master.events.loop import Loop
from mosn_mp.master.listeners.sockets import ListeningSockets

LOOK_EVERY_S = 0.2  # a worker that was told to leave a socket takes its queue within a turn of its loop


def shut_when_served(loop: Loop, sockets: ListeningSockets, within_s: float) -> None:
    """Let nobody keep what ended: as soon as nobody waits in it, at the latest *within_s* from now."""
    until = time.monotonic() + within_s

    def look() -> None:
        if time.monotonic() >= until:
            sockets.shut_all()
        elif sockets.shut():
            loop.call_later(LOOK_EVERY_S, look)

    loop.call_later(LOOK_EVERY_S, look)
