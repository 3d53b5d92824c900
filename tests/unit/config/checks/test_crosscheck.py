import copy
from collections.abc import Callable
from typing import Any

import pytest

Broken = Callable[[str, object], list[str]]
Errors = Callable[[object], list[str]]
LISTENER = "servers[0].listeners[0]"
PROXY = f"{LISTENER}.filter_chains[0].filters[0].config"
CLUSTER = "cluster_manager.clusters[0]"
HOSTS = f"{CLUSTER}.hosts"
NOT_SERVED = "is not in this version of mosn_mp"


def test_the_minimal_configuration_has_nothing_wrong(minimal: dict[str, Any], errors_of: Errors, warnings_of: Errors) -> None:
    assert errors_of(minimal) == []
    assert warnings_of(minimal) == []


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        (f"{PROXY}.router_config_name", "rr", f"{PROXY}.router_config_name: there is no router \"rr\"; did you mean 'r'?"),
        (f"{PROXY}.router_config_name", "q", f'{PROXY}.router_config_name: there is no router "q"'),
        (f"{PROXY}.downstream_protocol", "Http2", f'{PROXY}.downstream_protocol: the protocol "Http2" {NOT_SERVED}'),
        (f"{PROXY}.downstream_protocol", "http1",
         f"{PROXY}.downstream_protocol: unknown protocol \"http1\"; did you mean 'Http1'?"),
        (f"{PROXY}.downstream_protocol", "Http1,dubbo", f'{PROXY}.downstream_protocol: the protocol "dubbo" {NOT_SERVED}'),
        (f"{PROXY}.upstream_protocol", "tars", f'{PROXY}.upstream_protocol: the protocol "tars" {NOT_SERVED}'),
        (f"{PROXY}.fallback_for_unknown_protocol", True,
         f"{PROXY}.fallback_for_unknown_protocol: falling back to another network filter {NOT_SERVED}"),
        (f"{CLUSTER}.lb_type", "LB_MAGLEV", f'{CLUSTER}.lb_type: the balancer "LB_MAGLEV" {NOT_SERVED}'),
        (f"{CLUSTER}.lb_type", "LB_RANDOMM", f"{CLUSTER}.lb_type: unknown balancer \"LB_RANDOMM\"; did you mean 'LB_RANDOM'?"),
        (f"{LISTENER}.address", "127.0.0.1",
         f"{LISTENER}.address: \"127.0.0.1\": not an address with a port, as in '127.0.0.1:80'"),
        (f"{LISTENER}.address", "/run/x.sock", f'{LISTENER}.address: "/run/x.sock": a unix socket {NOT_SERVED}'),
        (f"{HOSTS}[0].address", "example.com:80",
         f"{HOSTS}[0].address: \"example.com:80\": 'example.com' is not an IP address, and DNS {NOT_SERVED}"),
        (HOSTS, [{"address": "127.0.0.1:80"}, {"address": "127.0.0.1:80"}],
         f'{HOSTS}[1].address: the host "127.0.0.1:80" is given twice; first at hosts[0]'),
        ("admin", {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 2045}}},
         "admin.address.socket_address.port_value: 127.0.0.1:2045 is taken already by servers[0].listeners[0]"),
        ("admin", {"address": {"socket_address": {"address": "localhost", "port_value": 1}}},
         "admin.address.socket_address.address: \"localhost:1\": 'localhost' is not an IP address; write '127.0.0.1:1'"),
        (f"{LISTENER}.access_logs", [{"log_path": "syslog"}],
         f"{LISTENER}.access_logs[0].log_path: logging to syslog {NOT_SERVED}"),
        (f"{PROXY}.long_timeouts_from", ["10.0.0.0/8", "10.0.0.1/8"],
         f'{PROXY}.long_timeouts_from[1]: "10.0.0.1/8" is not an address or network such as 10.0.0.0/8: '
         "10.0.0.1/8 has host bits set"),
        ("servers[0].user", "no-such-user", "servers[0].user: there is no user 'no-such-user' on this machine"),
        ("servers[0].group", "nogroup", "servers[0].group: the group 'nogroup' needs a user beside it"),
        ("servers[0].default_log_path", "syslog://x", f"servers[0].default_log_path: logging to syslog {NOT_SERVED}"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_named(broken: Broken, path: str, value: object, error: str) -> None:
    assert broken(path, value) == [error]


def test_a_route_to_a_cluster_that_is_not_there_is_an_error(broken: Broken) -> None:
    route = "servers[0].routers[0].virtual_hosts[0].routers[0].route"
    assert broken(f"{CLUSTER}.name", "backend") == [f'{route}.cluster_name: there is no cluster "b"']
    assert broken("cluster_manager", {}) == [f'{route}.cluster_name: there is no cluster "b"; cluster_manager.clusters is empty']


def test_a_name_that_is_broken_itself_does_not_make_references_dangle(broken: Broken) -> None:
    assert broken(f"{CLUSTER}.name", 5) == [f"{CLUSTER}.name: expected a text, got 5"]
    assert broken("servers[0].routers[0].router_config_name", "") == [
        "servers[0].routers[0].router_config_name: must not be empty"
    ]


def test_names_given_twice_are_errors(minimal: dict[str, Any], errors_of: Errors) -> None:
    server = minimal["servers"][0]
    for entries in (server["listeners"], server["routers"], minimal["cluster_manager"]["clusters"]):
        entries.append(copy.deepcopy(entries[0]))
    assert sorted(errors_of(minimal)) == [
        'cluster_manager.clusters[1].name: the cluster "b" is given twice; first at cluster_manager.clusters[0].name',
        'servers[0].listeners[1].address: "127.0.0.1:2045" is taken already by servers[0].listeners[0]',
        'servers[0].listeners[1]: the listener "front" is given twice; first at servers[0].listeners[0]',
        'servers[0].routers[1]: the router "r" is given twice; first at servers[0].routers[0]',
    ]


def test_one_address_in_two_spellings_is_one_address(minimal: dict[str, Any], errors_of: Errors) -> None:
    minimal["cluster_manager"]["clusters"][0]["hosts"] = [{"address": "[::1]:80"}, {"address": "[0:0::1]:80"}]
    assert errors_of(minimal) == [f'{HOSTS}[1].address: the host "[0:0::1]:80" is given twice; first at hosts[0]']


def test_weights_are_served(broken: Broken) -> None:
    assert broken(HOSTS, [{"address": "127.0.0.1:80", "weight": 10}, {"address": "127.0.0.1:81", "weight": 128}]) == []


def test_an_access_log_variable_that_is_not_there_is_an_error(broken: Broken) -> None:
    (error,) = broken(f"{LISTENER}.access_logs", [{"log_format": "%start_tim%"}])
    assert error.startswith(f"{LISTENER}.access_logs[0].log_format: ")
    assert "start_time" in error


def test_what_nothing_leads_to_is_a_warning(minimal: dict[str, Any], warnings_of: Errors) -> None:
    minimal["cluster_manager"]["clusters"].append({"name": "idle"})
    minimal["servers"][0]["listeners"] = []
    assert warnings_of(minimal) == [
        "servers[0]: there are no listeners: nothing is served",
        'servers[0].routers[0]: no listener uses the router "r"',
        'cluster_manager.clusters[1]: the cluster "idle" has no hosts: requests to it get 502',
        'cluster_manager.clusters[1]: no route leads to the cluster "idle"',
    ]


def test_a_path_that_is_not_there_is_a_warning(minimal: dict[str, Any], warnings_of: Errors) -> None:
    minimal["servers"][0] |= {"read_only_paths": ["/"], "read_write_paths": ["/", "/nowhere/at/all"]}
    (warning,) = [one for one in warnings_of(minimal) if "_paths" in one]
    assert warning == (
        'servers[0].read_write_paths[1]: there is no "/nowhere/at/all": workers that start before it is made will not have it'
    )


def test_a_user_and_group_that_are_there_are_accepted(minimal: dict[str, Any], errors_of: Errors) -> None:
    minimal["servers"][0] |= {"user": "nobody", "group": "daemon"}
    assert errors_of(minimal) == []
    minimal["servers"][0]["group"] = "no-such-group"
    assert errors_of(minimal) == ["servers[0].group: there is no group 'no-such-group' on this machine"]
