"""The stream filter `transcoder`: the requests that it matches go to their hosts in another protocol (MOSN's filter, same keys).

    {"type": "transcoder", "config": {"type": "http2bolt_simple"}}

    {"type": "transcoder", "config": {"trans": {"receiver_phase": 1}, "rules": [
        {"matcher_config": {"matcher_type": "simpleMatcher", "config": {"name": "x-to", "value": "bolt"}},
         "rule_info": {"upstream_protocol": "bolt", "description": "from browsers"}}]}}

MOSN converts in the filter, by code for each pair of protocols; here a head is the same for all protocols, so the codec of the
host's side writes it and all that is left to say is which protocol: the filter sets MOSN's variable upstream_protocol. The first
rule that matches decides, one without matcher_config matches every request. `http2bolt_simple` takes requests of HTTP/1 alone and
leaves others as they are, as MOSN's does. Where all requests of a listener or route are meant, upstream_protocol of the proxy or
the route needs no filter.
"""

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct

from mosn_mp.errors import ConfigError
from mosn_mp.filter.stream_filter import StreamFilter, Verdict
from mosn_mp.filter.stream_view import StreamView

VARIABLE = "upstream_protocol"
PHASES = ("on_request", "on_route", "on_host")  # MOSN: BeforeRoute 0, AfterRoute 1, AfterChooseHost 2

# type: the client's protocol, the host's
TYPES = {"http2bolt_simple": ("Http1", "bolt")}
UNSERVED_TYPES = ("httpTohttp2", "http2Tohttp")


class HeaderConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A header that a request must carry with this value."""

    name: Annotated[str, Meta(min_length=1)]
    value: str


class MatcherConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests a rule takes; without config every one."""

    matcher_type: Literal["simpleMatcher"] = "simpleMatcher"
    config: HeaderConfig | None = None


class RuleInfo(Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to the requests that a rule takes."""

    upstream_protocol: Annotated[str, Meta(min_length=1)]
    upstream_sub_protocol: str = ""  # MOSN's: the protocol where upstream_protocol is X
    description: str = ""
    config: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if self.config:
            raise ConfigError("config", "is for MOSN's transcoders; there is nothing here that would read it")
        if self.upstream_sub_protocol and self.upstream_protocol != "X":
            raise ConfigError("upstream_sub_protocol", "belongs to the upstream_protocol 'X'")

    @property
    def protocol(self) -> str:
        """The name of the host's protocol."""
        return self.upstream_sub_protocol or self.upstream_protocol


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of rules."""

    rule_info: RuleInfo
    matcher_config: MatcherConfig = MatcherConfig()


class Trans(Struct, frozen=True, forbid_unknown_fields=True):
    """When the filter looks at a request."""

    receiver_phase: Literal[0, 1, 2] = 1


class TranscoderConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests go to their hosts in which protocol."""

    type: str = ""
    rules: tuple[Rule, ...] = ()
    trans: Trans = Trans()

    def __post_init__(self) -> None:
        if bool(self.type) == bool(self.rules):
            raise ConfigError("", "has to say either 'type' or 'rules'")
        if self.type in UNSERVED_TYPES:
            raise ConfigError("type", f"{self.type!r} needs HTTP/2, which is not in this version of mosn_mp")
        if self.type and self.type not in TYPES:
            raise ConfigError("type", f"unknown type {self.type!r}; there is {', '.join(TYPES)}; for other protocols use 'rules'")

    @property
    def upstream_protocols(self) -> dict[str, str]:
        """The protocols that requests may go to, by the path of what names them; the configuration checks that they exist."""
        if self.type:
            return {"type": TYPES[self.type][1]}
        return {f"rules[{i}].rule_info.upstream_protocol": rule.rule_info.protocol for i, rule in enumerate(self.rules)}


class Transcoder(StreamFilter):
    """Chooses the protocol of the host."""

    Config: ClassVar[type[Struct]] = TranscoderConfig

    def __init__(self, config: TranscoderConfig) -> None:
        super().__init__(config)
        self._phase = PHASES[config.trans.receiver_phase]
        self._from = TYPES[config.type][0] if config.type else ""
        self._rules = [(rule.matcher_config.config, rule.rule_info.protocol) for rule in config.rules]
        if config.type:
            self._rules = [(None, TYPES[config.type][1])]

    def wants(self, phase: str) -> bool:
        """Only the phase of receiver_phase."""
        return phase == self._phase

    def on_request(self, stream: StreamView) -> Verdict:
        """receiver_phase 0."""
        return self._choose(stream)

    def on_route(self, stream: StreamView) -> Verdict:
        """receiver_phase 1."""
        return self._choose(stream)

    def on_host(self, stream: StreamView) -> Verdict:
        """receiver_phase 2."""
        return self._choose(stream)

    def _choose(self, stream: StreamView) -> Verdict:
        if self._from and stream.protocol != self._from:
            return None
        for header, protocol in self._rules:
            if header is None or stream.request.get(header.name) == header.value.encode():
                stream.variables[VARIABLE] = protocol
                return None
        return None
