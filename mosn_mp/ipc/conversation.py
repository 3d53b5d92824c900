"""A channel read by a greenlet: for workers and the controller, whose loop is gevent's."""

from collections.abc import Callable

import gevent

from mosn_mp.ipc.channel import Channel, Delivery


def converse(channel: Channel, take: Callable[[Delivery], object]) -> None:
    """Hand every delivery of *channel* to *take*, for ever; raises ChannelClosedError when the other end is gone."""
    hub = gevent.get_hub()
    readable = hub.loop.io(channel.fileno(), 1)
    while True:
        delivery = channel.receive_nowait()
        if delivery is None:
            hub.wait(readable)
        else:
            take(delivery)
