"""What load() fills in, so that whoever serves a configuration finds every value in it: names, file paths, MOSN's zeros.

Relative paths start at the base directory: the parent of the configuration file's directory where that is called `conf`, `config`
or `configs` (MOSN's layout, pkg/types/config.go), else that directory itself. So `stop -c FILE` finds the pid file from anywhere.
Only python_path and the files of third_part_codec start at the configuration file's own directory: code that lies beside it.
"""

import os.path

from msgspec.structs import replace

from mosn_mp.config.model import (
    DEFAULT_REQUESTS_PER_CONNECTION,
    DEFAULT_ROUTE_TIMEOUT_S,
    AccessLog,
    Admin,
    Cluster,
    Config,
    FilterChain,
    Listener,
    NetworkFilter,
    Route,
    Router,
    Server,
    StreamFilter,
    ThirdPartCodec,
)

NO_FILE = ("stdout", "stderr", "/dev/stdout", "/dev/stderr")  # log paths that are not files of ours


def base_directory(file: str) -> str:
    """The directory that relative paths of the configuration *file* start at."""
    directory = os.path.dirname(os.path.abspath(file))
    return os.path.dirname(directory) if os.path.basename(directory) in ("conf", "config", "configs") else directory


def fill_defaults(config: Config, file: str) -> Config:
    """*config* with everything filled in that its *file* leaves out or says relative to itself."""
    base = base_directory(file)
    directory = os.path.dirname(os.path.abspath(file))
    manager = config.cluster_manager
    codecs = config.third_part_codec
    return replace(
        config,
        servers=tuple(_fill_server(server, base, directory) for server in config.servers),
        third_part_codec=replace(codecs, codecs=tuple(_fill_codec(codec, directory) for codec in codecs.codecs)),
        cluster_manager=replace(manager, clusters=tuple(map(_fill_cluster, manager.clusters))),
        pid=os.path.join(base, config.pid or "logs/mosn.pid"),
        admin=_fill_admin(config.admin, base) if config.admin is not None else None,
    )


def _fill_admin(admin: Admin, base: str) -> Admin:
    pipe = admin.address.pipe
    if pipe is not None:
        pipe = replace(pipe, path=os.path.join(base, pipe.path) if pipe.path else "")
    token_file = os.path.join(base, admin.token_file) if admin.token_file else ""
    return replace(admin, address=replace(admin.address, pipe=pipe), token_file=token_file)


def _fill_server(server: Server, base: str, config_directory: str) -> Server:
    return replace(
        server,
        default_log_path=_log_path(server.default_log_path or "logs/mosn.log", base),
        listeners=tuple(_fill_listener(listener, base, config_directory) for listener in server.listeners),
        routers=tuple(map(_fill_router, server.routers)),
        read_only_paths=_directories(server.read_only_paths, base),
        read_write_paths=_directories(server.read_write_paths, base),
    )


def _log_path(path: str, base: str) -> str:
    return path if path in NO_FILE or path.startswith("syslog") else os.path.join(base, path)


def _fill_listener(listener: Listener, base: str, config_directory: str) -> Listener:
    name = listener.name or listener.address
    return replace(
        listener,
        name=name,
        access_logs=tuple(_fill_access_log(log, name, base, config_directory) for log in listener.access_logs),
        filter_chains=tuple(map(_fill_chain, listener.filter_chains)),
        stream_filters=tuple(_fill_stream_filter(entry, config_directory) for entry in listener.stream_filters),
    )


def _fill_access_log(log: AccessLog, listener: str, base: str, config_directory: str) -> AccessLog:
    default = f"logs/{listener.replace('/', '_')}_access.log"
    path = _log_path(log.log_path or default, base)
    return replace(log, log_path=path, python_path=_directories(log.python_path, config_directory))


def _fill_chain(chain: FilterChain) -> FilterChain:
    return replace(chain, filters=tuple(map(_fill_proxy, chain.filters)))


def _fill_proxy(entry: NetworkFilter) -> NetworkFilter:
    proxy = entry.config
    if proxy.upstream_protocol or len(proxy.downstream_protocols) != 1:
        return entry
    return replace(entry, config=replace(proxy, upstream_protocol=proxy.downstream_protocol))


def _fill_codec(codec: ThirdPartCodec, config_directory: str) -> ThirdPartCodec:
    return replace(codec, path=os.path.normpath(os.path.join(config_directory, codec.path)) if codec.path else "")


def _fill_stream_filter(entry: StreamFilter, config_directory: str) -> StreamFilter:
    return replace(entry, python_path=_directories(entry.python_path, config_directory))


def _directories(paths: tuple[str, ...], start: str) -> tuple[str, ...]:
    return tuple(os.path.normpath(os.path.join(start, path)) for path in paths)


def _fill_router(router: Router) -> Router:
    if all(_fill_route(route) is route for host in router.virtual_hosts for route in host.routers):
        return router
    hosts = (replace(host, routers=tuple(map(_fill_route, host.routers))) for host in router.virtual_hosts)
    return replace(router, virtual_hosts=tuple(hosts))


def _fill_route(route: Route) -> Route:
    if route.route is None or route.route.timeout != 0:
        return route
    return replace(route, route=replace(route.route, timeout=DEFAULT_ROUTE_TIMEOUT_S))


def _fill_cluster(cluster: Cluster) -> Cluster:
    return cluster if cluster.max_request_per_conn else replace(cluster, max_request_per_conn=DEFAULT_REQUESTS_PER_CONNECTION)
