"""Routing: virtual host by authority, then the first route that matches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosn_mp.buffer.head import Head
from mosn_mp.config import model
from mosn_mp.errors import ConfigError
from mosn_mp.route.compile import compile_router, router_steps
from mosn_mp.route.route import Route
from mosn_mp.route.router import Router


def request(path: bytes = b"/", host: bytes = b"h", method: bytes = b"GET", **fields: bytes) -> Head:
    head = Head()
    head.method = method
    head.path = path
    if host:
        head.authority = host
    for name, value in fields.items():
        head.add(name.replace("_", "-"), value)
    return head


def rule(match: model.Match, to: str) -> model.Route:
    return model.Route(match=match, route=model.RouteAction(cluster_name=to))


def by_host(**domains: tuple[str, ...]) -> Router:
    hosts = tuple(
        model.VirtualHost(name=name, domains=names, routers=(rule(model.Match(prefix="/"), name),))
        for name, names in domains.items()
    )
    return compile_router(model.Router(router_config_name="r", virtual_hosts=hosts))


def by_path(*rules: tuple[model.Match, str]) -> Router:
    host = model.VirtualHost(name="v", domains=("*",), routers=tuple(rule(match, to) for match, to in rules))
    return compile_router(model.Router(router_config_name="r", virtual_hosts=(host,)))


def target(route: Route | None) -> str | None:
    return None if route is None else route.cluster_name


HOSTS = {
    "port": ("www.example.com:8080",),
    "none": ("www.example.com",),
    "any": ("api.example.com:*",),
    "sub": ("*.example.com",),
    "subport": ("*.example.com:8080",),
    "deep": ("*.a.example.com",),
    "subany": ("*.any.org:*",),
    "allport": ("*:9999",),
    "six": ("[::1]:80", "[2001:DB8::1]"),
    "default": ("*",),
}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"www.example.com:8080", "port"),
        (b"WWW.Example.COM:8080", "port"),
        (b"www.example.com", "none"),
        (b"www.example.com.", "none"),
        (b"www.example.com.:8080", "port"),
        (b"www.example.com:81", "default"),
        (b"api.example.com", "any"),
        (b"api.example.com:1", "any"),
        (b"x.example.com", "sub"),
        (b"x.example.com:8080", "subport"),
        (b"x.a.example.com", "deep"),
        (b".example.com", "default"),
        (b"example.com", "default"),
        (b"x.any.org", "subany"),
        (b"x.any.org:5", "subany"),
        (b"x:9999", "allport"),
        (b"[::1]:80", "six"),
        (b"[::1]", "default"),
        (b"[2001:db8::1]", "six"),
        (b"", "default"),
        (b"a" * 300, "default"),
        (b"a:b", None),
        (b"a:1:2", None),
        (b"a:65536", None),
        (b"a:99999999999", None),
        (b"[::1", None),
        (b"[::1]x", None),
    ],
)
def test_an_authority_finds_its_virtual_host_in_the_order_of_mosn(host: bytes, expected: str | None) -> None:
    assert target(by_host(**HOSTS).find(request(host=host))) == expected


def test_without_a_default_an_unknown_host_has_no_route() -> None:
    assert by_host(a=("a.org",)).find(request(host=b"b.org")) is None


@pytest.mark.parametrize("domains", [("a.org", "A.org"), ("*", "*:*"), ("*.b", "*.B"), ("[::1]:80", "[::1]:80")])
def test_a_domain_cannot_be_there_twice(domains: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="there twice"):
        by_host(v=domains)


@pytest.mark.parametrize("domain", ["a*b", "a:x", "a:0", "a:65536", "a:", ":80", "a b", "é.org"])
def test_a_malformed_domain_is_refused(domain: str) -> None:
    with pytest.raises(ConfigError, match="domain"):
        by_host(v=(domain,))


@given(
    st.sets(st.text(alphabet="abc", min_size=1, max_size=4), min_size=1, max_size=40),
    st.text(alphabet="abcd", min_size=1, max_size=4),
)
def test_the_table_of_domains_agrees_with_a_dictionary(names: set[str], wanted: str) -> None:
    router = by_host(**{f"v{name}": (name,) for name in sorted(names)})
    assert target(router.find(request(host=wanted.encode()))) == (f"v{wanted}" if wanted in names else None)


M = model.Match


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/static/a.css", "prefix"),
        (b"/static/?x=/admin", "prefix"),
        (b"/STATIC/a", "rest"),
        (b"/Exact", "path"),
        (b"/exact?q=1", "path"),
        (b"/exact/", "rest"),
        (b"/img/a.png", "regex"),
        (b"/img/a.png?x", "regex"),
        (b"/other?f=a.png", "rest"),
        (b"/%73tatic/x", "prefix"),
        (b"//static//x", "prefix"),
        (b"/a/../static/x", "prefix"),
        (b"/static/../x", "rest"),
        (b"/static/..%2fx", None),
        (b"*", "rest"),
    ],
)
def test_the_first_route_that_matches_the_path_wins(path: bytes, expected: str | None) -> None:
    router = by_path(
        (M(prefix="/static/"), "prefix"), (M(path="/eXact"), "path"), (M(regex=r"\.png$"), "regex"), (M(prefix="/"), "rest")
    )
    assert target(router.find(request(path))) == expected


def test_a_connect_request_without_path_takes_the_catch_all() -> None:
    head = Head()
    head.method = b"CONNECT"
    assert target(by_path((M(prefix="/a"), "a"), (M(), "all")).find(head)) == "all"


def test_a_path_with_dot_segments_is_forwarded_as_it_was_matched() -> None:
    router = by_path((M(prefix="/b"), "b"))
    head = request(b"/a/../b/%41?x=/../y")
    assert target(router.find(head)) == "b"
    assert head.path == b"/b/A?x=/../y"


def test_other_spellings_are_forwarded_as_sent() -> None:
    router = by_path((M(prefix="/b/A"), "b"))
    head = request(b"//b/%41?x")
    assert target(router.find(head)) == "b"
    assert head.path == b"//b/%41?x"


def test_a_router_that_takes_everything_does_not_look_at_the_path() -> None:
    head = request(b"/a/../b")
    assert target(by_path((M(prefix="/"), "all")).find(head)) == "all"
    assert head.path == b"/a/../b"


def test_all_headers_must_match() -> None:
    wanted = M(
        prefix="/",
        headers=(
            model.HeaderMatch(name="x-env", value="gray"),
            model.HeaderMatch(name="X-User", value="^[0-9]+$", regex=True),
            model.HeaderMatch(name="method", value="POST"),
        ),
    )
    router = by_path((wanted, "hit"), (M(prefix="/"), "miss"))
    assert target(router.find(request(method=b"POST", X_Env=b"gray", x_user=b"17"))) == "hit"
    assert target(router.find(request(method=b"GET", x_env=b"gray", x_user=b"17"))) == "miss"
    assert target(router.find(request(method=b"POST", x_env=b"grey", x_user=b"17"))) == "miss"
    assert target(router.find(request(method=b"POST", x_env=b"gray", x_user=b"17a"))) == "miss"
    assert target(router.find(request(method=b"POST", x_env=b"gray"))) == "miss"


def test_one_matching_line_of_a_repeated_header_is_enough() -> None:
    router = by_path((M(headers=(model.HeaderMatch(name="a", value="2"),)), "hit"))
    head = request()
    head.add("a", "1")
    head.add("A", "2")
    assert target(router.find(head)) == "hit"


visible = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=80).map(str.encode)


@given(path=visible, host=visible)
def test_any_request_gets_a_route_or_none(path: bytes, host: bytes) -> None:
    router = by_path((M(prefix="/a"), "a"), (M(regex="b+$"), "b"), (M(path="/c"), "c"))
    head = Head()
    head.method = b"GET"
    head.path = b"/" + path
    if host:
        head.authority = host
    assert target(router.find(head)) in {None, "a", "b", "c"}


def test_routes_are_linked_to_the_objects_of_their_clusters() -> None:
    router = by_path((M(prefix="/"), "a"))
    cluster = object()
    router.link({"a": cluster})
    route = router.find(request())
    assert route is not None and route.cluster is cluster
    with pytest.raises(ConfigError, match="'a'"):
        by_path((M(prefix="/"), "a")).link({})


def test_a_router_is_compiled_with_pauses_and_is_the_same() -> None:
    rules = tuple(rule(model.Match(prefix=f"/{n}/"), f"c{n}") for n in range(300))
    config = model.Router(router_config_name="r", virtual_hosts=(model.VirtualHost(name="v", domains=("*",), routers=rules),))
    steps = router_steps(config, digest=b"d")
    pauses = 0
    while True:
        try:
            next(steps)
            pauses += 1
        except StopIteration as e:
            router = e.value
            break
    assert pauses == 10
    assert router.digest == b"d"
    assert target(router.find(request(b"/299/x"))) == "c299"


def test_routes_lead_to_a_changed_cluster_after_relinking_and_others_stay() -> None:
    router = by_path((model.Match(prefix="/a"), "a"), (model.Match(prefix="/b"), "b"), (model.Match(prefix="/c"), "a"))
    first, second, other = object(), object(), object()
    router.link({"a": first, "b": second})
    router.relink({"a": other, "z": object()})
    assert [route.cluster for route in router.routes()] == [other, second, other]
