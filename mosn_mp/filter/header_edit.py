"""The stream filter `header_edit`: sets, adds, extends and removes header fields of requests and responses.

    {"type": "header_edit", "config": {
        "request":  {"remove": ["x-debug"], "set": {"x-gateway": "mosn_mp"}, "append": {"via": "1.1 edge"}},
        "response": {"add": {"set-cookie": "seen=1"}, "remove": ["server"]}}}

The request is edited before it is routed, the response before it is sent, local replies included. Within a message first comes
`remove`, then `set` (the only field of that name from then on), `append` (`, value` behind the first value; a field if there is
none) and `add` (one more field). Edits that depend on a route are the route's own (request_headers_to_add and so on).
"""

from typing import ClassVar

from msgspec import Struct, field

from mosn_mp.buffer.names import checked_name, checked_value
from mosn_mp.errors import ConfigError
from mosn_mp.filter.stream_filter import StreamFilter, Verdict
from mosn_mp.filter.stream_view import StreamView
from mosn_mp.route.edits import HeaderEdits


class Edits(Struct, frozen=True, forbid_unknown_fields=True):
    """The edits of one kind of message."""

    remove: tuple[str, ...] = ()
    set: dict[str, str] = field(default_factory=dict)
    append: dict[str, str] = field(default_factory=dict)
    add: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for index, name in enumerate(self.remove):
            _checked(f"remove[{index}]", name, "")
        for key in ("set", "append", "add"):
            for name, value in getattr(self, key).items():
                _checked(f"{key}.{name}", name, value)

    def compiled(self) -> HeaderEdits:
        """The same in the order in which it is done."""
        rules = [("remove", checked_name(name), b"") for name in self.remove]
        for kind, fields in (("set", self.set), ("join", self.append), ("add", self.add)):
            for name, value in fields.items():
                # a message has one Host (RFC 9112 section 3.2)
                rules.append(("set" if name.lower() == "host" else kind, checked_name(name), checked_value(value)))
        return HeaderEdits(tuple(rules))


def _checked(path: str, name: str, value: str) -> None:
    try:
        checked_name(name)
        checked_value(value)
    except ValueError as e:
        raise ConfigError(path, str(e)) from e


class HeaderEditConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What to edit."""

    request: Edits = Edits()
    response: Edits = Edits()


class HeaderEdit(StreamFilter):
    """Edits headers as its configuration says."""

    Config: ClassVar[type[Struct]] = HeaderEditConfig

    def __init__(self, config: HeaderEditConfig) -> None:
        super().__init__(config)
        self._request = config.request.compiled()
        self._response = config.response.compiled()

    def wants(self, phase: str) -> bool:
        """No phase without an edit."""
        edits = self._request if phase == "on_request" else self._response
        return bool(edits.count)

    def on_request(self, stream: StreamView) -> Verdict:
        """Edit the request."""
        self._request.edit(stream.request)
        return None

    def on_response(self, stream: StreamView) -> Verdict:
        """Edit the response."""
        self._response.edit(stream.response)
        return None
