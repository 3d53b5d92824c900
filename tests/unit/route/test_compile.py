"""What a configured route does to requests and responses, and what is refused before it is served."""

import pytest

from mosn_mp.buffer.head import Head
from mosn_mp.config import model
from mosn_mp.errors import ConfigError
from mosn_mp.route.compile import compile_router, deadlines_ms
from mosn_mp.route.redirect import Redirect
from mosn_mp.route.route import Route

EVERYTHING = model.Match(prefix="/")


def add(name: str, value: str, append: bool = True) -> model.HeaderToAdd:
    return model.HeaderToAdd(header=model.HeaderValue(key=name, value=value), append=append)


def compiled(
    action: model.RouteAction | model.Redirect | model.DirectResponse | None,
    match: model.Match = EVERYTHING,
    host: dict[str, tuple[object, ...]] | None = None,
    router: dict[str, tuple[object, ...]] | None = None,
) -> Route:
    rule = model.Route(
        match=match,
        route=action if isinstance(action, model.RouteAction) else None,
        redirect=action if isinstance(action, model.Redirect) else None,
        direct_response=action if isinstance(action, model.DirectResponse) else None,
    )
    virtual_host = model.VirtualHost(name="v", domains=("*",), routers=(rule,), **(host or {}))  # type: ignore[arg-type]
    config = model.Router(router_config_name="r", virtual_hosts=(virtual_host,), **(router or {}))  # type: ignore[arg-type]
    return compile_router(config).routes()[0]


def test_request_edits_run_route_then_virtual_host_then_router() -> None:
    route = compiled(
        model.RouteAction(
            cluster_name="c", request_headers_to_add=(add("x", "route"), add("y", "route")), request_headers_to_remove=("z",)
        ),
        host={"request_headers_to_add": (add("x", "host"), add("z", "late"))},
        router={"request_headers_to_add": (add("y", "router", append=False),)},
    )
    head = Head()
    head.add("Z", "gone")
    route.edit_request(head)
    assert head.items() == [(b"x", b"route"), (b"y", b"router"), (b"x", b"host"), (b"z", b"late")]


def test_response_edits_apply_to_answers_without_upstream_too() -> None:
    route = compiled(
        model.DirectResponse(status=203, body="hi"),
        host={"response_headers_to_add": (add("a", "1"),), "response_headers_to_remove": ("server",)},
    )
    head = Head()
    head.add("Server", "x")
    route.edit_response(head)
    assert head.items() == [(b"a", b"1")]
    assert (route.status, route.body, route.has_response_edits, route.has_request_edits) == (203, b"hi", True, False)


def test_adding_a_host_replaces_it() -> None:
    route = compiled(model.RouteAction(cluster_name="c", request_headers_to_add=(add("Host", "new"),)))
    head = Head()
    head.add("Host", "old")
    route.edit_request(head)
    assert (head.get_all("host"), head.authority) == ([b"new"], b"new")


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (add("Content-Length", "1"), "body"),
        (add("Connection", "close"), "hop-by-hop"),
        (add("a b", "1"), "no header name"),
        (add("a", "x\r\ny"), "control byte"),
        (add("a", "%downstream_local_address%"), "variables"),
        (add("a", "€"), "latin-1"),
    ],
)
def test_an_edit_that_could_not_be_written_is_refused(edit: model.HeaderToAdd, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        compiled(model.RouteAction(cluster_name="c", request_headers_to_add=(edit,)))


@pytest.mark.parametrize(
    ("match", "problem"),
    [
        (model.Match(prefix="/", path="/a"), "one of"),
        (model.Match(regex="("), "not a regular"),
        (model.Match(headers=(model.HeaderMatch(name="a", value="(", regex=True),)), "not a regular"),
    ],
)
def test_a_match_that_cannot_be_served_is_refused(match: model.Match, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        compiled(model.RouteAction(cluster_name="c"), match)


@pytest.mark.parametrize(
    "redirect",
    [
        model.Redirect(path_redirect="no-slash"),
        model.Redirect(path_redirect="/a b"),
        model.Redirect(host_redirect="a\r\nSet-Cookie: x"),
        model.Redirect(scheme_redirect="1x"),
    ],
)
def test_a_redirect_that_is_no_url_is_refused(redirect: model.Redirect) -> None:
    with pytest.raises(ConfigError):
        compiled(redirect)


def test_a_route_without_action_is_refused() -> None:
    with pytest.raises(ConfigError, match="says nothing"):
        compiled(None)


@pytest.mark.parametrize(
    ("timeout", "one_try", "expected"),
    [
        (60.0, 0.0, (60_000, 0)),
        (0.0, 0.0, (60_000, 0)),
        (-1.0, 1.0, (0, 1000)),
        (3.0, 1.0, (3000, 1000)),
        (3.0, 3.0, (3000, 0)),
        (3.0, 4.0, (3000, 0)),
        (3.0, -1.0, (3000, 0)),
        (0.0001, 0.0, (1, 0)),
    ],
)
def test_deadlines_follow_mosn(timeout: float, one_try: float, expected: tuple[int, int]) -> None:
    assert deadlines_ms(timeout, one_try) == expected


@pytest.mark.parametrize(
    ("redirect", "asked", "location"),
    [
        (Redirect(path=b"/new"), (b"", b"h:81", b"/old?q=1"), b"http://h:81/new?q=1"),
        (Redirect(path=b"/new?r=2"), (b"", b"h", b"/old?q=1"), b"http://h/new?r=2"),
        (Redirect(scheme=b"HTTPS"), (b"http", b"h:80", b"/a?b"), b"https://h/a?b"),
        (Redirect(scheme=b"https"), (b"http", b"h:8080", b"/a"), b"https://h:8080/a"),
        (Redirect(scheme=b"http"), (b"http", b"h:80", b"/a"), b"http://h:80/a"),
        (Redirect(host=b"other"), (b"https", b"h", b"/a"), b"https://other/a"),
        (Redirect(path=b"/new"), (b"", b"", b"/old"), b"/new"),
        (Redirect(host=b"o"), (b"", b"", b"*"), b"http://o/"),
        (Redirect(path=b"//evil"), (b"", b"", b"/old"), b"/evil"),
    ],
)
def test_a_location_is_the_request_with_parts_replaced(
    redirect: Redirect, asked: tuple[bytes, bytes, bytes], location: bytes
) -> None:
    assert redirect.location(*asked) == location


def test_a_redirect_route_reads_the_head() -> None:
    route = compiled(model.Redirect(path_redirect="/new", response_code=302))
    head = Head()
    head.method = b"GET"
    head.path = b"/old?x"
    head.authority = b"h"
    assert (route.status, route.redirect_to(head)) == (302, b"http://h/new?x")
