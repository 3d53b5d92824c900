"""Routes that rewrite the path or the host of what they forward."""

import pytest

from mosn_mp.buffer.head import Head
from mosn_mp.route.edits import HeaderEdits
from mosn_mp.route.match import PathMatcher, exact_path, prefix_path
from mosn_mp.route.route import Route
from mosn_mp.route.router import Router, VirtualHost


def forwarded(matcher: PathMatcher, path: bytes, **rewrite: bytes) -> Head:
    """The head of a request for *path* as it would be forwarded."""
    route = Route("r", matcher)
    route.edit(HeaderEdits(()), HeaderEdits(()), **rewrite)
    router = Router("r", [VirtualHost("v", ("*",), [route])])
    head = Head()
    head.method = b"GET"
    head.path = path
    head.add("Host", "old")
    assert router.find(head) is route and route.has_request_edits
    route.edit_request(head)
    return head


@pytest.mark.parametrize(
    ("matcher", "path", "expected"),
    [
        (prefix_path(b"/api"), b"/api/x?q=/api", b"/v2/x?q=/api"),
        (prefix_path(b"/"), b"/x", b"/v2x"),
        (exact_path(b"/a"), b"/A?q", b"/v2?q"),
        (prefix_path(b"/api"), b"/%61pi/x?q", b"/v2/x?q"),
        (prefix_path(b"/api"), b"/b/../api/x", b"/v2/x"),
    ],
)
def test_what_matched_is_replaced_and_the_original_path_kept(matcher: PathMatcher, path: bytes, expected: bytes) -> None:
    head = forwarded(matcher, path, prefix_rewrite=b"/v2")
    assert head.path == expected
    assert head.get("x-mosn-original-path") is not None


def test_a_rewritten_host_is_the_authority_too() -> None:
    head = forwarded(prefix_path(b"/"), b"/x", host_rewrite=b"new:81")
    assert (head.get_all("host"), head.authority, head.path) == ([b"new:81"], b"new:81", b"/x")
