"""Clusters: limits from the configuration, and what stays the same object over a reload."""

import pytest

from mosn_mp.cluster.compile import compile_cluster, compile_clusters
from mosn_mp.cluster.lb.random import Random
from mosn_mp.cluster.lb.round_robin import RoundRobin
from mosn_mp.config import model
from mosn_mp.errors import ConfigError


def config(*addresses: str, **changed: object) -> model.Cluster:
    hosts = tuple(model.Host(address=address) for address in addresses)
    return model.Cluster(name="c", hosts=hosts, **changed)  # type: ignore[arg-type]


def test_limits_are_in_milliseconds_and_counts() -> None:
    limits = (model.Thresholds(max_connections=7),)
    cluster = compile_cluster(
        config("10.0.0.1:80", connect_timeout=0.25, idle_timeout=90.0, max_request_per_conn=5, circuit_breakers=limits)
    )
    assert (cluster.connect_timeout_ms, cluster.idle_timeout_ms) == (250, 90_000)
    assert (cluster.max_requests_per_connection, cluster.max_connections) == (5, 7)


def test_the_defaults_are_mosns() -> None:
    cluster = compile_cluster(config())
    assert (cluster.connect_timeout_ms, cluster.idle_timeout_ms) == (10_000, 0)
    assert (cluster.max_requests_per_connection, cluster.max_connections) == (1024, 0)
    assert isinstance(cluster.balancer, RoundRobin)
    assert cluster.pick_host() is None


def test_an_unchanged_cluster_is_the_same_object() -> None:
    before = compile_clusters([config("10.0.0.1:80")])
    assert compile_clusters([config("10.0.0.1:80")], before)["c"] is before["c"]


def test_hosts_that_stay_keep_their_identity() -> None:
    before = compile_cluster(config("10.0.0.1:80", "10.0.0.2:80"))
    after = compile_cluster(config("10.0.0.2:80", "10.0.0.3:80", connect_timeout=1.0), before)
    assert after is not before and after.balancer is before.balancer
    assert [host.address for host in after.hosts.hosts] == ["10.0.0.2:80", "10.0.0.3:80"]
    assert after.hosts.hosts[0] is before.hosts.hosts[1]


def test_another_strategy_is_another_balancer_over_the_same_hosts() -> None:
    before = compile_cluster(config("10.0.0.1:80"))
    after = compile_cluster(config("10.0.0.1:80", lb_type="LB_RANDOM"), before)
    assert isinstance(after.balancer, Random)
    assert after.hosts is before.hosts


def test_hosts_with_one_address_are_one_host() -> None:
    hosts = (model.Host(address="10.0.0.1:80", weight=2), model.Host(address="10.0.0.2:80"), model.Host(address="10.0.0.1:80"))
    cluster = compile_cluster(model.Cluster(name="c", hosts=hosts))
    assert [(host.address, host.weight) for host in cluster.hosts.hosts] == [("10.0.0.1:80", 2), ("10.0.0.2:80", 1)]


@pytest.mark.parametrize(("name", "problem"), [("LB_ROUNDROBBIN", "did you mean"), ("os:getcwd", "not a subclass")])
def test_an_unknown_balancer_is_refused(name: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        compile_cluster(config("10.0.0.1:80", lb_type=name))
