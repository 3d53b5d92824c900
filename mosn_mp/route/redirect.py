"""Where a redirect points to: the request's own URL with the configured parts replaced, after MOSN pkg/router/redirect.go.

A change of scheme drops the port that was the default of a scheme (:80, :443). The query is kept unless
path_redirect brings its own.
"""


class Redirect:
    """`Redirect(path, host, scheme)`; an empty part is taken from the request."""

    __slots__ = ("_path", "_host", "_scheme")

    def __init__(self, path: bytes = b"", host: bytes = b"", scheme: bytes = b"") -> None:
        self._path = path
        self._host = host
        self._scheme = scheme.lower()

    def location(self, scheme: bytes, authority: bytes, target: bytes) -> bytes:
        """The Location for a request of *scheme* (b"" = http) to *authority* with the path and query *target*."""
        path, question, query = target.partition(b"?")
        if self._path:
            path = self._path
            if b"?" in path:
                question = query = b""
        if not path.startswith(b"/"):
            path = b"/"
        host = self._host or authority
        if not host:  # HTTP/1.0 without Host: nothing absolute can be said
            return _one_slash(path) + question + query
        if self._scheme and self._scheme != (scheme or b"http"):
            host = _without_default_port(host)
        return b"%b://%b%b%b%b" % (self._scheme or scheme or b"http", host, path, question, query)


def _one_slash(path: bytes) -> bytes:
    # `//host/` in a relative Location would be another host (RFC 3986 section 4.2)
    return b"/" + path.lstrip(b"/")


def _without_default_port(host: bytes) -> bytes:
    for port in (b":80", b":443"):
        if host.endswith(port):
            return host[: -len(port)]
    return host
