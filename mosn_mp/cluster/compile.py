"""From the frozen configuration of a cluster to a Cluster; what did not change of the one before it stays the same object."""

from collections.abc import Mapping

from mosn_mp.cluster.cluster import Cluster
from mosn_mp.cluster.host import Host, HostSet
from mosn_mp.cluster.lb.balancer import Balancer
from mosn_mp.config import model
from mosn_mp.errors import ConfigError
from mosn_mp.plugin import CATALOGUE, Catalogue
from mosn_mp.steps import Steps

HOSTS_A_STEP = 200  # 0.5 ms


def compile_cluster(
    config: model.Cluster, before: Cluster | None = None, catalogue: Catalogue = CATALOGUE, digest: bytes = b""
) -> Steps[Cluster]:
    """The Cluster of *config*, which may be told from others by *digest*; ConfigError if it cannot be served."""
    balancer_class = find_balancer(config.name, config.lb_type, catalogue)
    hosts = yield from _hosts(config, {host.address: host for host in before.hosts.hosts} if before is not None else {})
    if before is not None and before.hosts.is_like(hosts):
        hosts = before.hosts
    # one may have been loaded anew under the same name
    is_same_balancer = before is not None and type(before.balancer) is balancer_class
    balancer = before.balancer if before is not None and is_same_balancer else balancer_class()
    return Cluster(config, hosts, balancer, digest)


def _hosts(config: model.Cluster, before: Mapping[str, Host]) -> Steps[HostSet]:
    made: list[Host] = []
    for number, host in enumerate(config.hosts, 1):
        known = before.get(host.address)
        made.append(known if known is not None and known.hostname == host.hostname else Host(host, config.name))
        if number % HOSTS_A_STEP == 0:
            yield
    return HostSet(tuple(made), tuple([host.weight for host in config.hosts]))


def find_balancer(cluster: str, lb_type: str, catalogue: Catalogue = CATALOGUE) -> type[Balancer]:
    """The class that *lb_type* names; ConfigError, which names the *cluster*, if there is none."""
    where = f"clusters[{cluster}].lb_type"
    try:
        found = catalogue.resolve("balancer", lb_type)
    except ConfigError as e:
        raise ConfigError(where, e.problem) from e
    if not (isinstance(found, type) and issubclass(found, Balancer)):
        raise ConfigError(where, f"{lb_type!r} is not a subclass of mosn_mp.cluster.lb.balancer.Balancer")
    return found
