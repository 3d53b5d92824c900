"""A stream as stream filters see it: the state of one request, and the properties and verbs that plain Python may use.

The interface is mosn_mp.filter.stream_view; Stream (stream.py) adds what happens to the request.
"""

from collections.abc import Iterable

import cython
from cython.cimports.mosn_mp.buffer.head import F_LENGTH, Head
from cython.cimports.mosn_mp.filter.chain import FilteredStream
from cython.cimports.mosn_mp.observe.access_log.record import Address, format_address

LENGTHS = cython.declare(tuple, tuple(str(n).encode() for n in range(1024)))


@cython.cfunc
def address_pair(address: cython.pointer(Address)) -> tuple:
    """IP address and port as text and number; ("", 0) for what is neither IPv4 nor IPv6."""
    text: cython.char[64]
    length: cython.int = format_address(address, text)
    if length == 0:
        return ("", 0)
    host, _, port = text[:length].decode().rpartition(":")
    return (host.strip("[]"), int(port))


class StreamView(FilteredStream):
    """One request and its response, for as long as the stream lives; the object serves the next request afterwards."""

    @property
    def route_name(self) -> str:
        """The name of the matched route, "" before routing."""
        return self.route.name if self.route is not None else ""

    @property
    def cluster_name(self) -> str:
        """The cluster that the route leads to, "" before routing or for a direct response."""
        return self.route.cluster_name if self.route is not None else ""

    @property
    def host(self) -> object:
        """The chosen cluster.Host, None before one was chosen."""
        return self.chosen

    @property
    def request_trailers(self) -> Head | None:
        """The trailer fields of the request, from on_request_trailers on; None if there are none."""
        return self.down_codec.trailers if self.upload.has_trailers else None

    @property
    def response_trailers(self) -> Head | None:
        """The trailer fields of the response, from on_response_trailers on; None if there are none."""
        return self.up_codec.trailers if self.download.has_trailers else None

    @property
    def remote_address(self) -> tuple[str, int]:
        """IP address and port of the client's end."""
        return address_pair(cython.address(self.down.remote))

    @property
    def local_address(self) -> tuple[str, int]:
        """IP address and port that the client connected to."""
        return address_pair(self.down.local_address())

    @property
    def protocol(self) -> str:
        """The downstream protocol's name."""
        return self.spoken.protocol.name

    @property
    def listener_name(self) -> str:
        """The listener that the connection came in by."""
        return self.runtime.name

    @property
    def connection_id(self) -> int:
        """The downstream connection, unique within the worker."""
        return self.down.id

    @property
    def variables(self) -> dict:
        """Values that filters pass to one another and to the access log; empty for each request."""
        if self.variable_values is None:
            self.variable_values = {}
        return self.variable_values

    @property
    def logger(self) -> object:
        """A logging.Logger for what a filter has to say."""
        return self.listener.log

    def reply(self, status: int, body: bytes | str = b"", headers: Iterable[tuple[bytes | str, bytes | str]] = ()) -> None:
        """Answer by itself: no later filter and no upstream is asked. Raises ValueError once the response has begun."""
        if self.response_begun:
            raise ValueError("the response has already begun")
        if not 200 <= status <= 599:
            raise ValueError(f"status {status} is not a final response status")
        if isinstance(body, str):
            body = body.encode()
        self.compose_reply(status, body)
        has_type = False
        for name, value in headers:
            has_type = has_type or name.lower() in ("content-type", b"content-type")
            self.response.set(name, value)
        if body and not has_type:
            self.response.add(b"content-type", b"text/plain")
        self.replied = True

    def compose_reply(self, status: cython.int, body: bytes) -> cython.int:
        """The response becomes a local one: *status* and *body* with its length."""
        length: bytes
        size: cython.Py_ssize_t = len(body)
        self.response.clear()
        self.response.status = status
        self.response.version = 11
        self.response.framing = F_LENGTH
        self.response.content_length = size
        self.reply_body = body
        length = LENGTHS[size] if size < 1024 else str(size).encode()
        if status != 204 and status != 304:
            self.response.add_field(b"content-length", 14, length, len(length))
        return 0
