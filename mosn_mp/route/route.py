"""A route: what it asks of a request, and what happens to the requests that take it.

After MOSN pkg/router/{base_rule,redirect}.go. Request edits run in MOSN's order: route, virtual host, router; then the host is
rewritten. A rewritten path is kept for the upstream in `x-mosn-original-path`.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import int64_t
from cython.cimports.libc.string import memchr
from cython.cimports.mosn_mp.buffer.head import Head
from cython.cimports.mosn_mp.route.edits import HeaderEdits
from cython.cimports.mosn_mp.route.match import P_EXACT, PathMatcher

ORIGINAL_PATH = b"x-mosn-original-path"


class Route:
    """One route. Made by mosn_mp.route.compile; `cluster` and `upstream_protocol` are filled in by Router.link()."""

    def __init__(self, name: str, path: PathMatcher, headers: tuple = (), service: bytes = None) -> None:
        self.name = name
        self.name_text = name.encode()
        self.path = path
        self.headers = headers
        self.service = service
        self.upstream_protocol_name = ""
        self.action = A_DIRECT
        self.cluster_name = ""
        self.cluster_text = b""
        self.body = b""
        self.prefix_rewrite = None
        self.host_rewrite = None

    def to_cluster(self, name: str, timeout_ms: int64_t, per_try_timeout_ms: int64_t, upstream_protocol: str = "") -> None:
        """Forward to the cluster *name*, in its protocol or the listener's; 0 = no deadline."""
        self.action = A_CLUSTER
        self.cluster_name = name
        self.cluster_text = name.encode()
        self.timeout_ms = timeout_ms
        self.per_try_timeout_ms = per_try_timeout_ms
        self.upstream_protocol_name = upstream_protocol

    def to_answer(self, status: cython.int, body: bytes) -> None:
        """Answer *status* with *body*."""
        self.action = A_DIRECT
        self.status = status
        self.body = body

    def to_redirect(self, status: cython.int, redirect: object) -> None:
        """Answer *status* with a Location made by *redirect*."""
        self.action = A_REDIRECT
        self.status = status
        self.redirect = redirect

    def edit(self, request: HeaderEdits, response: HeaderEdits, prefix_rewrite: bytes = None, host_rewrite: bytes = None) -> None:
        """What finish_request() and finish_response() do; an empty HeaderEdits or None is nothing."""
        self.request_edits = request
        self.response_edits = response
        self.prefix_rewrite = prefix_rewrite
        self.host_rewrite = host_rewrite
        self.has_request_edits = request.count > 0 or prefix_rewrite is not None or host_rewrite is not None
        self.has_response_edits = response.count > 0

    def finish_request(self, head: Head) -> cython.int:
        """Rewrite path and host and edit headers of *head* on its way upstream. ValueError: the edits do not fit."""
        host: bytes = self.host_rewrite
        if self.prefix_rewrite is not None:
            self._rewrite_path(head)
        if self.request_edits is not None:
            self.request_edits.apply(head)
        if host is not None:
            head.set_field(b"Host", 4, PyBytes_AS_STRING(host), PyBytes_GET_SIZE(host))
        return 0

    def finish_response(self, head: Head) -> cython.int:
        """Edit headers of *head* on its way downstream. ValueError: the edits do not fit."""
        if self.response_edits is not None:
            self.response_edits.apply(head)
        return 0

    def _rewrite_path(self, head: Head) -> cython.int:
        """Put prefix_rewrite in the place of what matched; of a path that was matched whole, all but the query is replaced."""
        before: bytes = head.slice_bytes(head.path)
        matched: cython.Py_ssize_t = self.path.length
        if self.path.kind == P_EXACT:
            matched = path_length(PyBytes_AS_STRING(before), PyBytes_GET_SIZE(before))
        after: bytes = self.prefix_rewrite + before[matched:]
        head.set_field(PyBytes_AS_STRING(ORIGINAL_PATH), len(ORIGINAL_PATH), PyBytes_AS_STRING(before), PyBytes_GET_SIZE(before))
        head.set_slice(cython.address(head.path), PyBytes_AS_STRING(after), PyBytes_GET_SIZE(after))
        return 0

    def location(self, head: Head) -> bytes:
        """The Location of a redirected request."""
        location: bytes = self.redirect.location(
            head.slice_bytes(head.scheme), head.slice_bytes(head.authority), head.slice_bytes(head.path)
        )
        return location

    def redirect_to(self, head: Head) -> bytes:
        """Python's side of location()."""
        return self.location(head)

    def edit_request(self, head: Head) -> None:
        """Python's side of finish_request()."""
        self.finish_request(head)

    def edit_response(self, head: Head) -> None:
        """Python's side of finish_response()."""
        self.finish_response(head)

    def __repr__(self) -> str:
        action = f"to {self.cluster_name}" if self.action == A_CLUSTER else f"answers {self.status}"
        return f"<Route {self.name}: {self.path!r} {action}>"


def path_length(target: cython.p_const_char, length: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """How many of the *length* bytes at *target* come before the query."""
    if length == 0:  # *target* may be NULL then, which memchr does not take
        return 0
    query: cython.p_const_char = cython.cast(cython.p_const_char, memchr(target, ord("?"), length))
    return length if query == cython.NULL else query - target
