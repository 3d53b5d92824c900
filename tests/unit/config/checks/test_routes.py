import json
from collections.abc import Callable
from typing import Any

import pytest

Broken = Callable[[str, object], list[str]]
Warnings = Callable[[object], list[str]]
HOST = "servers[0].routers[0].virtual_hosts[0]"
ROUTE = f"{HOST}.routers[0]"
NOT_SERVED = "is not in this version of mosn_mp"


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        (f"{ROUTE}.match", {}, ': matches nothing; to take every request write {"prefix": "/"}'),
        (f"{ROUTE}.match", {"prefix": "/", "regex": "x"},
         ": only one of 'prefix', 'regex' can be matched by; MOSN would silently take the first"),
        (f"{ROUTE}.match", {"headers": [{"name": "a b"}]}, '.headers[0].name: "a b" is not a header name'),
        (f"{HOST}.routers", [{"match": {"prefix": "/"}}],
         "[0]: the route says what it matches but not what to do: add 'route', 'redirect' or 'direct_response'"),
        (f"{ROUTE}.direct_response", {}, None),
        (f"{HOST}.domains", ["*", "*"], f'[1]: the domain "*" is given twice; first at {HOST}.domains[0]'),
        (f"{HOST}.domains", ["A.com", "a.com"], f'[1]: the domain "a.com" is given twice; first at {HOST}.domains[0]'),
        (f"{HOST}.domains", ["http://a"],
         "[0]: \"http://a\" is not a domain; expected 'www.example.com', '*.example.com' or '*', with or without ':port'"),
        (f"{HOST}.request_headers_to_add", [{"header": {"key": "x", "value": "a\nb"}}],
         '[0].header.value: "a\\nb" has a control character, which a header must not have'),
        (f"{HOST}.request_headers_to_add", [{"header": {"key": "x", "value": "中"}}],
         '[0].header.value: "中" cannot be sent: "中" is not in Latin-1'),
        (f"{HOST}.request_headers_to_add", [{"header": {"key": "x", "value": "%protocol%"}}],
         f"[0].header.value: a variable in a header (%protocol%) {NOT_SERVED}"),
        (f"{HOST}.response_headers_to_remove", ["Transfer-Encoding"],
         '[0]: "Transfer-Encoding" belongs to the connection and cannot be edited'),
        (f"{HOST}.request_headers_to_remove", ["Host"], "[0]: a request must have a host (RFC 9112 section 3.2)"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_route_is_named(broken: Broken, path: str, value: object, error: str | None) -> None:
    if error is None:
        assert broken(path, value) == [f"{ROUTE}: only one of 'route' and 'direct_response' can be done; take the other out"]
    else:
        assert broken(path, value) == [f"{path}{error}"]


@pytest.mark.parametrize(
    ("redirect", "error"),
    [
        ({}, ": leads back to the same place; give one of 'path_redirect', 'host_redirect', 'scheme_redirect'"),
        ({"path_redirect": "x"}, ".path_redirect: \"x\" does not start with '/'"),
        ({"path_redirect": "/a b"}, '.path_redirect: "/a b" has characters that a URL must not have unescaped'),
        ({"scheme_redirect": "ftp"}, '.scheme_redirect: unknown scheme "ftp"; expected "http" or "https"'),
        (
            {"host_redirect": "a", "response_code": 200},
            ".response_code: unknown value 200; expected 301 or 302 or 303 or 307 or 308",
        ),
    ],
)
def test_what_is_wrong_with_a_redirect_is_named(broken: Broken, redirect: object, error: str) -> None:
    assert broken(ROUTE, {"match": {"prefix": "/"}, "redirect": redirect}) == [f"{ROUTE}.redirect{error}"]


def test_an_answer_that_may_have_no_body_must_have_none(broken: Broken) -> None:
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 204, "body": "x"}}
    assert broken(ROUTE, route) == [f"{ROUTE}.direct_response.body: an answer with status 204 has no body"]


def test_every_regular_expression_that_cannot_be_run_is_an_error(broken: Broken) -> None:
    match = {"regex": "(", "headers": [{"name": "x", "value": "[", "regex": True}]}
    errors = broken(f"{ROUTE}.match", match)
    assert [error.partition(": ")[0] for error in errors] == [f"{ROUTE}.match.regex", f"{ROUTE}.match.headers[0].value"]


def test_the_host_header_can_be_set(broken: Broken) -> None:
    assert broken(f"{HOST}.request_headers_to_add", [{"header": {"key": "Host", "value": "backend"}, "append": False}]) == []


@pytest.mark.parametrize("domain", ["*", "*.a.com", "a.com:80", "a.com:*", "*-x.a.com", "[::1]:80", "127.0.0.1", "*:8080"])
def test_a_domain_may_have_a_wildcard_and_a_port(broken: Broken, domain: str) -> None:
    assert broken(f"{HOST}.domains", [domain]) == []


@pytest.mark.parametrize(
    ("earlier", "later", "is_shadowed"),
    [
        ({"prefix": "/"}, {"path": "/a"}, True),
        ({"prefix": "/"}, {"regex": "x"}, True),
        ({"prefix": "/"}, {"headers": [{"name": "x"}]}, True),
        ({"prefix": "/a"}, {"prefix": "/ab"}, True),
        ({"prefix": "/ab"}, {"prefix": "/a"}, False),
        ({"prefix": "/a"}, {"path": "/a"}, False),  # a path matches in any case: /A is left for it
        ({"prefix": "/1"}, {"path": "/1/a"}, True),
        ({"path": "/A"}, {"path": "/a"}, True),
        ({"path": "/a"}, {"prefix": "/a"}, False),
        ({"regex": ".*"}, {"prefix": "/a"}, True),
        ({"regex": "a"}, {"regex": "a"}, True),
        ({"regex": "a"}, {"prefix": "/a"}, False),
        ({"prefix": "/", "headers": [{"name": "x", "value": "1"}]}, {"prefix": "/a"}, False),
        ({"prefix": "/", "headers": [{"name": "x"}]}, {"prefix": "/a", "headers": [{"name": "x"}, {"name": "y"}]}, True),
        ({"headers": [{"name": "x"}]}, {"path": "/a", "headers": [{"name": "x"}]}, True),
        ({"headers": [{"name": "x"}]}, {"path": "/a"}, False),
    ],
)
def test_a_route_that_another_hides_is_a_warning(
    minimal: dict[str, Any], warnings_of: Warnings, earlier: object, later: object, is_shadowed: bool
) -> None:
    routes = [{"match": earlier, "route": {"cluster_name": "b"}}, {"match": later, "route": {"cluster_name": "b"}}]
    minimal["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"] = routes
    expected = f"{HOST}.routers[1].match: never reached: routers[0] takes every request that this route matches"
    assert warnings_of(minimal) == ([expected] if is_shadowed else [])


def test_a_match_that_no_path_can_meet_is_a_warning(minimal: dict[str, Any], warnings_of: Warnings) -> None:
    minimal["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"][0]["match"] = {"prefix": "api"}
    assert warnings_of(minimal) == [f"{ROUTE}.match.prefix: \"api\" does not start with '/': no path does, so this never matches"]


def test_a_try_as_long_as_the_request_is_a_warning(minimal: dict[str, Any], warnings_of: Warnings) -> None:
    action = minimal["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"][0]["route"]
    action |= {"timeout": "1s", "retry_policy": {"retry_timeout": "1s"}}
    (warning,) = warnings_of(minimal)
    assert (
        warning
        == f"{ROUTE}.route.retry_policy.retry_timeout: not shorter than the timeout of the whole request: it is never reached"
    )


def test_a_thousand_routes_are_checked_at_once(minimal: dict[str, Any], warnings_of: Warnings) -> None:
    routes = [{"match": {"path": f"/{i}"}, "route": {"cluster_name": "b"}} for i in range(1000)]
    minimal["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"] = routes
    assert warnings_of(json.dumps(minimal)) == []
