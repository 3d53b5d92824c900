"""What a stream filter sees of a stream; proxy.StreamView implements it. Valid until on_end returns."""

import logging
from collections.abc import Iterable
from typing import Any, Protocol

from mosn_mp.buffer.head import Head
from mosn_mp.cluster.host import Host

Text = bytes | str


class StreamView(Protocol):
    """One request and its response."""

    @property
    def request(self) -> Head:
        """The request head: get(), get_all(), set(), add(), remove(), items(); method, path, authority, scheme."""

    @property
    def response(self) -> Head:
        """The response head, with status; empty before on_response."""

    @property
    def request_trailers(self) -> Head | None:
        """Trailers of the request, None if there are none or not yet."""

    @property
    def response_trailers(self) -> Head | None:
        """Trailers of the response, None if there are none or not yet."""

    @property
    def route_name(self) -> str:
        """The matched route, "" before on_route."""

    @property
    def cluster_name(self) -> str:
        """The cluster that the route leads to, "" before on_route and for routes that answer by themselves."""

    @property
    def host(self) -> Host | None:
        """The chosen host, None before on_host."""

    @property
    def remote_address(self) -> tuple[str, int]:
        """IP address and port of the client's end."""

    @property
    def local_address(self) -> tuple[str, int]:
        """IP address and port that the client connected to."""

    @property
    def protocol(self) -> str:
        """The client's protocol: "Http1"."""

    @property
    def listener_name(self) -> str:
        """The listener that the request came in by."""

    @property
    def connection_id(self) -> int:
        """The client's connection, unique within the worker."""

    @property
    def variables(self) -> dict[str, Any]:
        """Values of this request that filters keep and pass to one another; empty for each request."""

    @property
    def logger(self) -> logging.Logger:
        """Where a filter says what it has to say."""

    @property
    def replied(self) -> bool:
        """True after reply()."""

    def reply(self, status: int, body: Text = b"", headers: Iterable[tuple[Text, Text]] = ()) -> None:
        """Answer by itself: no later filter and no upstream is asked. ValueError once the response has begun."""
