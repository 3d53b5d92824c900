"""Stream filters for the RPC tests."""

from mosn_mp.filter.stream_filter import StreamFilter, Verdict
from mosn_mp.filter.stream_view import StreamView


class Mark(StreamFilter):
    """Edits the headers of requests that carry `edit`, and of their responses; leaves all others alone."""

    def on_request(self, stream: StreamView) -> Verdict:
        if "edit" in stream.request:
            stream.request.set("edit", "by the filter, äöü".encode())
            stream.request.add("x-added", b"1")
            stream.request.remove("x-secret")
        return None

    def on_response(self, stream: StreamView) -> Verdict:
        if "edit" in stream.request:
            stream.response.set("x-answered", b"through the filter")
        return None
