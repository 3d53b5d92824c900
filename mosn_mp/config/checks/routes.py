"""Checks of one router configuration: domains, matches, actions, header edits, and routes that can never be reached."""

import re
from collections.abc import Collection, Iterator

from mosn_mp.config.checks.shadows import Shadows
from mosn_mp.config.decoding.unserved import not_in_this_version
from mosn_mp.config.model import (
    DirectResponse,
    HeaderEdits,
    Match,
    Redirect,
    Route,
    RouteAction,
    Router,
    VirtualHost,
)
from mosn_mp.config.problems import Findings, Path, nearest, path_text, show

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # a field value has none, RFC 9110 section 5.5
_BEYOND_LATIN_1 = re.compile(r"[^\x00-\xff]")
_VARIABLE = re.compile(r"%[A-Za-z][A-Za-z0-9_-]*%")
_DOMAIN = re.compile(r"(\*|\*?[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(:([0-9]{1,5}|\*))?")
# What only the codec may write: framing and what concerns one connection, RFC 9110 section 7.6.1.
_CODEC_HEADERS = (
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
)
_EDIT_KEYS = ("request_headers_to_add", "request_headers_to_remove", "response_headers_to_add", "response_headers_to_remove")
_BODYLESS = (204, 205, 304)


def check_router(router: Router, path: Path, clusters: Collection[str], findings: Findings) -> None:
    """Add to *findings* what is wrong with *router*, whose routes may lead to *clusters*."""
    _check_edits(router, path, findings)
    names: dict[str, int] = {}
    domains: dict[str, Path] = {}
    for index, host in enumerate(router.virtual_hosts):
        at = (*path, "virtual_hosts", index)
        if host.name and host.name in names:
            problem = f"the virtual host {show(host.name)} is given twice; first at virtual_hosts[{names[host.name]}]"
            findings.error((*at, "name"), problem, value=host.name)
        names.setdefault(host.name, index)
        _check_domains(host, at, domains, findings)
        _check_edits(host, at, findings)
        for r, route in enumerate(host.routers):
            _check_route(route, (*at, "routers", r), clusters, findings)
        _warn_of_shadows(host, at, findings)


def _check_domains(host: VirtualHost, path: Path, first: dict[str, Path], findings: Findings) -> None:
    for index, domain in enumerate(host.domains):
        at = (*path, "domains", index)
        key = domain.lower()
        if not domain:
            continue
        if _DOMAIN.fullmatch(domain) is None:
            problem = (
                f"{show(domain)} is not a domain; expected 'www.example.com', '*.example.com' or '*', with or without ':port'"
            )
            findings.error(at, problem, value=domain)
        elif key in first:
            findings.error(at, f"the domain {show(domain)} is given twice; first at {path_text(first[key])}", value=domain)
        first.setdefault(key, at)


def _check_route(route: Route, path: Path, clusters: Collection[str], findings: Findings) -> None:
    _check_match(route.match, (*path, "match"), findings)
    actions = [key for key in ("route", "redirect", "direct_response") if getattr(route, key) is not None]
    if not actions and not findings.has_error_within(path):
        findings.error(path, "the route says what it matches but not what to do: add 'route', 'redirect' or 'direct_response'")
    elif len(actions) > 1:
        findings.error(path, f"only one of {' and '.join(map(repr, actions))} can be done; take the other out")
    if route.route is not None:
        _check_action(route.route, (*path, "route"), clusters, findings)
    if route.redirect is not None:
        _check_redirect(route.redirect, (*path, "redirect"), findings)
    if route.direct_response is not None:
        _check_direct_response(route.direct_response, (*path, "direct_response"), findings)


def _check_match(match: Match, path: Path, findings: Findings) -> None:
    kinds = [key for key in ("prefix", "path", "regex") if getattr(match, key)]
    if len(kinds) > 1:
        findings.error(path, f"only one of {', '.join(map(repr, kinds))} can be matched by; MOSN would silently take the first")
    if not kinds and not match.headers and not findings.has_error_within(path):
        findings.error(path, 'matches nothing; to take every request write {"prefix": "/"}')
    for key in ("prefix", "path"):
        text = getattr(match, key)
        if text and text != "*" and not text.startswith("/"):
            findings.warning((*path, key), f"{show(text)} does not start with '/': no path does, so this never matches")
    for index, header in enumerate(match.headers):
        _check_header_name(header.name, (*path, "headers", index, "name"), findings)


def each_regex(router: Router, path: Path) -> Iterator[tuple[str, Path]]:
    """Every regular expression in *router*, with its path."""
    for h, host in enumerate(router.virtual_hosts):
        for r, route in enumerate(host.routers):
            at = (*path, "virtual_hosts", h, "routers", r, "match")
            if route.match.regex:
                yield route.match.regex, (*at, "regex")
            for index, header in enumerate(route.match.headers):
                if header.regex:
                    yield header.value, (*at, "headers", index, "value")


def each_upstream_protocol(router: Router, path: Path) -> Iterator[tuple[str, Path]]:
    """Every protocol that a route of *router* names, with its path."""
    for h, host in enumerate(router.virtual_hosts):
        for r, route in enumerate(host.routers):
            if route.route is not None and route.route.upstream_protocol:
                at: Path = (*path, "virtual_hosts", h, "routers", r, "route", "upstream_protocol")
                yield route.route.upstream_protocol, at


def _check_action(action: RouteAction, path: Path, clusters: Collection[str], findings: Findings) -> None:
    name = action.cluster_name
    if name and name not in clusters and "" not in clusters:
        problem = f"there is no cluster {show(name)}" + ("" if clusters else "; cluster_manager.clusters is empty")
        findings.error((*path, "cluster_name"), problem, value=name, suggestion=nearest(name, clusters))
    if 0 < action.timeout <= action.retry_policy.retry_timeout:
        problem = "not shorter than the timeout of the whole request: it is never reached"
        findings.warning((*path, "retry_policy", "retry_timeout"), problem)
    _check_edits(action, path, findings)


def _check_redirect(redirect: Redirect, path: Path, findings: Findings) -> None:
    given = {key: getattr(redirect, key) for key in ("path_redirect", "host_redirect", "scheme_redirect")}
    if not any(given.values()):
        findings.error(path, f"leads back to the same place; give one of {', '.join(map(repr, given))}")
    for key, text in given.items():
        if _CONTROL.search(text) or not text.isascii() or " " in text:
            findings.error((*path, key), f"{show(text)} has characters that a URL must not have unescaped", value=text)
    if redirect.path_redirect and not redirect.path_redirect.startswith("/"):
        findings.error((*path, "path_redirect"), f"{show(redirect.path_redirect)} does not start with '/'")
    if redirect.scheme_redirect not in ("", "http", "https"):
        problem = f'unknown scheme {show(redirect.scheme_redirect)}; expected "http" or "https"'
        findings.error((*path, "scheme_redirect"), problem, value=redirect.scheme_redirect)


def _check_direct_response(response: DirectResponse, path: Path, findings: Findings) -> None:
    if response.body and response.status in _BODYLESS:
        findings.error((*path, "body"), f"an answer with status {response.status} has no body", value=response.body)


def _check_edits(edits: HeaderEdits, path: Path, findings: Findings) -> None:
    for key in _EDIT_KEYS:
        for index, entry in enumerate(getattr(edits, key)):
            at = (*path, key, index)
            if isinstance(entry, str):
                _check_edited_name(entry, at, findings)
                if entry.lower() == "host" and key == "request_headers_to_remove":
                    findings.error(at, "a request must have a host (RFC 9112 section 3.2)", value=entry)
            else:
                _check_edited_name(entry.header.key, (*at, "header", "key"), findings)
                _check_value(entry.header.value, (*at, "header", "value"), findings)


def _check_edited_name(name: str, path: Path, findings: Findings) -> None:
    _check_header_name(name, path, findings)
    if name.lower() in _CODEC_HEADERS:
        findings.error(path, f"{show(name)} belongs to the connection and cannot be edited", value=name)


def _check_header_name(name: str, path: Path, findings: Findings) -> None:
    if name and _TOKEN.fullmatch(name) is None:
        findings.error(path, f"{show(name)} is not a header name", value=name)


def _check_value(value: str, path: Path, findings: Findings) -> None:
    if _CONTROL.search(value):
        findings.error(path, f"{show(value)} has a control character, which a header must not have", value=value)
    beyond = _BEYOND_LATIN_1.search(value)
    if beyond:
        findings.error(path, f"{show(value)} cannot be sent: {show(beyond[0])} is not in Latin-1", value=value)
    variable = _VARIABLE.search(value)
    if variable:
        findings.error(path, not_in_this_version(f"a variable in a header ({variable[0]})"), value=value)


def _warn_of_shadows(host: VirtualHost, path: Path, findings: Findings) -> None:
    shadows = Shadows()
    for index, route in enumerate(host.routers):
        at = (*path, "routers", index, "match")
        if findings.has_error_within(at):
            continue
        hiding = shadows.first_hiding(route.match)
        if hiding is not None:
            findings.warning(at, f"never reached: routers[{hiding}] takes every request that this route matches")
        shadows.add(index, route.match)
