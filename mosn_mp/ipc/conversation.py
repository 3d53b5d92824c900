"""A channel read by a greenlet: for workers and the controller, whose loop is gevent's."""

from collections.abc import Callable

import gevent

from mosn_mp.ipc.channel import SHORT_S, Channel, ChannelShortError, Delivery, LostFdsError
from mosn_mp.ipc.frames import AnyFrame


def converse(
    channel: Channel, take: Callable[[Delivery], object], take_bare: Callable[[AnyFrame], object] | None = None
) -> None:
    """Hand every delivery of *channel* to *take*, for ever; raises ChannelClosedError when the other end is gone.

    *take_bare* gets what arrived without its descriptors; without it that is a LostFdsError.
    """
    hub = gevent.get_hub()
    readable = hub.loop.io(channel.fileno(), 1)
    while True:
        try:
            delivery = channel.receive_nowait()
        except ChannelShortError:
            gevent.sleep(SHORT_S)
            continue
        except LostFdsError as e:
            if take_bare is None:
                raise
            take_bare(e.frame)
            continue
        if delivery is None:
            hub.wait(readable)
        else:
            take(delivery)
