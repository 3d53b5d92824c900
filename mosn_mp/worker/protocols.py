"""What the clients of a listener may speak, and what goes upstream for each: a proxy's protocols, compiled."""

from mosn_mp.codec.compile import Protocols, rpc_limits
from mosn_mp.codec.http1.limits import Http1Limits
from mosn_mp.codec.protocol import Protocol, can_go_as
from mosn_mp.config.model import HTTP1, Http1Options, Proxy
from mosn_mp.proxy.runtime import SpokenProtocol

# What hosts may send: heads as clients may, bodies without limit.
RESPONSE_LIMITS = Http1Limits()


def spoken_protocols(proxy: Proxy, protocols: Protocols) -> tuple[SpokenProtocol, ...]:
    """In the order of trying; each knows its variants, for routes and filters that want another protocol upstream."""
    spoken = protocols.spoken(proxy.downstream_protocols, proxy.upstream_protocol)
    made = []
    for protocol in spoken.downstream:
        one = _spoken(protocol, spoken.upstream or protocol, proxy)
        variants = {name: other for name, other in spoken.by_name.items() if can_go_as(protocol, other)}
        one.variants = {name: _spoken(protocol, other, proxy) for name, other in variants.items()}
        made.append(one)
    return tuple(made)


def _spoken(protocol: Protocol, upstream: Protocol, proxy: Proxy) -> SpokenProtocol:
    upstream_limits = RESPONSE_LIMITS if upstream.name == HTTP1 else limits_of(upstream, proxy)
    return SpokenProtocol(protocol, limits_of(protocol, proxy), upstream, upstream_limits)


def limits_of(protocol: Protocol, proxy: Proxy) -> object:
    """What the configuration allows one side of a connection of *protocol*."""
    options = proxy.extend_config
    return http1_limits(options.Http1) if protocol.name == HTTP1 else rpc_limits(protocol, options)


def http1_limits(options: Http1Options) -> Http1Limits:
    """The codec's limits for what a listener's clients send."""
    return Http1Limits(
        max_head_bytes=options.max_header_size,
        max_fields=options.max_header_count,
        max_uri_bytes=options.max_uri_size,
        max_body=options.max_request_body_size or -1,
        reject_underscores=options.reject_underscores,
    )
