"""What differs between two configurations, by name: what a reload tells the user, and what it needs to do."""

from collections.abc import Mapping
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from mosn_mp.config.model import Config, Server

T = TypeVar("T")


class Delta(Struct, frozen=True):
    """Names that are new, different, and gone."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


class Changes(Struct, frozen=True, kw_only=True):
    """How one configuration differs from another; false if it does not.

    A router or cluster counts as changed also when only something inside it did; virtual hosts are named `router/virtual host`,
    hosts `cluster/address`, settings by their keys.
    """

    settings: Delta
    listeners: Delta
    routers: Delta
    virtual_hosts: Delta
    clusters: Delta
    hosts: Delta

    def __bool__(self) -> bool:
        return any(getattr(self, kind) for kind in self.__struct_fields__)

    def lines(self) -> list[str]:
        """One line for each kind of change: `listeners: added front; removed old`."""
        lines = []
        for kind in self.__struct_fields__:
            delta: Delta = getattr(self, kind)
            parts = [f"{verb} {', '.join(getattr(delta, verb))}" for verb in Delta.__struct_fields__ if getattr(delta, verb)]
            if parts:
                lines.append(f"{kind.replace('_', ' ')}: {'; '.join(parts)}")
        return lines


def diff(old: Config, new: Config) -> Changes:
    """What has to change to get from *old* to *new*."""
    return Changes(
        settings=_compare(_settings(old), _settings(new)),
        listeners=_compare(*({one.name: one for one in config.server.listeners} for config in (old, new))),
        routers=_compare(*({router.router_config_name: router for router in config.server.routers} for config in (old, new))),
        virtual_hosts=_compare(_virtual_hosts(old.server), _virtual_hosts(new.server)),
        clusters=_compare(*({cluster.name: cluster for cluster in config.cluster_manager.clusters} for config in (old, new))),
        hosts=_compare(_hosts(old, new), _hosts(new, old)),
    )


def _compare(old: Mapping[str, T], new: Mapping[str, T]) -> Delta:
    return Delta(
        added=tuple(name for name in new if name not in old),
        changed=tuple(name for name in new if name in old and new[name] != old[name]),
        removed=tuple(name for name in old if name not in new),
    )


def _settings(config: Config) -> dict[str, object]:
    """Everything that is not in a list of named things, by key."""
    server = replace(config.server, listeners=(), routers=())
    manager = replace(config.cluster_manager, clusters=())
    top = {name: getattr(config, name) for name in config.__struct_fields__ if name not in ("servers", "cluster_manager")}
    inner = {f"servers[0].{name}": getattr(server, name) for name in server.__struct_fields__}
    return top | inner | {f"cluster_manager.{name}": getattr(manager, name) for name in manager.__struct_fields__}


def _virtual_hosts(server: Server) -> dict[str, object]:
    return {
        f"{router.router_config_name}/{host.name or host.domains[0]}": host
        for router in server.routers
        for host in router.virtual_hosts
    }


def _hosts(config: Config, other: Config) -> dict[str, object]:
    """The hosts of all clusters that *other* has not got with the same hosts."""
    hosts = {cluster.name: cluster.hosts for cluster in other.cluster_manager.clusters}
    return {
        f"{cluster.name}/{host.address}": host
        for cluster in config.cluster_manager.clusters
        if hosts.get(cluster.name) != cluster.hosts
        for host in cluster.hosts
    }
