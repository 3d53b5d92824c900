"""Which route a request takes: virtual host by authority, then the first of its routes that matches.

Virtual hosts after MOSN pkg/router/routers_impl.go, host in lower case:

    1 host and port        www.example.com:8080     (without a port: a request that names none)
    2 host, any port       www.example.com:*
    3 suffix and port      *.example.com:8080       longest suffix first; at least one byte stands for the star
    4 suffix, any port     *.example.com:*
    5 everything else      *

A request without authority takes 5 (MOSN: no route). A dot at the end of a host name is ignored (RFC 3986 section 3.2.2: the
same name). One hash table holds all domains; neither the lookup nor the match makes a Python object. See path.py for what routes
see of a path; it is only worked out if a route asks for more than the prefix `/`, and services.py for the routes of RPC services.
"""

from collections.abc import Callable, Mapping, Sequence

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, realloc
from cython.cimports.libc.string import memchr, memcmp
from cython.cimports.mosn_mp.buffer.head import Head
from cython.cimports.mosn_mp.buffer.octets import LOWER
from cython.cimports.mosn_mp.route.match import P_ANY, HeaderMatcher
from cython.cimports.mosn_mp.route.path import V_AMBIGUOUS, V_PLAIN, V_REPLACE, view
from cython.cimports.mosn_mp.route.route import Route, path_length
from cython.cimports.mosn_mp.route.services import FNV_BASIS, FNV_PRIME, Services

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

    def __cinit__(self, name: str, virtual_hosts: list, config: object = None) -> None:
        self.name = name
        self.virtual_hosts = virtual_hosts
        self.config = config
        self.texts = []
        self.default_host = -1
        size: uint32_t = 8
        count = sum(len(host.domains) for host in virtual_hosts)
        while size < 2 * count:
            size *= 2
        self.mask = size - 1
        self.cells = cython.cast(cython.pointer(Domain), calloc(size, cython.sizeof(Domain)))
        self.suffix_lengths = cython.cast(cython.pointer(uint32_t), calloc(count + 1, cython.sizeof(uint32_t)))
        if self.cells == cython.NULL or self.suffix_lengths == cython.NULL:
            raise MemoryError
        self._fill()

    def __dealloc__(self) -> None:
        free(self.cells)
        free(self.suffix_lengths)
        free(self.seen_path)

    def _fill(self) -> None:
        lengths = set()
        for number, host in enumerate(self.virtual_hosts):
            for domain in host.domains:
                kind, text, port = split_domain(domain)
                if kind == SUFFIX and not text and port in (NO_PORT, ANY_PORT):
                    if self.default_host >= 0:
                        raise ValueError(f"domain {domain!r} is there twice")
                    self.default_host = number
                    continue
                if kind == SUFFIX:
                    lengths.add(len(text))
                else:
                    self.exact_count += 1
                self._insert(kind, text, port, number, domain)
        for length in sorted(lengths, reverse=True):
            self.suffix_lengths[self.suffix_count] = length
            self.suffix_count += 1

    def _insert(self, kind: cython.int, text: bytes, port: uint32_t, number: cython.int, domain: str) -> None:
        raw: cython.p_const_char = PyBytes_AS_STRING(text)
        length: uint32_t = PyBytes_GET_SIZE(text)
        if self._look_up(kind, raw, length, port) >= 0:
            raise ValueError(f"domain {domain!r} is there twice")
        hashed: uint64_t = _hash(kind, raw, length, port)
        at: uint32_t = cython.cast(uint32_t, hashed) & self.mask
        while self.cells[at].kind != 0:
            at = (at + 1) & self.mask
        self.texts.append(text)
        self.cells[at].hash = hashed
        self.cells[at].text = raw
        self.cells[at].length = length
        self.cells[at].port = port
        self.cells[at].kind = kind
        self.cells[at].virtual_host = number

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

    # --- virtual host -----------------------------------------------------------------------------------------------------

    def find_host(self, head: Head) -> VirtualHost:
        """The virtual host of *head*'s authority, or None."""
        index: cython.int = self.default_host
        text: cython.char[MAX_HOST]
        length: uint32_t = head.authority.len
        port: uint32_t = NO_PORT
        i: uint32_t
        if self.exact_count + self.suffix_count and length:
            raw: cython.p_const_char = head.at(head.authority.at)
            if not _split_port(raw, cython.address(length), cython.address(port)):
                return None
            if length <= MAX_HOST:
                for i in range(length):
                    text[i] = LOWER[cython.cast(cython.uchar, raw[i])]
                index = self._find_index(text, length, port)
        return None if index < 0 else cython.cast(VirtualHost, self.virtual_hosts[index])

    def _find_index(self, host: cython.p_const_char, length: uint32_t, port: uint32_t) -> cython.int:
        index: cython.int = -1
        i: cython.int
        one: uint32_t
        wanted: uint32_t = port
        if self.exact_count:
            index = self._look_up(EXACT, host, length, port)
            if index < 0:
                index = self._look_up(EXACT, host, length, ANY_PORT)
        while index < 0:
            for i in range(self.suffix_count):
                one = self.suffix_lengths[i]
                if one < length:
                    index = self._look_up(SUFFIX, host + length - one, one, wanted)
                    if index >= 0:
                        break
            if wanted == ANY_PORT:
                break
            wanted = ANY_PORT
        return index if index >= 0 else self.default_host

    def _look_up(self, kind: cython.int, text: cython.p_const_char, length: uint32_t, port: uint32_t) -> cython.int:
        hashed: uint64_t = _hash(kind, text, length, port)
        at: uint32_t = cython.cast(uint32_t, hashed) & self.mask
        cell: cython.pointer(Domain) = self.cells + at
        while cell.kind != 0:
            if (
                cell.hash == hashed
                and cell.kind == kind
                and cell.port == port
                and cell.length == length
                and memcmp(cell.text, text, length) == 0
            ):
                return cell.virtual_host
            at = (at + 1) & self.mask
            cell = self.cells + at
        return -1

    # --- route ------------------------------------------------------------------------------------------------------------

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


@cython.cfunc
@cython.exceptval(check=False)
def _hash(kind: cython.int, text: cython.p_const_char, length: uint32_t, port: uint32_t) -> uint64_t:
    # the texts in the table are the operator's, so nobody can choose them to collide
    hashed: uint64_t = FNV_BASIS ^ (port * 2 + kind)
    i: uint32_t
    for i in range(length):
        hashed = (hashed ^ cython.cast(cython.uchar, text[i])) * FNV_PRIME
    return hashed ^ (hashed >> 32)


@cython.cfunc
@cython.exceptval(check=False)
def _split_port(authority: cython.p_const_char, length: cython.pointer(uint32_t), port: cython.pointer(uint32_t)) -> cython.bint:
    """Cut the port and a final dot off *length*; False if the authority is none."""
    colon: uint32_t = 0
    end: uint32_t = length[0]
    i: uint32_t
    number: uint32_t = 0
    if authority[0] == ord("["):  # IPv6 literal: colons inside of the brackets are part of the host
        while colon < end and authority[colon] != ord("]"):
            colon += 1
        colon += 1
        if colon > end or (colon < end and authority[colon] != ord(":")):
            return False
    else:
        found: cython.p_const_char = cython.cast(cython.p_const_char, memchr(authority, ord(":"), end))
        colon = end if found == cython.NULL else cython.cast(uint32_t, found - authority)
    for i in range(colon + 1, end):
        if not ord("0") <= authority[i] <= ord("9") or number > 65535:
            return False
        number = number * 10 + authority[i] - ord("0")
    if number > 65535:
        return False
    port[0] = number
    if colon > 1 and authority[colon - 1] == ord("."):
        colon -= 1
    length[0] = colon
    return True


def split_domain(domain: str) -> tuple[int, bytes, int]:
    """(EXACT or SUFFIX, text in lower case without the star, port) of a configured domain; ValueError if it is malformed."""
    host, colon, port_text = domain.lower().rpartition(":")
    port: int = NO_PORT
    if not colon or port_text.endswith("]"):
        host = domain.lower()
    elif port_text == "*":
        port = ANY_PORT
    elif port_text.isascii() and port_text.isdigit() and 0 < int(port_text) < ANY_PORT:
        port = int(port_text)
    else:
        raise ValueError(f"domain {domain!r}: the port is a number from 1 to 65535 or *, not {port_text!r}")
    suffix = host.startswith("*")
    text = (host[1:] if suffix else host).rstrip(".")
    if "*" in text or not (text or suffix) or not host.isascii() or " " in host:
        raise ValueError(f"domain {domain!r} is not a host name, nor * and the end of one, with an optional port")
    return (SUFFIX if suffix else EXACT), text.encode("ascii"), port
