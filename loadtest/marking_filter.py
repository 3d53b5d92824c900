"""The stream filter of the comparison: plain Python that reads one header and adds one."""

from mosn_mp.filter.stream_filter import StreamFilter
from mosn_mp.filter.stream_view import StreamView


class Marking(StreamFilter):
    """Tells the host which client program asks."""

    def on_request(self, stream: StreamView) -> None:
        stream.request.add("x-asked-by", stream.request.get("user-agent", b"unknown"))
