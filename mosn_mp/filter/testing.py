"""A stream to try filters on, in tests of your own filters as in ours: no proxy, no socket.

chain = FilterChain([Stamp(None)])
stream = SampleStream(path="/a", headers={"x-user": "7"})
chain.run("on_request", stream)
assert stream.request.get("x-stamp") == b"7"
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from mosn_mp.buffer.head import Head
from mosn_mp.cluster.host import Host
from mosn_mp.filter.chain import FilteredStream
from mosn_mp.filter.stream_view import Text


class SampleStream(FilteredStream):
    """A request, and after answer() or reply() a response; what a filter sees of it can be set as attributes."""

    def __init__(
        self,
        method: Text = "GET",
        path: Text = "/",
        authority: Text = "example.com",
        headers: Mapping[str, str] | Iterable[tuple[Text, Text]] = (),
        remote_address: tuple[str, int] = ("192.0.2.1", 40000),
    ) -> None:
        self.request = Head()
        self.request.method, self.request.path, self.request.authority, self.request.scheme = method, path, authority, "http"
        for name, value in headers.items() if isinstance(headers, Mapping) else headers:
            self.request.add(name, value)
        self.response = Head()
        self.response_body = b""
        self.request_trailers: Head | None = None
        self.response_trailers: Head | None = None
        self.route_name = ""
        self.cluster_name = ""
        self.host: Host | None = None
        self.remote_address = remote_address
        self.local_address = ("192.0.2.2", 80)
        self.protocol = "Http1"
        self.listener_name = "sample"
        self.connection_id = 1
        self.variables: dict[str, Any] = {}
        self.logger = logging.getLogger("mosn_mp.sample")

    def answer(self, status: int, headers: Mapping[str, str] | Iterable[tuple[Text, Text]] = ()) -> None:
        """Let the upstream have answered."""
        self.response = Head()
        self.response.status = status
        for name, value in headers.items() if isinstance(headers, Mapping) else headers:
            self.response.add(name, value)

    def reply(self, status: int, body: Text = b"", headers: Iterable[tuple[Text, Text]] = ()) -> None:
        """What a filter calls to answer by itself."""
        if not 200 <= status <= 599:
            raise ValueError(f"status {status} is not a final response status")
        self.answer(status, headers)
        self.response_body = body.encode() if isinstance(body, str) else body
        self.replied = True
