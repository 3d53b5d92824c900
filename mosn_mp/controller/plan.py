"""The plan of a config: what of it the master acts on."""

import os.path

from mosn_mp.config.cpus import worker_count
from mosn_mp.config.decoding.address import parse_address
from mosn_mp.config.decoding.defaults import NO_FILE
from mosn_mp.config.model import Config, Listener
from mosn_mp.ipc.plan import ClusterPlan, ListenerPlan, Plan


def make_plan(config: Config, config_path: str, log_level: str = "", stamp: str = "") -> Plan:
    """The plan of *config*, which was just judged; *log_level* (of the command line) wins over the config's if given.

    *stamp* is that of the file that it was read from, if it was.
    """
    server = config.server
    return Plan(
        config_path=config_path,
        pid_path=config.pid,
        workers=worker_count(config),
        listeners=[_listener_plan(listener) for listener in server.listeners],
        log_path=server.default_log_path,
        log_level=log_level.upper() or server.default_log_level,
        graceful_timeout_s=server.graceful_timeout,
        arena_bytes=server.arena_size,
        clusters=[
            ClusterPlan(cluster.name, [host.address for host in cluster.hosts]) for cluster in config.cluster_manager.clusters
        ],
        server_name=server.mosn_server_name,
        stall_timeout_s=server.worker_stall_timeout,
        memory_limit=server.worker_memory_limit,
        rebalance_interval_s=server.rebalance_interval,
        disable_upgrade=config.disable_upgrade or config.close_graceful,
        inherit_config=config.inherit_old_mosnconfig,
        weights={
            f"{cluster.name}/{host.address}": host.weight
            for cluster in config.cluster_manager.clusters
            for host in cluster.hosts
            if host.weight != 1
        },
        access_logs=sorted({log.log_path for one in server.listeners for log in one.access_logs} - set(NO_FILE)),
        read_paths=_read_paths(config, config_path),
        write_paths=list(server.read_write_paths),
        stamp=stamp,
    )


def _read_paths(config: Config, config_path: str) -> list[str]:
    """What users' Python may lie in, or beside, and what the configuration names."""
    found = {os.path.dirname(os.path.abspath(config_path)), *config.server.read_only_paths}
    for listener in config.server.listeners:
        found.update(path for log in listener.access_logs for path in log.python_path)
        found.update(path for entry in listener.stream_filters for path in entry.python_path)
    found.update(os.path.dirname(codec.path) for codec in config.third_part_codec.codecs if codec.path)
    return sorted(found)


def _listener_plan(listener: Listener) -> ListenerPlan:
    address = parse_address(listener.address)
    return ListenerPlan(listener.name, address.ip, address.port, listener.bind_port, listener.backlog)
