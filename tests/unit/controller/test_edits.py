import json
from typing import Any

import msgspec
import pytest

from mosn_mp.config.load import judge
from mosn_mp.config.model import Config
from mosn_mp.config.problems import Findings
from mosn_mp.controller.config_tree import config_tree
from mosn_mp.controller.edits import EDITS, check_edit

FILE = "/etc/mosn/mosn.json"


def listener(name: str, port: int, **keys: Any) -> dict[str, Any]:
    proxy = {"type": "proxy", "config": {"downstream_protocol": "Http1", "router_config_name": "r"}}
    return {"name": name, "address": f"127.0.0.1:{port}", "filter_chains": [{"filters": [proxy]}], **keys}


def router(name: str, *hosts: dict[str, Any]) -> dict[str, Any]:
    return {"router_config_name": name, "virtual_hosts": list(hosts)}


ROUTE = {"match": {"prefix": "/"}, "route": {"cluster_name": "c"}}
TREE = {
    "servers": [
        {
            "listeners": [listener("front", 80, connection_idle_timeout="1m30s"), {**listener("", 81)}],
            "routers": [
                router(
                    "r",
                    {"name": "a", "domains": ["a.com", "*.a.com"], "routers": [ROUTE]},
                    {"name": "rest", "domains": ["*"], "routers": [ROUTE]},
                ),
                router("bare", {"name": "b", "domains": ["b.com:80"], "routers": [ROUTE]}),
            ],
        }
    ],
    "cluster_manager": {"clusters": [{"name": "c", "hosts": [{"address": "10.0.0.1:80"}, {"address": "10.0.0.2:80"}]}]},
}


@pytest.fixture
def served() -> Config:
    findings = Findings()
    made = judge(TREE, FILE, findings)
    assert findings.errors == []
    return made


def edited(served: Config, edit: str, value: object) -> Config:
    report = check_edit(served, edit, json.dumps(value).encode(), FILE)
    assert report.config is not None, report.errors
    return report.config


def problems(served: Config, edit: str, value: object) -> list[str]:
    report = check_edit(served, edit, json.dumps(value).encode(), FILE)
    assert report.config is None
    return list(map(str, report.errors))


def test_the_tree_of_what_is_served_reads_back_as_the_same(served: Config) -> None:
    findings = Findings()
    assert judge(config_tree(served), "/elsewhere/x.json", findings) == served  # every path in it is absolute
    assert findings.errors == []


def test_a_listener_a_router_and_a_cluster_are_added_or_replaced_by_name(served: Config) -> None:
    new = edited(served, "update_config", {"type": "listener", "config": listener("back", 82)})
    assert [one.name for one in new.server.listeners] == ["front", "127.0.0.1:81", "back"]
    new = edited(served, "update_config", {"type": "listener", "config": listener("front", 83)})
    assert [(one.name, one.address) for one in new.server.listeners] == [("front", "127.0.0.1:83"), ("127.0.0.1:81",) * 2]
    new = edited(served, "update_config", {"type": "listener", "config": {**listener("", 81), "max_connections": 7}})
    assert [one.max_connections for one in new.server.listeners] == [0, 7]
    new = edited(served, "update_config", {"type": "router", "config": router("bare")})
    assert [len(one.virtual_hosts) for one in new.server.routers] == [2, 0]
    new = edited(served, "update_config", {"type": "cluster", "config": {"name": "d", "hosts": [{"address": "10.0.0.9:1"}]}})
    assert [one.name for one in new.cluster_manager.clusters] == ["c", "d"]
    new = edited(served, "update_config", {"type": "cluster", "config": {"name": "c", "hosts": [{"address": "10.0.0.9:1"}]}})
    assert [host.address for host in new.cluster_manager.clusters[0].hosts] == ["10.0.0.9:1"]
    assert msgspec.structs.replace(new, cluster_manager=served.cluster_manager) == served


def test_an_extension_is_refused_as_in_a_file_unless_it_asks_for_nothing(served: Config) -> None:
    assert edited(served, "update_config", {"type": "extend", "config": []}) == served
    extension = {"type": "extend", "config": [{"type": "x", "config": {}}]}
    (problem,) = problems(served, "update_config", extension)
    assert "config: an extension of the configuration is not in this version" in problem


@pytest.mark.parametrize(("domain", "at"), [("a.com", 0), ("A.com", 0), ("www.a.com", 0), ("*.a.com", 0), ("*", 1), ("x.org", 1)])
def test_routes_are_added_to_and_removed_from_the_virtual_host_that_serves_the_domain(
    served: Config, domain: str, at: int
) -> None:
    addition = {"router_config_name": "r", "domain": domain, "route": {"match": {"path": "/new"}, "route": {"cluster_name": "c"}}}
    new = edited(served, "update_route", {"type": "add", "config": addition})
    assert [[route.match.path for route in host.routers] for host in new.server.routers[0].virtual_hosts][at] == ["", "/new"]
    assert new.server.routers[0].virtual_hosts[1 - at] == served.server.routers[0].virtual_hosts[1 - at]
    new = edited(served, "update_route", {"type": "remove", "config": {"router_config_name": "r", "domain": domain}})
    assert [len(host.routers) for host in new.server.routers[0].virtual_hosts] == [int(at != 0), int(at != 1)]


NO_HOST = {"router_config_name": "bare", "domain": "x.org", "route": ROUTE}


@pytest.mark.parametrize(("edit", "value", "problem"), [
    ("update_config", [], "update_config:1:1: expected an object, got a list"),
    ("update_config", {"config": {}}, "update_config:1:1: 'type' is missing"),
    ("update_config", {"type": "lisener", "config": {}}, 'type: unknown type "lisener"; did you mean \'listener\'?'),
    ("update_config", {"type": "cluster"}, "'config' is missing"),
    ("update_config", {"type": "cluster", "config": {}, "x": 1}, "x: unknown key; there are config, type"),
    ("update_config", {"type": "cluster", "config": "c"}, 'config: expected an object, got "c"'),
    ("update_config", {"type": "cluster", "config": {"hosts": []}}, "config: 'name' is missing"),
    ("update_config", {"type": "cluster", "config": {"name": "c", "hosts": [{"adress": "1.2.3.4:5"}]}},
     "config.hosts[0].adress: unknown key; did you mean 'address'?"),
    ("update_config", {"type": "cluster", "config": {"name": "c", "hosts": [{"address": "1.2.3.4"}]}},
     'config.hosts[0].address: "1.2.3.4": '),
    ("update_config", {"type": "cluster", "config": {"name": "c", "health_check": {"protocol": "Http1"}}},
     "config.health_check: health checking is not in this version"),
    ("update_config", {"type": "listener", "config": listener("new", 80)}, 'config.address: "127.0.0.1:80" is taken already by'),
    ("update_config", {"type": "router", "config": router("r", {"domains": ["*"], "routers": [
        {"match": {"prefix": "/"}, "route": {"cluster_name": "e"}}]})}, 'cluster_name: there is no cluster "e"'),
    ("update_route", {"type": "replace", "config": {}}, 'type: unknown type "replace"'),
    ("update_route", {"type": "add", "config": {"router_config_name": "r", "domain": "*"}}, "config: 'route' is missing"),
    ("update_route", {"type": "add", "config": {"router_config_name": "q", "domain": "*", "route": ROUTE}},
     'config.router_config_name: there is no router "q"'),
    ("update_route", {"type": "add", "config": NO_HOST},
     'config.domain: no virtual host of "bare" serves "x.org"; there are b.com:80'),
    ("update_route", {"type": "add", "config": {"router_config_name": "r", "domain": "*", "route": {"match": {"regex": "("},
     "route": {"cluster_name": "c"}}}}, "config.route.match.regex: "),
    ("update_route", {"type": "remove", "config": {"router_config_name": "r"}}, "config: 'domain' is missing"),
    ("host weight", {"cluster": "d", "address": "10.0.0.1:80", "weight": 2}, 'cluster: there is no cluster "d"; there are c'),
    ("host weight", {"cluster": "c", "address": "10.9.0.1:80", "weight": 2}, 'address: there is no host of "c" "10.9.0.1:80"'),
    ("host weight", {"cluster": "c", "address": "10.0.0.1:80", "weight": 129}, "weight: 129 is too large; the most is 128"),
    ("host weight", {"cluster": "c", "address": "10.0.0.1:80", "weight": 0}, "weight: 0 is too small; the least is 1"),
])  # fmt: skip
def test_what_cannot_be_done_is_named_where_it_stands_in_the_edit(served: Config, edit: str, value: object, problem: str) -> None:
    found = problems(served, edit, value)
    assert any(problem in one and one.startswith(f"{edit}:") for one in found), found


def test_what_an_edit_breaks_elsewhere_is_named_by_its_path_in_the_whole(served: Config) -> None:
    other = listener("other", 84)
    other["filter_chains"][0]["filters"][0]["config"]["router_config_name"] = "bare"
    with_other = edited(served, "update_config", {"type": "listener", "config": other})
    (problem,) = problems(with_other, "update_config", {"type": "listener", "config": {**listener("front", 84)}})
    assert problem.startswith("the running configuration: servers[0].listeners[2].address: ") and "is taken already" in problem


@pytest.mark.parametrize(("body", "problem"), [
    (b"{", "update_config:1:2: not valid JSON"),
    (b"", "update_config:1:1: not valid JSON"),
    (b'{"type": "\xff"}', "update_config: not UTF-8 text at byte 10"),
    (b'{"type": "cluster", "config": {"name": "c", "name": "d"}}', "this key is given twice in one object"),
    (b'{"type": "cluster", "config": {"name": NaN}}', "this is not a number in JSON"),
])  # fmt: skip
def test_a_body_that_is_no_json_is_refused(served: Config, body: bytes, problem: str) -> None:
    report = check_edit(served, "update_config", body, FILE)
    assert report.config is None
    assert problem in str(report.errors[0])


def test_every_edit_is_tested_here() -> None:
    assert list(EDITS) == ["update_config", "update_route", "host weight"]


def test_what_an_edit_leaves_alone_is_the_object_that_is_served(served: Config) -> None:
    new = edited(served, "update_config", {"type": "cluster", "config": {"name": "d", "hosts": [{"address": "10.0.0.9:1"}]}})
    assert new.cluster_manager.clusters[0] is served.cluster_manager.clusters[0]
    assert all(now is before for now, before in zip(new.server.routers, served.server.routers, strict=True))
    addition = {"router_config_name": "r", "domain": "a.com", "route": {"match": {"path": "/x"}, "route": {"cluster_name": "c"}}}
    new = edited(served, "update_route", {"type": "add", "config": addition})
    hosts, before = new.server.routers[0].virtual_hosts, served.server.routers[0].virtual_hosts
    assert hosts[0].routers[0] is before[0].routers[0]
    assert hosts[1] is before[1]
    assert new.server.routers[1] is served.server.routers[1]


@pytest.mark.parametrize(("edit", "value"), [
    ("update_config", {"type": "cluster", "config": {"name": "c", "max_request_per_conn": 0, "hosts": []}}),
    ("update_config", {"type": "router", "config": router("bare", {"name": "x", "domains": ["x.com"], "routers": [ROUTE]})}),
    ("update_config", {"type": "listener", "config": listener("front", 80, connection_idle_timeout="30s")}),
    ("update_route", {"type": "add", "config": {"router_config_name": "r", "domain": "*", "route": ROUTE}}),
    ("host weight", {"cluster": "c", "address": "10.0.0.2:80", "weight": 7}),
])  # fmt: skip
def test_an_edit_gives_what_the_whole_tree_with_it_would_give(served: Config, edit: str, value: dict[str, Any]) -> None:
    new = edited(served, edit, value)
    findings = Findings()
    assert judge(config_tree(new), FILE, findings) == new
    assert findings.errors == []
