"""Which numbers in shared memory mean which listener or host of a configuration: to name what is counted there."""

from mosn_mp.config.model import Config
from mosn_mp.ipc.tables import Tables, unpack_numbers
from mosn_mp.observe.metrics.reading import Names


def names_of(config: Config, tables: Tables) -> Names:
    """The names of what *config*, with which *tables* came, has, and of what leaves since."""
    served = [listener.name for listener in config.server.listeners]
    listeners = dict(zip(unpack_numbers(tables.listeners), served, strict=True))
    hosts: dict[int, tuple[str, str]] = {}
    for cluster, packed in zip(config.cluster_manager.clusters, tables.hosts, strict=True):
        hosts.update(zip(unpack_numbers(packed), ((cluster.name, host.address) for host in cluster.hosts), strict=True))
    for one in tables.leaving:
        if one.kind == "listener":
            listeners[one.number] = one.names[0]
        elif one.kind == "host":
            hosts[one.number] = (one.names[0], one.names[1])
    return Names(listeners, hosts, served)
