"""From the frozen configuration of clusters to Clusters; what did not change since the last configuration is the same object."""

from collections.abc import Iterable, Mapping

from mosn_mp.cluster.cluster import Cluster
from mosn_mp.cluster.host import Host, HostSet
from mosn_mp.cluster.lb.balancer import Balancer
from mosn_mp.config import model
from mosn_mp.errors import ConfigError
from mosn_mp.plugin import CATALOGUE, Catalogue


def compile_clusters(
    configs: Iterable[model.Cluster], before: Mapping[str, Cluster] | None = None, catalogue: Catalogue = CATALOGUE
) -> dict[str, Cluster]:
    """The Cluster of each of *configs* by name; ConfigError if one cannot be served. *before*: the clusters served until now."""
    known = before or {}
    return {config.name: compile_cluster(config, known.get(config.name), catalogue) for config in configs}


def compile_cluster(config: model.Cluster, before: Cluster | None = None, catalogue: Catalogue = CATALOGUE) -> Cluster:
    """The Cluster of *config*: *before* itself if nothing changed, else with those hosts and the balancer of it that did not."""
    balancer_class = _balancer_class(config, catalogue)
    if before is None:
        return Cluster(config, _hosts(config, {}), balancer_class())
    is_same_balancer = type(before.balancer) is balancer_class  # it may have been loaded anew under the same name
    if before.config == config and is_same_balancer:
        return before
    hosts = before.hosts if before.config.hosts == config.hosts else _hosts(config, {h.address: h for h in before.hosts.hosts})
    return Cluster(config, hosts, before.balancer if is_same_balancer else balancer_class())


def _hosts(config: model.Cluster, before: Mapping[str, Host]) -> HostSet:
    # de-duplicated by address as MOSN does: the first entry of an address counts
    made: dict[str, Host] = {}
    weights: list[int] = []
    for host in config.hosts:
        if host.address not in made:
            known = before.get(host.address)
            made[host.address] = known if known is not None and known.hostname == host.hostname else Host(host, config.name)
            weights.append(host.weight)
    return HostSet(tuple(made.values()), tuple(weights))


def _balancer_class(config: model.Cluster, catalogue: Catalogue) -> type[Balancer]:
    where = f"clusters[{config.name}].lb_type"
    try:
        found = catalogue.resolve("balancer", config.lb_type)
    except ConfigError as e:
        raise ConfigError(where, e.problem) from e
    if not (isinstance(found, type) and issubclass(found, Balancer)):
        raise ConfigError(where, f"{config.lb_type!r} is not a subclass of mosn_mp.cluster.lb.balancer.Balancer")
    return found
