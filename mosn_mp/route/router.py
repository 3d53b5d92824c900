"""Which route a request takes: virtual host by authority, then the first of its routes that matches.

domains.py finds the virtual host; neither that nor the match makes a Python object. See path.py for what routes see of a path; it
is only worked out if a route asks for more than the prefix `/`, and services.py for the routes of RPC services.
"""

from collections.abc import Callable, Mapping, Sequence

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdlib import free, realloc
from cython.cimports.mosn_mp.buffer.head import Head
from cython.cimports.mosn_mp.route.domains import Domains
from cython.cimports.mosn_mp.route.match import P_ANY, HeaderMatcher
from cython.cimports.mosn_mp.route.path import V_AMBIGUOUS, V_PLAIN, V_REPLACE, view
from cython.cimports.mosn_mp.route.route import Route, path_length
from cython.cimports.mosn_mp.route.services import Services

from mosn_mp.errors import ConfigError


class VirtualHost:
    """The routes of some domains, tried in order."""

    def __init__(self, name: str, domains: tuple, routes: list) -> None:
        route: Route
        self.name = name
        self.domains = domains
        self.routes = routes
        self.tried = []
        services: list[tuple[bytes, int]] = []
        for position, route in enumerate(routes):
            route.position = position
            if route.service is None:
                self.tried.append(route)
            else:
                services.append((route.service, position))
        self.services = Services(services) if services else None

    def __repr__(self) -> str:
        return f"<VirtualHost {self.name}: {', '.join(self.domains)}>"


class Router:
    """`Router(name, virtual_hosts)`; ValueError for a domain that is malformed or there twice."""

    def __cinit__(self, name: str, virtual_hosts: list, digest: bytes = b"") -> None:
        self.name = name
        self.virtual_hosts = virtual_hosts
        self.digest = digest
        self.domains = Domains([host.domains for host in virtual_hosts])

    def __dealloc__(self) -> None:
        free(self.seen_path)

    def link(self, clusters: Mapping[str, object], protocol_named: Callable[[str], object] | None = None) -> None:
        """Give every route the object of *clusters*, and of *protocol_named*, that it names; ConfigError if there is none."""
        route: Route
        for host in self.virtual_hosts:
            for route in host.routes:
                if not route.cluster_name:
                    continue
                if route.cluster_name not in clusters:
                    problem = f"route {route.name} names cluster {route.cluster_name!r}, which is not there"
                    raise ConfigError(f"routers[{self.name}]", problem)
                route.cluster = clusters[route.cluster_name]
                if route.upstream_protocol_name and protocol_named is not None:
                    route.upstream_protocol = protocol_named(route.upstream_protocol_name)

    def relink(self, changed: Mapping[str, object]) -> None:
        """Give every route the object of *changed*, if it names one there: requests that are on their way take it too."""
        route: Route
        for host in self.virtual_hosts:
            for route in host.routes:
                if route.cluster_name in changed:
                    route.cluster = changed[route.cluster_name]

    def routes(self) -> Sequence[Route]:
        """All routes of all virtual hosts."""
        return [route for host in self.virtual_hosts for route in host.routes]

    def find(self, head: Head) -> Route | None:
        """Python's side of match()."""
        return self.match(head)

    def match(self, head: Head) -> Route:
        """The first route that matches *head*, a request, or None."""
        host: VirtualHost = self.find_host(head)
        if host is None:
            return None
        return self._match_in(host, head)

    def find_host(self, head: Head) -> VirtualHost:
        """The virtual host of *head*'s authority, or None."""
        index: cython.int = self.domains.find(head.at(head.authority.at), head.authority.len)
        return None if index < 0 else cython.cast(VirtualHost, self.virtual_hosts[index])

    def _match_in(self, host: VirtualHost, head: Head) -> Route:
        route: Route
        routes: list = host.tried
        i: cython.Py_ssize_t
        by_service: cython.int = host.services.find(head) if host.services is not None else -1
        seen: cython.int = -1
        path: cython.p_const_char = cython.NULL
        length: cython.Py_ssize_t = 0
        for i in range(len(routes)):
            route = cython.cast(Route, routes[i])
            if 0 <= by_service < route.position:
                break
            if route.path.kind != P_ANY:
                if seen < 0:
                    path = head.at(head.path.at)
                    seen = self._see_path(head, cython.address(length))
                    if seen == V_AMBIGUOUS:
                        return None
                    if seen != V_PLAIN:
                        path = self.seen_path
                if not route.path.matches(path, length):
                    continue
            if route.headers and not _all_match(route.headers, head):
                continue
            if seen == V_REPLACE or (seen > V_PLAIN and route.prefix_rewrite is not None):
                self._replace_path(head, length)
            return route
        if by_service < 0:
            return None
        route = cython.cast(Route, host.routes[by_service])
        if seen == V_REPLACE or (seen > V_PLAIN and route.prefix_rewrite is not None):
            self._replace_path(head, length)
        return route

    def _see_path(self, head: Head, length: cython.pointer(cython.Py_ssize_t)) -> cython.int:
        """What routes shall match: the first *length* bytes of the path (V_PLAIN) or of seen_path."""
        path: cython.p_const_char = head.at(head.path.at)
        larger: cython.p_char
        length[0] = path_length(path, head.path.len)
        if length[0] > self.seen_capacity:
            larger = cython.cast(cython.p_char, realloc(self.seen_path, length[0]))
            if larger == cython.NULL:
                raise MemoryError
            self.seen_path = larger
            self.seen_capacity = length[0]
        return view(path, length[0], self.seen_path, length)

    def _replace_path(self, head: Head, length: cython.Py_ssize_t) -> cython.int:
        """Forward what was matched, and the query."""
        path: bytes = head.slice_bytes(head.path)
        target: bytes = self.seen_path[:length] + path[path_length(PyBytes_AS_STRING(path), PyBytes_GET_SIZE(path)) :]
        head.set_slice(cython.address(head.path), PyBytes_AS_STRING(target), PyBytes_GET_SIZE(target))
        return 0


@cython.cfunc
@cython.exceptval(check=False)
def _all_match(headers: tuple, head: Head) -> cython.bint:
    i: cython.Py_ssize_t
    for i in range(len(headers)):
        if not cython.cast(HeaderMatcher, headers[i]).matches(head):
            return False
    return True
