"""What a configuration would serve, in one line and in figures, for `mosn_mp check` and the log line of a start."""

from msgspec import Struct

from mosn_mp.config.cpus import worker_count
from mosn_mp.config.model import Config


class Summary(Struct, frozen=True, kw_only=True):
    """How much of everything a configuration has."""

    listeners: int
    routers: int
    routes: int
    clusters: int
    hosts: int
    workers: int

    def __str__(self) -> str:
        return (
            f"{_count(self.listeners, 'listener')}, {_count(self.routers, 'router')} ({_count(self.routes, 'route')}), "
            f"{_count(self.clusters, 'cluster')} ({_count(self.hosts, 'host')}), {_count(self.workers, 'worker')}"
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def summary(config: Config) -> Summary:
    """The Summary of *config*; its str() is the one line for people."""
    server = config.server
    return Summary(
        listeners=len(server.listeners),
        routers=len(server.routers),
        routes=sum(len(host.routers) for router in server.routers for host in router.virtual_hosts),
        clusters=len(config.cluster_manager.clusters),
        hosts=sum(len(cluster.hosts) for cluster in config.cluster_manager.clusters),
        workers=worker_count(config),
    )
