"""Router configurations: virtual hosts, routes, their matches, actions and header edits."""

from typing import Annotated

from msgspec import Meta

from mosn_mp.config.model.values import DEFAULT_ROUTE_TIMEOUT_S, Frozen, Name, Seconds, SignedSeconds


class HeaderMatch(Frozen, frozen=True, kw_only=True):
    """One header a request must carry: equal to *value*, or found by it as a regular expression."""

    name: Name
    value: str = ""
    regex: bool = False


class Match(Frozen, frozen=True, kw_only=True):
    """Which requests a route takes: at most one of prefix, path and regex, and all of the headers."""

    prefix: str = ""
    path: str = ""  # compared without regard to case, as MOSN does
    regex: str = ""  # searched for in the path, not anchored
    headers: tuple[HeaderMatch, ...] = ()


class HeaderValue(Frozen, frozen=True, kw_only=True):
    """A header's name and value."""

    key: Name
    value: str = ""


class HeaderToAdd(Frozen, frozen=True, kw_only=True):
    """A header to add; without *append* it replaces what the message carries by that name."""

    header: HeaderValue
    append: bool = True


class HeaderEdits(Frozen, frozen=True, kw_only=True):
    """The header edits that a router, a virtual host and a route action have alike."""

    request_headers_to_add: tuple[HeaderToAdd, ...] = ()
    request_headers_to_remove: tuple[Name, ...] = ()
    response_headers_to_add: tuple[HeaderToAdd, ...] = ()
    response_headers_to_remove: tuple[Name, ...] = ()


class RetryPolicy(Frozen, frozen=True, kw_only=True):
    """How a route treats a failed attempt; of MOSN's keys this version serves the deadline of one try."""

    retry_timeout: Seconds = 0.0  # 0 = no deadline of its own


class RouteAction(HeaderEdits, frozen=True, kw_only=True):
    """Send the request to a cluster."""

    cluster_name: Name
    timeout: SignedSeconds = DEFAULT_ROUTE_TIMEOUT_S  # of the whole request; negative = none, 0 in the file = the default
    retry_policy: RetryPolicy = RetryPolicy()
    upstream_protocol: str = ""  # "" = the proxy's


class Redirect(Frozen, frozen=True, kw_only=True):
    """Answer with a Location built from the request's own URL and the parts given here."""

    response_code: Annotated[int, Meta(extra={"choices": (301, 302, 303, 307, 308)})] = 301
    path_redirect: str = ""
    host_redirect: str = ""
    scheme_redirect: str = ""


class DirectResponse(Frozen, frozen=True, kw_only=True):
    """Answer without asking anybody."""

    status: Annotated[int, Meta(ge=200, le=599)] = 200
    body: str = ""


class Route(Frozen, frozen=True, kw_only=True):
    """One rule of a virtual host (an entry of MOSN's `routers`): a match and exactly one of the three actions."""

    match: Match
    route: RouteAction | None = None
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None


class VirtualHost(HeaderEdits, frozen=True, kw_only=True):
    """The routes of some domains, tried in order."""

    name: str = ""
    domains: Annotated[tuple[Name, ...], Meta(min_length=1)]
    routers: tuple[Route, ...] = ()


class Router(HeaderEdits, frozen=True, kw_only=True):
    """A router configuration, named by the proxy filters that use it."""

    router_config_name: Name
    virtual_hosts: tuple[VirtualHost, ...] = ()
