"""A stream filter that says what a header says: in the log, and in an exception."""

from mosn_mp.filter.stream_filter import StreamFilter
from mosn_mp.filter.stream_view import StreamView


class Quoting(StreamFilter):
    """Fails every request that has the header `note`."""

    def on_request(self, stream: StreamView) -> None:
        """Log it, then raise it."""
        note = stream.request.get("note")
        if note is not None:
            stream.logger.warning("a note: %s", note.decode("utf-8", "replace"))
            raise ValueError(note.decode("utf-8", "replace"))
