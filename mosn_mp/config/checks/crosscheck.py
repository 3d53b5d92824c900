"""Checks that need more than one place of a configuration: names given twice, references to nothing, addresses, plug-ins.

What is "" was reported as wrong or missing when it was decoded and is passed over here.
"""

import os
from collections.abc import Iterable
from ipaddress import ip_network

from mosn_mp.config.checks.addresses import check_address
from mosn_mp.config.checks.admin import check_admin
from mosn_mp.config.checks.protocols import ProtocolCheck
from mosn_mp.config.checks.questions import ask
from mosn_mp.config.checks.routes import check_router, each_regex, each_upstream_protocol
from mosn_mp.config.checks.stream_filters import KIND, decode_entry
from mosn_mp.config.decoding.unserved import (
    UNSERVED_BALANCERS,
    UNSERVED_STREAM_FILTERS,
    not_in_this_version,
)
from mosn_mp.config.identity import find_identity
from mosn_mp.config.model import Cluster, Config, Listener, Proxy, Router, Server, StreamFilter
from mosn_mp.config.problems import Findings, Path, nearest, parse_path, path_text, show
from mosn_mp.errors import ConfigError
from mosn_mp.plugin import Catalogue


def cross_check(
    config: Config, catalogue: Catalogue, findings: Findings, checked: Config | None = None, runs_python: bool = True
) -> None:
    """Add to *findings* what is wrong with *config* as a whole; objects of *checked* are right, and not looked at again.

    Not *runs_python*: what check_users_python() finds was found.
    """
    manager: Path = ("cluster_manager", "clusters")
    clusters = config.cluster_manager.clusters
    names = dict.fromkeys(cluster.name for cluster in clusters)  # found at once, and in their order
    protocols = ProtocolCheck(config, catalogue, findings) if runs_python else None
    _check_unique(((cluster.name, (*manager, i, "name")) for i, cluster in enumerate(clusters)), "cluster", findings)
    known = _known(config, checked)
    for index, cluster in enumerate(clusters):
        if id(cluster) not in known:
            _check_cluster(cluster, (*manager, index), catalogue, findings)
    for index, server in enumerate(config.servers):
        path: Path = ("servers", index)
        _check_log_path(server.default_log_path, (*path, "default_log_path"), findings)
        for key, places in (("read_only_paths", server.read_only_paths), ("read_write_paths", server.read_write_paths)):
            _check_places(places, (*path, key), findings)
        _check_user(server, findings)
        _check_unique(((r.router_config_name, (*path, "routers", i)) for i, r in enumerate(server.routers)), "router", findings)
        _check_unique(((one.name, (*path, "listeners", i)) for i, one in enumerate(server.listeners)), "listener", findings)
        for i, router in enumerate(server.routers):
            if id(router) in known:
                continue
            check_router(router, (*path, "routers", i), names, findings)
            if protocols is not None:
                protocols.check_names(each_upstream_protocol(router, (*path, "routers", i)))
            _compile_router(router, (*path, "routers", i), catalogue, findings)
        if protocols is not None:
            _check_listeners(server, path, protocols, catalogue, findings)
    _check_listening_addresses(config, findings)
    _warn_of_idle_parts(config, findings)


def check_users_python(config: Config, catalogue: Catalogue, findings: Findings) -> None:
    """The part of cross_check() in which users' Python runs, and little else."""
    protocols = ProtocolCheck(config, catalogue, findings)
    for s, server in enumerate(config.servers):
        for i, router in enumerate(server.routers):
            protocols.check_names(each_upstream_protocol(router, ("servers", s, "routers", i)))
        _check_listeners(server, ("servers", s), protocols, catalogue, findings)


def _known(config: Config, checked: Config | None) -> set[int]:
    """Which clusters and routers of *config* are right because *checked* is: its routers, if what they lead to is still there."""
    if checked is None:
        return set()
    clusters = checked.cluster_manager.clusters
    found = set(map(id, clusters))
    names = {cluster.name for cluster in config.cluster_manager.clusters}
    if checked.third_part_codec == config.third_part_codec and all(cluster.name in names for cluster in clusters):
        found.update(id(router) for server in checked.servers for router in server.routers)
    return found


def _check_unique(named: Iterable[tuple[str, Path]], what: str, findings: Findings) -> None:
    first: dict[str, Path] = {}
    for name, path in named:
        if name and name in first:
            findings.error(path, f"the {what} {show(name)} is given twice; first at {path_text(first[name])}", value=name)
        first.setdefault(name, path)


def _check_cluster(cluster: Cluster, path: Path, catalogue: Catalogue, findings: Findings) -> None:
    _check_name(cluster.lb_type, "balancer", (*path, "lb_type"), catalogue, UNSERVED_BALANCERS, findings)
    seen: dict[str, int] = {}
    for index, host in enumerate(cluster.hosts):
        address = check_address(host.address, (*path, "hosts", index, "address"), findings)
        if address in seen:
            problem = f"the host {show(host.address)} is given twice; first at hosts[{seen[address]}]"
            findings.error((*path, "hosts", index, "address"), problem, value=host.address)
        if address:
            seen.setdefault(address, index)
    if not cluster.hosts and cluster.name:
        findings.warning(path, f"the cluster {show(cluster.name)} has no hosts: requests to it get 502")


def _check_name(name: str, kind: str, path: Path, catalogue: Catalogue, unserved: tuple[str, ...], findings: Findings) -> None:
    """Check that *name* is one of the catalogue's of that *kind*."""
    served = catalogue.names(kind)
    if not name or name in served:
        return
    what = kind.replace("_", " ")
    if name in unserved:
        findings.error(path, not_in_this_version(f"the {what} {show(name)}"), value=name)
        return
    near = nearest(name, (*served, *unserved))
    problem = f"unknown {what} {show(name)}" + ("" if near else f"; there are {', '.join(served)}")
    findings.error(path, problem, value=name, suggestion=near)


def _compile_router(router: Router, path: Path, catalogue: Catalogue, findings: Findings) -> None:
    """Have *router* compiled by the code that will serve it: it alone knows which expressions it can run."""
    for pattern, at in each_regex(router, path):
        ask(catalogue, "regex", at, findings, pattern)
    if not findings.has_error_within(path):
        ask(catalogue, "router", (), findings, router, path_text(path))


def _check_listeners(server: Server, path: Path, protocols: ProtocolCheck, catalogue: Catalogue, findings: Findings) -> None:
    routers = [router.router_config_name for router in server.routers]
    for i, listener in enumerate(server.listeners):
        _check_listener(listener, (*path, "listeners", i), routers, protocols, catalogue, findings)


def _check_listener(
    listener: Listener, path: Path, routers: list[str], protocols: ProtocolCheck, catalogue: Catalogue, findings: Findings
) -> None:
    for c, chain in enumerate(listener.filter_chains):
        for f, entry in enumerate(chain.filters):
            at: Path = (*path, "filter_chains", c, "filters", f, "config")
            protocols.check_proxy(entry.config, at)
            _check_proxy(entry.config, at, routers, findings)
    for index, log in enumerate(listener.access_logs):
        at = (*path, "access_logs", index)
        _check_log_path(log.log_path, (*at, "log_path"), findings)
        if not findings.has_error_within(at):
            findings.look_at((*at, "log_format"))
            ask(catalogue, "access_log", (), findings, log.log_path, log.log_format, path_text(at), log.python_path)
    for index, stream_filter in enumerate(listener.stream_filters):
        if stream_filter.type:
            findings.look_at((*path, "stream_filters", index))
            _check_stream_filter(stream_filter, (*path, "stream_filters", index), protocols, catalogue, findings)
    if listener.stream_filters and not findings.has_error_within((*path, "stream_filters")):
        findings.look_at((*path, "stream_filters"))
        ask(catalogue, "stream_filters", path, findings, listener.stream_filters)


def _check_user(server: Server, findings: Findings) -> None:
    try:
        find_identity(server)
    except ConfigError as e:
        findings.error(parse_path(e.path), e.problem)


def _check_log_path(log_path: str, path: Path, findings: Findings) -> None:
    if log_path.startswith("syslog"):
        findings.error(path, not_in_this_version("logging to syslog"), value=log_path)


def _check_places(places: tuple[str, ...], path: Path, findings: Findings) -> None:
    """Warn of what no worker will have: rights are given to what is there when it starts."""
    for index, place in enumerate(places):
        if not os.path.exists(place):
            findings.warning((*path, index), f"there is no {show(place)}: workers that start before it is made will not have it")


def _check_proxy(proxy: Proxy, path: Path, routers: list[str], findings: Findings) -> None:
    name = proxy.router_config_name
    if name and name not in routers and "" not in routers:
        problem = f"there is no router {show(name)}" + ("" if routers else "; servers[0].routers is empty")
        findings.error((*path, "router_config_name"), problem, value=name, suggestion=nearest(name, routers))
    for index, text in enumerate(proxy.long_timeouts_from):
        try:
            ip_network(text)
        except ValueError as e:
            problem = f"{show(text)} is not an address or network such as 10.0.0.0/8: {e}"
            findings.error((*path, "long_timeouts_from", index), problem, value=text)


def _check_stream_filter(
    entry: StreamFilter, path: Path, protocols: ProtocolCheck, catalogue: Catalogue, findings: Findings
) -> None:
    if ":" not in entry.type and entry.type not in catalogue.names(KIND):
        _check_name(entry.type, KIND, (*path, "type"), catalogue, UNSERVED_STREAM_FILTERS, findings)
        return
    _, config = decode_entry(entry, path, catalogue, findings)
    if not findings.has_error_within(path):
        for at, name in getattr(config, "upstream_protocols", {}).items():
            protocols.check_name(name, (*path, "config", *parse_path(at)))


def _check_listening_addresses(config: Config, findings: Findings) -> None:
    """Check that every listener, and the admin server, has an address of its own that can be one."""
    first: dict[str, str] = {}
    for s, server in enumerate(config.servers):
        for index, listener in enumerate(server.listeners):
            path: Path = ("servers", s, "listeners", index, "address")
            address = check_address(listener.address, path, findings)
            if address in first:
                findings.error(path, f"{show(listener.address)} is taken already by {first[address]}", value=listener.address)
            if address:
                first.setdefault(address, f"servers[{s}].listeners[{index}]")
    if config.admin is not None and config.servers:
        check_admin(config.admin, config.server, first, findings)


def _warn_of_idle_parts(config: Config, findings: Findings) -> None:
    """Warn of what nothing leads to."""
    routes = {
        route.route.cluster_name
        for server in config.servers
        for router in server.routers
        for host in router.virtual_hosts
        for route in host.routers
        if route.route is not None
    }
    for index, cluster in enumerate(config.cluster_manager.clusters):
        if cluster.name and cluster.name not in routes:
            findings.warning(("cluster_manager", "clusters", index), f"no route leads to the cluster {show(cluster.name)}")
    for s, server in enumerate(config.servers):
        used = {
            entry.config.router_config_name for one in server.listeners for chain in one.filter_chains for entry in chain.filters
        }
        for index, router in enumerate(server.routers):
            if router.router_config_name and router.router_config_name not in used:
                problem = f"no listener uses the router {show(router.router_config_name)}"
                findings.warning(("servers", s, "routers", index), problem)
        if not server.listeners:
            findings.warning(("servers", s), "there are no listeners: nothing is served")
