"""Clusters: limits from the configuration, and what stays the same object over a reload."""

import pytest

from mosn_mp.cluster.cluster import Cluster
from mosn_mp.cluster.compile import compile_cluster
from mosn_mp.cluster.lb.random import Random
from mosn_mp.cluster.lb.round_robin import RoundRobin
from mosn_mp.config import model
from mosn_mp.errors import ConfigError
from mosn_mp.steps import finish


def config(*addresses: str, **changed: object) -> model.Cluster:
    hosts = tuple(model.Host(address=address) for address in addresses)
    return model.Cluster(name="c", hosts=hosts, **changed)  # type: ignore[arg-type]


def made(config: model.Cluster, before: Cluster | None = None) -> Cluster:
    return finish(compile_cluster(config, before))


def test_limits_are_in_milliseconds_and_counts() -> None:
    limits = (model.Thresholds(max_connections=7),)
    cluster = made(
        config("10.0.0.1:80", connect_timeout=0.25, idle_timeout=90.0, max_request_per_conn=5, circuit_breakers=limits)
    )
    assert (cluster.connect_timeout_ms, cluster.idle_timeout_ms) == (250, 90_000)
    assert (cluster.max_requests_per_connection, cluster.max_connections) == (5, 7)


def test_the_defaults_are_mosns() -> None:
    cluster = made(config())
    assert (cluster.connect_timeout_ms, cluster.idle_timeout_ms) == (10_000, 0)
    assert (cluster.max_requests_per_connection, cluster.max_connections) == (1024, 0)
    assert isinstance(cluster.balancer, RoundRobin)
    assert cluster.pick_host() is None


def test_the_same_hosts_are_the_same_set_and_the_same_balancer() -> None:
    before = made(config("10.0.0.1:80", "10.0.0.2:80"))
    after = made(config("10.0.0.1:80", "10.0.0.2:80", connect_timeout=1.0), before)
    assert (after.hosts, after.balancer) == (before.hosts, before.balancer)
    assert made(config("10.0.0.2:80", "10.0.0.1:80"), before).hosts is not before.hosts


def test_many_hosts_are_compiled_with_pauses() -> None:
    steps = compile_cluster(config(*(f"10.0.{n >> 8}.{n & 255}:80" for n in range(2000))))
    assert sum(1 for _ in steps) == 10


def test_hosts_that_stay_keep_their_identity() -> None:
    before = made(config("10.0.0.1:80", "10.0.0.2:80"))
    after = made(config("10.0.0.2:80", "10.0.0.3:80", connect_timeout=1.0), before)
    assert after is not before and after.balancer is before.balancer
    assert [host.address for host in after.hosts.hosts] == ["10.0.0.2:80", "10.0.0.3:80"]
    assert after.hosts.hosts[0] is before.hosts.hosts[1]


def test_another_strategy_is_another_balancer_over_the_same_hosts() -> None:
    before = made(config("10.0.0.1:80"))
    after = made(config("10.0.0.1:80", lb_type="LB_RANDOM"), before)
    assert isinstance(after.balancer, Random)
    assert after.hosts is before.hosts


@pytest.mark.parametrize(("name", "problem"), [("LB_ROUNDROBBIN", "did you mean"), ("os:getcwd", "not a subclass")])
def test_an_unknown_balancer_is_refused(name: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        made(config("10.0.0.1:80", lb_type=name))
