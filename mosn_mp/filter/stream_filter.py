"""The base class of stream filters: plain Python that reads, changes or answers requests. docs/filters.md tells how to write one.

A filter takes part in the phases whose methods it overrides; a phase that no filter of the listener overrides costs nothing.

    request head ---> on_request ---> (route) ---> on_route ---> (host) ---> on_host ---> upstream
    request body ---> on_request_data, on_request_trailers ----------------------------> upstream
    client <--- on_response, on_response_data, on_response_trailers <------------------- upstream or a local reply
    when all is over: on_end

Filters run in the order of the configuration on the way to the upstream and in the reverse order on the way back. MOSN names the
phases BeforeRoute, AfterRoute, AfterChooseHost, BeforeSend and Log (pkg/types/proxy.go).
"""

from typing import ClassVar

from msgspec import Struct

from mosn_mp.config.decoding.plans import Secret as Secret
from mosn_mp.filter.stream_view import StreamView

CONTINUE = 0  # the same as None
STOP = 1  # the filter has answered by stream.reply()
TERMINATE = 2  # close the stream without an answer
RE_MATCH = 3  # from on_route only: look for a route again, the request was changed
RE_CHOOSE = 4  # from on_host only: choose another host

Verdict = int | None


class StreamFilter:
    """Derive from this and override the methods of the phases you want.

    *Config*, if there is one, is a msgspec.Struct that the filter's `config` is decoded into, strictly; what is marked as Secret
    in it (`password: Annotated[str, Secret()]`) is shown to nobody. The object is given to __init__, which is called once for
    each listener and worker (`per_stream = False`) or for each request (`per_stream = True`). What belongs to one request is kept
    in `stream.variables`, or, in a per-stream filter, in `self`.

    Methods are called one after the other, never at the same time for one stream; they may block as gevent blocks (sleep, locks,
    sockets): other requests go on. An exception fails this request with 500, is logged and counted, and nothing else suffers.
    """

    Config: ClassVar[type[Struct] | None] = None
    per_stream: ClassVar[bool] = False
    changes_request_body: ClassVar[bool] = False  # on_request_data returns more or fewer bytes than it got
    changes_response_body: ClassVar[bool] = False

    def __init__(self, config: Struct | None) -> None:
        self.config = config

    def wants(self, phase: str) -> bool:
        """Asked once for each overridden method (`on_request`, ...) of a shared filter: False spares the call."""
        return True

    def on_request(self, stream: StreamView) -> Verdict:
        """The request head is complete, no route is known. What is changed here decides the route."""
        return None

    def on_route(self, stream: StreamView) -> Verdict:
        """`stream.route_name` and `stream.cluster_name` are known."""
        return None

    def on_host(self, stream: StreamView) -> Verdict:
        """`stream.host` is chosen, nothing was sent to it yet. Runs again for each retry."""
        return None

    def on_request_data(self, stream: StreamView, data: bytes, end: bool) -> bytes | None:
        """A piece of the request body; returns what to send instead (b"" = nothing now), None = the piece as it is.

        *end*: nothing follows but trailers; the last piece may be empty.
        """
        return None

    def on_request_trailers(self, stream: StreamView) -> Verdict:
        """The request's trailers are in `stream.request_trailers`."""
        return None

    def on_response(self, stream: StreamView) -> Verdict:
        """The head of the final response, from the upstream or a local reply, is in `stream.response`."""
        return None

    def on_response_data(self, stream: StreamView, data: bytes, end: bool) -> bytes | None:
        """A piece of the response body, as on_request_data()."""
        return None

    def on_response_trailers(self, stream: StreamView) -> Verdict:
        """The response's trailers are in `stream.response_trailers`."""
        return None

    def on_end(self, stream: StreamView) -> None:
        """The stream is over, well or not: time to count and to log. Nothing can be changed any more."""
