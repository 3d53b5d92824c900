"""The contract of balancers (mosn_mp.cluster.lb.balancer), checked over the whole catalogue and over one in plain Python."""

import random
from collections import Counter
from collections.abc import Callable

import pytest

from mosn_mp.cluster.host import Host, HostSet
from mosn_mp.cluster.lb.balancer import Balancer
from mosn_mp.config import model
from mosn_mp.plugin import CATALOGUE

Maker = Callable[[], Balancer]


class PlainPython(Balancer):
    """What a user writes."""

    turn = 0

    def choose(self, hosts: tuple[Host, ...], request: object, previous: Host | None) -> Host:
        self.turn += 1
        return hosts[self.turn % len(hosts)]


def makers() -> dict[str, Maker]:
    listed = {name: CATALOGUE.resolve("balancer", name) for name in CATALOGUE.names("balancer")}
    return {**listed, "plain Python": PlainPython}  # type: ignore[dict-item]


@pytest.fixture(params=makers().values(), ids=makers().keys())
def make(request: pytest.FixtureRequest) -> Maker:
    maker: Maker = request.param
    return maker


def hosts_of(count: int, first: int = 1) -> tuple[Host, ...]:
    """Healthy hosts with different addresses."""
    return tuple(Host(model.Host(address=f"10.0.{i // 250}.{i % 250 + 1}:80"), "c") for i in range(first, first + count))


def test_without_hosts_there_is_no_pick(make: Maker) -> None:
    assert make().pick_from(HostSet(())) is None


def test_one_host_is_picked_again_and_again(make: Maker) -> None:
    balancer, hosts = make(), hosts_of(1)
    assert [balancer.pick_from(HostSet(hosts)) for _ in range(5)] == list(hosts * 5)


@pytest.mark.parametrize("count", [1, 2, 3, 17])
def test_an_unhealthy_host_is_never_picked_while_a_healthy_one_exists(make: Maker, count: int) -> None:
    balancer, hosts = make(), hosts_of(count)
    chooser = random.Random(count)
    for _ in range(50):
        for host in hosts:
            host.healthy = chooser.random() < 0.5
        picked = balancer.pick_from(HostSet(hosts))
        assert (picked is not None) == any(host.healthy for host in hosts)
        assert picked is None or picked.healthy


@pytest.mark.parametrize("count", [2, 3, 50])
def test_a_retry_avoids_the_host_that_failed(make: Maker, count: int) -> None:
    balancer, hosts = make(), HostSet(hosts_of(count))
    previous = None
    for _ in range(100):
        picked = balancer.pick_from(hosts, None, previous)
        assert picked is not previous
        previous = picked


def test_a_retry_returns_to_the_only_healthy_host(make: Maker) -> None:
    balancer, hosts = make(), hosts_of(3)
    hosts[0].healthy = hosts[2].healthy = False
    assert balancer.pick_from(HostSet(hosts), None, hosts[1]) is hosts[1]


@pytest.mark.parametrize(("count", "unhealthy"), [(2, 0), (10, 0), (10, 5), (5, 1), (100, 1)])
def test_picks_are_spread_evenly_over_the_healthy_hosts(make: Maker, count: int, unhealthy: int) -> None:
    balancer, hosts = make(), hosts_of(count)
    for host in hosts[:unhealthy]:
        host.healthy = False
    expected, healthy, every = 400, count - unhealthy, HostSet(hosts)
    picks = Counter(balancer.pick_from(every) for _ in range(expected * healthy))
    assert set(picks) == set(hosts[unhealthy:])
    # chi-square, ten standard deviations above its mean: a balancer may be evener than chance, not less even
    chi_square = sum((n - expected) ** 2 / expected for n in picks.values())
    assert chi_square < healthy + 10 * (2 * healthy) ** 0.5


def test_a_change_of_hosts_is_seen_at_once(make: Maker) -> None:
    balancer, old, new = make(), hosts_of(7), hosts_of(3, first=100)
    for _ in range(20):
        assert balancer.pick_from(HostSet(old)) in old
    for _ in range(20):
        assert balancer.pick_from(HostSet(new)) in new
    assert balancer.pick_from(HostSet(())) is None
    assert balancer.pick_from(HostSet(old)) in old
