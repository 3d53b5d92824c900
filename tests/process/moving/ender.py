"""A stream filter that keeps something of each stream until its end."""

from mosn_mp.filter.stream_filter import StreamFilter
from mosn_mp.filter.stream_view import StreamView


class Ender(StreamFilter):
    """Knows at the end what it saw at the beginning."""

    per_stream = True

    def on_request(self, stream: StreamView) -> None:
        """The beginning."""
        self.path = stream.request.path

    def on_end(self, stream: StreamView) -> None:
        """The end."""
        assert self.path == stream.request.path
