"""RPC routes that are found by the header `service`."""

import pytest

from mosn_mp.buffer.head import Head
from mosn_mp.config import model
from mosn_mp.errors import ConfigError
from mosn_mp.route.compile import compile_router
from mosn_mp.route.match import any_path
from mosn_mp.route.route import Route
from mosn_mp.route.router import Router, VirtualHost


def header(name: str, value: str, regex: bool = False) -> model.HeaderMatch:
    return model.HeaderMatch(name=name, value=value, regex=regex)


def router(*matches: model.Match | str) -> Router:
    """A router whose routes answer 200 + their number; a text stands for the service of that name."""
    rules = tuple(
        model.Route(
            match=model.Match(headers=(header("service", match),)) if isinstance(match, str) else match,
            direct_response=model.DirectResponse(status=200 + number),
        )
        for number, match in enumerate(matches)
    )
    return compile_router(
        model.Router(router_config_name="r", virtual_hosts=(model.VirtualHost(name="v", domains=("*",), routers=rules),))
    )


def taken(routes: Router, *services: str, path: str = "/", **headers: str) -> int | None:
    """The number of the route that a request takes."""
    head = Head()
    head.method, head.path = "POST", path
    for service in services:
        head.add("service", service)
    for name, value in headers.items():
        head.add(name, value)
    route = routes.find(head)
    return None if route is None else route.status - 200


def test_a_service_is_found_among_many() -> None:
    routes = router(*(f"com.example.Service{n}:1.0" for n in range(300)))
    assert [taken(routes, f"com.example.Service{n}:1.0") for n in (0, 7, 299)] == [0, 7, 299]
    assert taken(routes, "com.example.Service300:1.0") is taken(routes, "COM.example.Service7:1.0") is taken(routes) is None


def test_the_first_of_equal_services_counts() -> None:
    assert taken(router("a", "b", "a"), "a") == 0


def test_every_service_takes_what_names_one() -> None:
    routes = router("a", ".*", "b")
    assert [taken(routes, service) for service in ("a", "b", "c")] == [0, 1, 1]
    assert taken(routes) is taken(routes, "") is None


def test_one_of_several_services_is_enough() -> None:
    assert taken(router("b", "a"), "a", "b") == 0


def test_routes_that_ask_for_something_else_keep_their_place() -> None:
    gray = model.Match(headers=(header("service", "a"), header("stage", "gray")))
    routes = router(gray, "a", model.Match(prefix="/x"), "b", model.Match(prefix="/"))
    assert taken(routes, "a", stage="gray") == 0
    assert taken(routes, "a", path="/x") == 1
    assert taken(routes, "b", path="/x") == 2
    assert taken(routes, "b") == 3
    assert taken(routes, "c") == 4


def test_a_regular_expression_is_searched_for() -> None:
    routes = router(model.Match(headers=(header("service", "^com\\.", regex=True),)), "com.a")
    assert taken(routes, "com.a") == 0 and taken(routes, "org.a") is None


def test_a_path_with_dot_segments_is_replaced_although_the_route_is_found_by_service() -> None:
    routes = router(model.Match(prefix="/x"), "a")
    head = Head()
    head.method, head.path = "POST", "/a/../b"
    head.add("service", "a")
    assert routes.find(head) is not None and head.path == b"/b"


def test_link_gives_a_route_its_upstream_protocol() -> None:
    bolt, plain = Route("bolt", any_path()), Route("plain", any_path())
    bolt.to_cluster("c", 0, 0, "bolt")
    plain.to_cluster("c", 0, 0)
    linked = Router("r", [VirtualHost("v", ("*",), [bolt, plain])])
    cluster, protocol = object(), object()

    def protocol_named(name: str) -> object:
        if name != "bolt":
            raise ConfigError("", f"unknown protocol {name}")
        return protocol

    linked.link({"c": cluster}, protocol_named)
    assert (bolt.cluster, bolt.upstream_protocol, plain.upstream_protocol) == (cluster, protocol, None)


def test_link_refuses_a_protocol_that_is_not_there() -> None:
    route = Route("r", any_path())
    route.to_cluster("c", 0, 0, "nonsense")

    def protocol_named(name: str) -> object:
        raise ConfigError("", f"unknown protocol {name}")

    with pytest.raises(ConfigError, match="nonsense"):
        Router("r", [VirtualHost("v", ("*",), [route])]).link({"c": object()}, protocol_named)
