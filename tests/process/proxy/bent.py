"""Stream filters that do what a request's headers ask for; loaded by the proxy under test from this folder."""

import gevent
from msgspec import Struct

from mosn_mp.filter.stream_filter import RE_CHOOSE, RE_MATCH, STOP, TERMINATE, StreamFilter, Verdict
from mosn_mp.filter.stream_view import StreamView

PHASES = (
    "on_request",
    "on_route",
    "on_host",
    "on_request_data",
    "on_request_trailers",
    "on_response",
    "on_response_data",
    "on_response_trailers",
    "on_end",
)


class Labelled(Struct, frozen=True, forbid_unknown_fields=True):
    """*label* is what the filter writes."""

    label: str = ""


class Editor(StreamFilter):
    """Reads, adds, changes and removes headers; `x-answer` makes it answer by itself, `x-path` sends the request elsewhere."""

    Config = Labelled

    def on_request(self, stream: StreamView) -> Verdict:
        request = stream.request
        request.set("x-seen", b"%s %s %s" % (request.method, request.path, request.authority))
        request.set("X-Change", b"changed by " + self.config.label.encode())
        request.remove("x-remove")
        request.add("x-add", self.config.label)
        if (path := request.get("x-path")) is not None:
            request.path = path
        if (status := request.get("x-answer")) is not None:
            stream.reply(int(status), "answered\n", [("x-by", self.config.label)])
            return STOP
        return None

    def on_response(self, stream: StreamView) -> Verdict:
        stream.response.add("x-trail", self.config.label)
        stream.response.set("x-upstream", f"{stream.cluster_name} {stream.route_name} {stream.listener_name}")
        return None


class Raiser(StreamFilter):
    """Raises in the phase that `x-raise` names, sleeps in the one that `x-sleep` names, ends in the one that `x-end` names."""

    def bend(self, stream: StreamView, phase: str) -> Verdict:
        name = phase.encode()
        if stream.request.get("x-sleep") == name:
            gevent.sleep(0.3)
        if stream.request.get("x-raise") == name:
            raise RuntimeError(f"bent in {phase}")
        if stream.request.get("x-end") == name:
            return TERMINATE
        if stream.request.get("x-stop") == name:
            stream.reply(203, f"stopped in {phase}")
            return STOP
        return None

    def on_request(self, stream: StreamView) -> Verdict:
        return self.bend(stream, "on_request")

    def on_route(self, stream: StreamView) -> Verdict:
        if (path := stream.request.get("x-reroute")) is not None and stream.request.path != path:
            stream.request.path = path
            return RE_MATCH
        return self.bend(stream, "on_route")

    def on_host(self, stream: StreamView) -> Verdict:
        if (port := stream.request.get("x-avoid")) is not None and stream.host.address.endswith(port.decode()):
            return RE_CHOOSE
        return self.bend(stream, "on_host")

    def on_request_data(self, stream: StreamView, data: bytes, end: bool) -> bytes | None:
        self.bend(stream, "on_request_data")
        return None

    def on_request_trailers(self, stream: StreamView) -> Verdict:
        return self.bend(stream, "on_request_trailers")

    def on_response(self, stream: StreamView) -> Verdict:
        return self.bend(stream, "on_response")

    def on_response_data(self, stream: StreamView, data: bytes, end: bool) -> bytes | None:
        self.bend(stream, "on_response_data")
        return None

    def on_response_trailers(self, stream: StreamView) -> Verdict:
        return self.bend(stream, "on_response_trailers")

    def on_end(self, stream: StreamView) -> None:
        self.bend(stream, "on_end")


class Shouter(StreamFilter):
    """Puts both bodies into capitals, twice: their length changes."""

    per_stream = True
    changes_request_body = True
    changes_response_body = True

    def __init__(self, config: None) -> None:
        super().__init__(config)
        self.pieces = 0

    def on_request_data(self, stream: StreamView, data: bytes, end: bool) -> bytes:
        self.pieces += 1
        return data.upper() * 2 + (b" in %d pieces" % self.pieces if end else b"")

    def on_response_data(self, stream: StreamView, data: bytes, end: bool) -> bytes:
        return data.upper() * 2 + (b"!" if end else b"")


class Keeper(StreamFilter):
    """Looks at bodies and keeps their length; notes trailers."""

    def on_request_data(self, stream: StreamView, data: bytes, end: bool) -> bytes | None:
        stream.variables["sum"] = stream.variables.get("sum", 0) + len(data)
        return data.swapcase()

    def on_request_trailers(self, stream: StreamView) -> Verdict:
        stream.variables["trailers"] = stream.request_trailers.items()
        return None

    def on_response(self, stream: StreamView) -> Verdict:
        stream.response.set("x-sum", str(stream.variables.get("sum")))
        stream.response.set("x-trailers", str(stream.variables.get("trailers")))
        return None
