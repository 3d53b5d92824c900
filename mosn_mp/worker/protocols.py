"""What the clients of a listener may speak, and what goes upstream for each: the protocols of a proxy's configuration, compiled."""

from mosn_mp.codec.http1.limits import Http1Limits
from mosn_mp.codec.protocol import Protocol
from mosn_mp.config.model import HTTP1, Http1Options, Proxy
from mosn_mp.plugin import CATALOGUE
from mosn_mp.proxy.runtime import SpokenProtocol

# What hosts may send: heads as clients may, bodies without limit.
RESPONSE_LIMITS = Http1Limits()


def spoken_protocols(proxy: Proxy) -> tuple[SpokenProtocol, ...]:
    """In the order in which they are tried; each knows its variants, for routes and filters that want another upstream protocol."""
    names = proxy.downstream_protocols or tuple(CATALOGUE.names("codec"))
    follows = proxy.upstream_protocol in ("", "Auto", proxy.downstream_protocol)
    made = []
    for name in names:
        protocol = protocol_named(name)
        upstream = protocol if follows else protocol_named(proxy.upstream_protocol)
        spoken = _spoken(protocol, upstream, proxy)
        spoken.variants = {other: _spoken(protocol, protocol_named(other), proxy) for other in CATALOGUE.names("codec")}
        made.append(spoken)
    return tuple(made)


def _spoken(protocol: Protocol, upstream: Protocol, proxy: Proxy) -> SpokenProtocol:
    upstream_limits = RESPONSE_LIMITS if upstream.name == HTTP1 else limits_of(upstream, proxy)
    return SpokenProtocol(protocol, limits_of(protocol, proxy), upstream, upstream_limits)


def limits_of(protocol: Protocol, proxy: Proxy) -> object:
    """What the configuration allows one side of a connection of *protocol*."""
    if protocol.name == HTTP1:
        return http1_limits(proxy.extend_config.Http1)
    options = proxy.extend_config.Http1
    return protocol.make_limits(options.max_header_size, options.max_header_count, -1)


def protocol_named(name: str) -> Protocol:
    """The protocol of that name in the catalogue; ConfigError if there is none."""
    found = CATALOGUE.resolve("codec", name)
    assert isinstance(found, Protocol)
    return found


def http1_limits(options: Http1Options) -> Http1Limits:
    """The codec's limits for what a listener's clients send."""
    return Http1Limits(
        max_head_bytes=options.max_header_size,
        max_fields=options.max_header_count,
        max_uri_bytes=options.max_uri_size,
        max_body=options.max_request_body_size or -1,
        reject_underscores=options.reject_underscores,
    )
