"""From the frozen configuration of a router to a Router; everything that can be refused is refused here, never on a request."""

import re
from collections.abc import Iterable

from mosn_mp.buffer.names import checked_name, checked_value
from mosn_mp.config import model
from mosn_mp.errors import ConfigError
from mosn_mp.route.edits import HeaderEdits
from mosn_mp.route.match import HeaderMatcher, PathMatcher, any_path, exact_path, prefix_path, regex_path
from mosn_mp.route.redirect import Redirect
from mosn_mp.route.route import Route
from mosn_mp.route.router import Router, VirtualHost
from mosn_mp.route.services import SERVICE
from mosn_mp.steps import Steps, finish

Rule = tuple[str, bytes, bytes]

_VARIABLE = re.compile(r"%[A-Za-z][\w.-]*%")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9.+-]*")
_TARGET = re.compile(r"[\x21-\x22\x24-\x7e]*")  # what may stand in a request target: no blank, control, fragment


ROUTES_A_STEP = 30  # 0.5 ms


def compile_router(config: model.Router, path: str = "") -> Router:
    """The Router of *config*, which *path* names in errors; call its link() before it is used. ConfigError if it is refused."""
    return finish(router_steps(config, path))


def router_steps(config: model.Router, path: str = "", digest: bytes = b"") -> Steps[Router]:
    """As compile_router(), with pauses; the router may be told from others by *digest*."""
    where = path or f"routers[{config.router_config_name}]"
    hosts: list[VirtualHost] = []
    for i, host in enumerate(config.virtual_hosts):
        hosts.append((yield from _virtual_host(host, config, f"{where}.virtual_hosts[{i}]")))
    try:
        return Router(config.router_config_name, hosts, digest)
    except ValueError as e:
        raise ConfigError(f"{where}.virtual_hosts", str(e)) from e


def _virtual_host(config: model.VirtualHost, router: model.Router, where: str) -> Steps[VirtualHost]:
    name = config.name or config.domains[0]
    routes: list[Route] = []
    for i, route in enumerate(config.routers):
        routes.append(_route(route, config, router, name, f"{where}.routers[{i}]"))
        if i % ROUTES_A_STEP == 0:
            yield
    return VirtualHost(name, tuple(config.domains), routes)


def _route(config: model.Route, host: model.VirtualHost, router: model.Router, host_name: str, where: str) -> Route:
    matcher = _path_matcher(config.match, f"{where}.match")
    headers = tuple(_header_matcher(h, f"{where}.match.headers[{i}]") for i, h in enumerate(config.match.headers))
    name = f"{host_name}:{config.match.prefix or config.match.path or config.match.regex or '*'}"
    route = Route(name, matcher, headers, _service(config.match))
    levels: list[model.HeaderEdits] = [host, router]
    if config.route is not None:
        action = config.route
        timeout_ms, try_ms = deadlines_ms(action.timeout, action.retry_policy.retry_timeout)
        route.to_cluster(action.cluster_name, timeout_ms, try_ms, action.upstream_protocol)
        levels.insert(0, action)
    elif config.redirect is not None:
        route.to_redirect(config.redirect.response_code, _redirect(config.redirect, f"{where}.redirect"))
    elif config.direct_response is not None:
        route.to_answer(config.direct_response.status, config.direct_response.body.encode())
    else:
        raise ConfigError(where, "says nothing: give it a route, a redirect or a direct_response")
    route.edit(_edits(levels, "request", where), _edits(levels, "response", where))
    return route


def deadlines_ms(timeout_s: float, try_timeout_s: float) -> tuple[int, int]:
    """(whole request, one try) in milliseconds, 0 = none, after MOSN's rules.

    A timeout of 0 is the default of 60 s, a negative one none; a try that may last as long as the request has no deadline.
    """
    timeout_ms = _milliseconds(timeout_s or model.DEFAULT_ROUTE_TIMEOUT_S)
    try_ms = _milliseconds(try_timeout_s)
    return timeout_ms, 0 if timeout_ms and try_ms >= timeout_ms else try_ms


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000)) if seconds > 0 else 0


def _service(match: model.Match) -> bytes | None:
    """What the match asks of the header `service`, if it asks for nothing else and not by a regular expression."""
    if match.prefix or match.path or match.regex or len(match.headers) != 1:
        return None
    header = match.headers[0]
    return header.value.encode() if header.name == SERVICE and header.value and not header.regex else None


def _path_matcher(match: model.Match, where: str) -> PathMatcher:
    # a path condition beside a more important one would never be looked at (MOSN: prefix, then path, then regex)
    given = [name for name in ("prefix", "path", "regex") if getattr(match, name)]
    if len(given) > 1:
        raise ConfigError(where, f"has {' and '.join(given)}; a route has one of prefix, path and regex")
    if match.prefix:
        return prefix_path(match.prefix.encode())
    if match.path:
        return exact_path(match.path.encode())
    if not match.regex:
        return any_path()
    try:
        return regex_path(match.regex)
    except ValueError as e:
        raise ConfigError(f"{where}.regex", f"{match.regex!r}: {e}") from e


def _header_matcher(header: model.HeaderMatch, where: str) -> HeaderMatcher:
    try:
        return HeaderMatcher(header.name, header.value, header.regex)
    except ValueError as e:
        raise ConfigError(where, f"{header.name}: {header.value!r}: {e}") from e


def _redirect(config: model.Redirect, where: str) -> Redirect:
    if config.scheme_redirect and not _SCHEME.fullmatch(config.scheme_redirect):
        raise ConfigError(f"{where}.scheme_redirect", f"{config.scheme_redirect!r} is not a scheme such as https")
    for key in ("path_redirect", "host_redirect"):
        text = getattr(config, key)
        if not _TARGET.fullmatch(text):
            raise ConfigError(f"{where}.{key}", f"{text!r} has characters that cannot stand in a URL; escape them with %")
    if config.path_redirect and not config.path_redirect.startswith("/"):
        raise ConfigError(f"{where}.path_redirect", f"{config.path_redirect!r} does not begin with /")
    return Redirect(config.path_redirect.encode(), config.host_redirect.encode(), config.scheme_redirect.encode())


def _edits(levels: Iterable[model.HeaderEdits], direction: str, where: str) -> HeaderEdits:
    """The edits of route, virtual host and router in that order, so that the outermost has the last word."""
    rules: list[Rule] = []
    for level in levels:
        added: tuple[model.HeaderToAdd, ...] = getattr(level, f"{direction}_headers_to_add")
        removed: tuple[str, ...] = getattr(level, f"{direction}_headers_to_remove")
        try:
            rules += [_addition(one) for one in added]
            rules += [("remove", checked_name(name), b"") for name in removed]
        except ValueError as e:
            raise ConfigError(f"{where}: {direction} headers", str(e)) from e
    return HeaderEdits(tuple(rules))


def _addition(config: model.HeaderToAdd) -> Rule:
    name, value = checked_name(config.header.key), config.header.value
    variable = _VARIABLE.search(value)
    if variable:
        raise ValueError(f"{config.header.key}: {value!r}: variables like {variable.group()} are not served in header values yet")
    # a request has one Host (RFC 9112 section 3.2)
    kind = "add" if config.append and name.lower() != b"host" else "set"
    return kind, name, checked_value(value)
