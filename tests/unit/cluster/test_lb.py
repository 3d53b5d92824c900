"""What is particular to each balancer; what all must do is in tests/contract/balancer_kit.py."""

from collections import Counter

import pytest

from mosn_mp.buffer.segment import Segment
from mosn_mp.cluster.compile import compile_cluster
from mosn_mp.cluster.host import Host, HostSet
from mosn_mp.cluster.lb.balancer import Balancer
from mosn_mp.cluster.lb.random import Random
from mosn_mp.cluster.lb.round_robin import RoundRobin
from mosn_mp.cluster.state import State, state_shape
from mosn_mp.config import model
from mosn_mp.steps import finish


def some_hosts(count: int) -> tuple[Host, ...]:
    return tuple(Host(model.Host(address=f"10.0.0.{i}:80"), "c") for i in range(1, count + 1))


def test_round_robin_takes_hosts_in_turn() -> None:
    hosts = some_hosts(3)
    balancer = RoundRobin()
    assert [balancer.pick_from(HostSet(hosts)) for _ in range(6)] == list(hosts * 2)


def test_round_robin_gives_a_failed_hosts_turns_to_all_others() -> None:
    hosts = some_hosts(3)
    hosts[1].healthy = False
    balancer = RoundRobin()
    assert [balancer.pick_from(HostSet(hosts)) for _ in range(4)] == [hosts[0], hosts[2]] * 2


def test_two_workers_take_turns_by_one_cursor() -> None:
    state = State(Segment.create(state_shape(2, 2, 2)))
    config = model.Cluster(name="c", hosts=tuple(model.Host(address=f"10.0.0.{i}:80") for i in range(1, 4)))
    workers = [finish(compile_cluster(config)) for _ in range(2)]
    for cluster in workers:
        cluster.share(state, 1)
    picked = [workers[i % 2].pick_host() for i in range(6)]
    assert [host.address for host in picked if host] == [f"10.0.0.{i}:80" for i in (1, 2, 3, 1, 2, 3)]


def weighted(*weights: int) -> HostSet:
    return HostSet(tuple(Host(model.Host(address=f"10.0.0.{i}:80", weight=w), "c") for i, w in enumerate(weights, 1)))


@pytest.mark.parametrize("weights", [(1, 2), (1, 128), (5, 1, 1), (1, 2, 3, 4), (128, 127, 1), (3, 3, 1)])
def test_round_robin_gives_turns_by_weight_in_every_stretch(weights: tuple[int, ...]) -> None:
    hosts, balancer = weighted(*weights), RoundRobin()
    picked = [balancer.pick_from(hosts) for _ in range(40 * sum(weights))]
    for at in range(0, len(picked), sum(weights)):
        counts = Counter(picked[: at + sum(weights)])
        rounds = at // sum(weights) + 1
        assert all(abs(counts[host] - rounds * host.weight) <= 3 for host in hosts.hosts), (rounds, counts)


def test_a_failed_hosts_turns_go_to_the_others_by_weight() -> None:
    hosts, balancer = weighted(128, 1, 3), RoundRobin()
    hosts.hosts[0].healthy = False
    counts = Counter(balancer.pick_from(hosts) for _ in range(400))
    assert abs(counts[hosts.hosts[1]] - 100) <= 3 and abs(counts[hosts.hosts[2]] - 300) <= 3


def test_random_picks_by_weight() -> None:
    hosts, balancer = weighted(1, 3, 12), Random(11)
    counts = Counter(balancer.pick_from(hosts) for _ in range(16_000))
    assert [round(counts[host] / 1000) for host in hosts.hosts] == [1, 3, 12]


def test_a_weight_changes_when_its_version_is_served_and_the_host_stays() -> None:
    def config(weight: int) -> model.Cluster:
        hosts = (model.Host(address="10.0.0.1:80"), model.Host(address="10.0.0.2:80", weight=weight))
        return model.Cluster(name="c", hosts=hosts)

    before = finish(compile_cluster(config(1)))
    after = finish(compile_cluster(config(9), before))
    assert after.hosts.hosts == before.hosts.hosts
    assert after.hosts.hosts[1].weight == 1  # it may yet be refused
    after.hosts.take_weights()
    counts = Counter(host.address for host in (after.pick_host() for _ in range(100)) if host)
    assert abs(counts["10.0.0.2:80"] - 90) <= 2


def test_random_repeats_itself_for_a_seed_only() -> None:
    hosts = HostSet(some_hosts(8))

    def picks(seed: int) -> list[Host | None]:
        balancer = Random(seed)
        return [balancer.pick_from(hosts) for _ in range(50)]

    assert picks(7) == picks(7)
    assert picks(0) != picks(0)


def test_a_balancer_that_chooses_no_host_is_told_so() -> None:
    class Broken(Balancer):
        def choose(self, hosts: tuple[Host, ...], request: object, previous: Host | None) -> object:
            return "10.0.0.1"

    with pytest.raises(TypeError, match=r"Broken\.choose\(\) returned '10\.0\.0\.1'"):
        Broken().pick_from(HostSet(some_hosts(1)))
    with pytest.raises(NotImplementedError, match="choose"):
        Balancer().pick_from(HostSet(some_hosts(1)))
