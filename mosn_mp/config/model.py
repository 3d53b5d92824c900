"""The frozen configuration model: MOSN's JSON keys as typed attributes, for everything that this version serves.

Attributes are named exactly as MOSN's keys (pkg/config/v2/*.go), so a path in an error text, a key in a file and an attribute in
the code are one word; that is why units are not part of the names here. One representation each:

* a wait is a `Seconds`: a float of seconds, written in files as a Go duration (`300ms`, `1m30s`);
* an amount of memory is a `Bytes`: an int, in files a number of bytes or `64KB`, `256MB` (1024-based, as MOSN's shm_size);
* a list is a tuple, an absent object is None, an absent text is "".

Keys of MOSN that this version does not serve are listed in decoding/unserved.py; docs/config.md explains those that it serves.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(ge=0, extra={"unit": "duration"})]
Deadline = Annotated[float, Meta(gt=0, extra={"unit": "duration"})]  # Seconds of a wait that must end
SignedSeconds = Annotated[float, Meta(extra={"unit": "duration"})]
Bytes = Annotated[int, Meta(ge=0, extra={"unit": "size"})]
Count = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1)]
PythonPath = Annotated[tuple[Name, ...], Meta(extra={"one_or_many": True})]  # directories, absolute after load()

DEFAULT_ROUTE_TIMEOUT_S = 60.0  # MOSN's types.GlobalTimeout
DEFAULT_REQUESTS_PER_CONNECTION = 1024  # MOSN's cluster default
HTTP1 = "Http1"
AUTO = "Auto"  # downstream_protocol: whatever the client speaks


class Frozen(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all configuration structs: immutable, compared by value, built by keyword."""


class HeaderMatch(Frozen, frozen=True, kw_only=True):
    """One header a request must carry: equal to *value*, or found by it as a regular expression."""

    name: Name
    value: str = ""
    regex: bool = False


class Match(Frozen, frozen=True, kw_only=True):
    """Which requests a route takes: at most one of prefix, path and regex, and all of the headers."""

    prefix: str = ""
    path: str = ""  # compared without regard to case, as MOSN does
    regex: str = ""  # searched for in the path, not anchored
    headers: tuple[HeaderMatch, ...] = ()


class HeaderValue(Frozen, frozen=True, kw_only=True):
    """A header's name and value."""

    key: Name
    value: str = ""


class HeaderToAdd(Frozen, frozen=True, kw_only=True):
    """A header to add; without *append* it replaces what the message carries by that name."""

    header: HeaderValue
    append: bool = True


class HeaderEdits(Frozen, frozen=True, kw_only=True):
    """The header edits that a router, a virtual host and a route action have alike."""

    request_headers_to_add: tuple[HeaderToAdd, ...] = ()
    request_headers_to_remove: tuple[Name, ...] = ()
    response_headers_to_add: tuple[HeaderToAdd, ...] = ()
    response_headers_to_remove: tuple[Name, ...] = ()


class RetryPolicy(Frozen, frozen=True, kw_only=True):
    """How a route treats a failed attempt; of MOSN's keys this version serves the deadline of one try."""

    retry_timeout: Seconds = 0.0  # 0 = no deadline of its own


class RouteAction(HeaderEdits, frozen=True, kw_only=True):
    """Send the request to a cluster."""

    cluster_name: Name
    timeout: SignedSeconds = DEFAULT_ROUTE_TIMEOUT_S  # of the whole request; negative = none, 0 in the file = the default
    retry_policy: RetryPolicy = RetryPolicy()
    upstream_protocol: str = ""  # "" = the proxy's


class Redirect(Frozen, frozen=True, kw_only=True):
    """Answer with a Location built from the request's own URL and the parts given here."""

    response_code: Annotated[int, Meta(extra={"choices": (301, 302, 303, 307, 308)})] = 301
    path_redirect: str = ""
    host_redirect: str = ""
    scheme_redirect: str = ""


class DirectResponse(Frozen, frozen=True, kw_only=True):
    """Answer without asking anybody."""

    status: Annotated[int, Meta(ge=200, le=599)] = 200
    body: str = ""


class Route(Frozen, frozen=True, kw_only=True):
    """One rule of a virtual host (an entry of MOSN's `routers`): a match and exactly one of the three actions."""

    match: Match
    route: RouteAction | None = None
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None


class VirtualHost(HeaderEdits, frozen=True, kw_only=True):
    """The routes of some domains, tried in order."""

    name: str = ""
    domains: Annotated[tuple[Name, ...], Meta(min_length=1)]
    routers: tuple[Route, ...] = ()


class Router(HeaderEdits, frozen=True, kw_only=True):
    """A router configuration, named by the proxy filters that use it."""

    router_config_name: Name
    virtual_hosts: tuple[VirtualHost, ...] = ()


class Http1Options(Frozen, frozen=True, kw_only=True):
    """Limits and deadlines of HTTP/1 connections from clients."""

    # a head has to fit into the largest block of the arena, its fields into the table of a Head
    max_header_size: Annotated[int, Meta(ge=256, le=61440, extra={"unit": "size"})] = 61440  # Envoy's 60 KiB; beyond: 431
    max_header_count: Annotated[int, Meta(ge=1, le=1024)] = 100  # Envoy's; beyond: 431
    max_uri_size: Annotated[int, Meta(ge=64, le=61440, extra={"unit": "size"})] = 8192  # nginx's; beyond: 414
    max_request_body_size: Bytes = 0  # 0 = unlimited; beyond: 413
    request_header_timeout: Deadline = 10.0  # first byte to complete head; then 408
    request_body_timeout: Deadline = 60.0  # without a byte of a body; then 408
    request_body_min_rate: Bytes = 240  # per second of waiting, as IIS and Kestrel; 0 = any byte will do
    max_requests_per_connection: Count = 0  # 0 = unlimited
    reject_underscores: bool = False  # header names with an underscore: 400
    allow_half_close: bool = False  # a client's FIN during a request is no departure


class BoltOptions(Frozen, frozen=True, kw_only=True):
    """Options of bolt connections from clients."""

    enable_bolt_goaway: bool = False  # SOFABolt clients close the connection on it
    max_frame_size: Annotated[int, Meta(ge=64, le=0x7FFFFFFF, extra={"unit": "size"})] = 8 << 20  # beyond: closed unread


class ExtendConfig(Frozen, frozen=True, kw_only=True):
    """Options of a proxy filter, keyed by protocol."""

    Http1: Http1Options = Http1Options()
    bolt: BoltOptions = BoltOptions()
    boltv2: BoltOptions = BoltOptions()


class Proxy(Frozen, frozen=True, kw_only=True):
    """The network filter `proxy`: requests, routed one by one."""

    name: str = ""
    downstream_protocol: Name = HTTP1  # one, several separated by commas, or AUTO
    upstream_protocol: str = ""  # "" = what the client speaks; filled in by load() where that can be but one
    router_config_name: Name
    router_handler_name: Annotated[str, Meta(extra={"choices": ("", "default")})] = "default"
    extend_config: ExtendConfig = ExtendConfig()
    long_timeouts_from: tuple[Name, ...] = ()  # addresses and networks; other clients' timeouts are capped by their route's

    @property
    def downstream_protocols(self) -> tuple[str, ...]:
        """The names in downstream_protocol, in its order; () = every protocol there is."""
        names = tuple(name.strip() for name in self.downstream_protocol.split(","))
        return () if names == (AUTO,) else names


class NetworkFilter(Frozen, frozen=True, kw_only=True):
    """An entry of a filter chain."""

    type: Annotated[
        str,
        Meta(
            extra={
                "decides": True,
                "what": "network filter",
                "choices": ("proxy",),
                "later": ("tcp_proxy", "udp_proxy", "grpc", "tunnel", "connection_manager", "fault_inject", "rbac"),
            }
        ),
    ]
    config: Proxy


class FilterChain(Frozen, frozen=True, kw_only=True):
    """What serves the connections of a listener."""

    filters: Annotated[tuple[NetworkFilter, ...], Meta(min_length=1, max_length=1)]


class StreamFilter(Frozen, frozen=True, kw_only=True):
    """A stream filter: a name of the catalogue, an entry point or `package.module:Class`, with its own configuration as read."""

    type: Name
    config: dict[str, Any] = {}
    python_path: PythonPath = ()


class AccessLog(Frozen, frozen=True, kw_only=True):
    """One access log of a listener."""

    log_path: str = ""  # filled in by load(): <base>/logs/<listener>_access.log
    log_format: str = ""  # "" = MOSN's default format
    python_path: PythonPath = ()  # where `%package.module:function%` is looked for


class Listener(Frozen, frozen=True, kw_only=True):
    """An address where clients connect, and what serves them."""

    name: str = ""  # filled in by load(): the address
    type: Annotated[str, Meta(extra={"choices": ("", "ingress", "egress")})] = ""
    address: Name  # ip:port, [ip6]:port
    bind_port: Annotated[bool, Meta(extra={"only": (True, "a listener without a socket (for transparent proxying)")})] = True
    network: Annotated[str, Meta(extra={"what": "network", "choices": ("tcp",), "later": ("udp", "unix")})] = "tcp"
    access_logs: tuple[AccessLog, ...] = ()
    filter_chains: Annotated[tuple[FilterChain, ...], Meta(min_length=1, max_length=1)]
    stream_filters: tuple[StreamFilter, ...] = ()
    connection_idle_timeout: Seconds = 90.0  # MOSN's; of a keep-alive connection between requests
    default_read_buffer_size: Bytes = 0  # 0 = one small block of the arena
    max_connections: Count = 0  # 0 = only the limit of the server
    backlog: Annotated[int, Meta(ge=1, le=65535)] = 4096
    write_timeout: Deadline = 15.0  # MOSN's; of a write on which the client reads nothing
    write_min_rate: Bytes = 240  # per second of waiting, as IIS and Kestrel; 0 = any byte will do

    @property
    def proxy(self) -> Proxy:
        """The configuration of the listener's one network filter."""
        return self.filter_chains[0].filters[0].config


class Server(Frozen, frozen=True, kw_only=True):
    """The one server of a configuration."""

    mosn_server_name: str = ""
    user: str = ""  # controller and workers run as this one; "" = as whoever started the program
    group: str = ""  # "" = the user's own
    default_log_path: str = ""  # filled in by load(): <base>/logs/mosn.log; also stdout, stderr
    default_log_level: Annotated[str, Meta(extra={"choices": ("FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE")})] = "INFO"
    graceful_timeout: Seconds = 30.0
    processor: Annotated[int, Meta(ge=1, le=250)] | Literal["auto"] = "auto"  # workers; below 255: the owner byte of arena blocks
    max_connections: Count = 0  # 0 = derived from RLIMIT_NOFILE
    worker_stall_timeout: Seconds = 2.0  # a worker whose loop stands still for this long is replaced; 0 = never
    rebalance_interval: Seconds = 10.0  # between looks at how evenly workers have connections; 0 = only `mosn_mp rebalance`
    worker_memory_limit: Bytes = 0  # of a worker's own memory; a fatter one is replaced and drained; 0 = none
    arena_size: Annotated[int, Meta(ge=1 << 20, extra={"unit": "size"})] = 256 << 20
    listeners: tuple[Listener, ...] = ()
    routers: tuple[Router, ...] = ()


class Host(Frozen, frozen=True, kw_only=True):
    """One address of a cluster."""

    address: Name  # ip:port, [ip6]:port
    hostname: str = ""
    weight: Annotated[int, Meta(ge=1, le=128)] = 1


class Thresholds(Frozen, frozen=True, kw_only=True):
    """Limits of a cluster (an entry of MOSN's `circuit_breakers`)."""

    max_connections: Count = 0  # 0 = unlimited


class Keepalive(Frozen, frozen=True, kw_only=True):
    """Heartbeats on idle connections to hosts, in protocols that have them."""

    interval: Deadline = 15.0  # MOSN's read timeout
    timeout: Deadline = 1.0


class Cluster(Frozen, frozen=True, kw_only=True):
    """Hosts that do the same work, and how one of them is picked and connected to."""

    name: Name
    type: Annotated[
        str,
        Meta(
            extra={
                "what": "cluster type",
                "choices": ("SIMPLE", "STATIC"),
                "later": ("DYNAMIC", "EDS", "ORIGINAL_DST", "STRICT_DNS"),
            }
        ),
    ] = "SIMPLE"
    lb_type: Name = "LB_ROUNDROBIN"
    max_request_per_conn: Count = DEFAULT_REQUESTS_PER_CONNECTION  # 0 in the file = the default, as in MOSN
    conn_buffer_limit_bytes: Bytes = 16384
    circuit_breakers: Annotated[tuple[Thresholds, ...], Meta(max_length=1)] = ()
    hosts: tuple[Host, ...] = ()
    connect_timeout: Deadline = 10.0
    idle_timeout: Seconds = 0.0  # 0 = never
    keepalive: Keepalive = Keepalive()

    @property
    def max_connections(self) -> int:
        """The most connections to all hosts together, 0 = unlimited."""
        return self.circuit_breakers[0].max_connections if self.circuit_breakers else 0


class ClusterManager(Frozen, frozen=True, kw_only=True):
    """The clusters."""

    clusters: tuple[Cluster, ...] = ()


class SocketAddress(Frozen, frozen=True, kw_only=True):
    """An IP address and a port, in Envoy's words."""

    address: Name
    port_value: Annotated[int, Meta(ge=1, le=65535)]


class Pipe(Frozen, frozen=True, kw_only=True):
    """A Unix socket, in Envoy's words."""

    path: Name  # absolute after load()
    mode: Annotated[str, Meta(extra={"choices": ("0600", "0660"), "what": "mode"})] = "0600"


class AdminAddress(Frozen, frozen=True, kw_only=True):
    """Envoy's wrapper around a SocketAddress or a Pipe; here it may be both, and has to be one."""

    socket_address: SocketAddress | None = None
    pipe: Pipe | None = None


class Admin(Frozen, frozen=True, kw_only=True):
    """Where the admin API listens, and whom it answers."""

    address: AdminAddress
    debug: bool = False  # MOSN's build tag mosn_debug: serve /debug/update_config and /debug/update_route
    hosts: tuple[Name, ...] = ()  # names of this server in Host, beside loopback's and the addresses that it listens at
    token_file: str = ""  # absolute after load(); "" = there is no token
    unauthenticated_changes: bool = False  # POST takes no token
    env: tuple[Name, ...] = ()  # environment variables that are shown


class Metrics(Frozen, frozen=True, kw_only=True):
    """MOSN's metrics options, none of which is served yet: the admin address serves /metrics and /api/v1/stats."""


class ThirdPartCodec(Frozen, frozen=True, kw_only=True):
    """A file that adds a protocol."""

    enable: bool = False
    type: Name
    path: Name  # absolute after load()
    loader_func_name: Name = "LoadCodec"  # MOSN's
    config: dict[str, Any] = {}


class ThirdPartCodecs(Frozen, frozen=True, kw_only=True):
    """Protocols of the user's own."""

    codecs: tuple[ThirdPartCodec, ...] = ()


class Config(Frozen, frozen=True, kw_only=True):
    """A whole configuration, as one file or snapshot holds it."""

    servers: Annotated[tuple[Server, ...], Meta(min_length=1, max_length=1)]
    cluster_manager: ClusterManager = ClusterManager()
    disable_upgrade: bool = False
    close_graceful: bool = False  # MOSN's old name for disable_upgrade
    inherit_old_mosnconfig: bool = False  # an upgrade serves what the old process serves, not what the file says
    pid: str = ""  # filled in by load(): <base>/logs/mosn.pid
    admin: Admin | None = None  # None = no admin server
    metrics: Metrics = Metrics()
    third_part_codec: ThirdPartCodecs = ThirdPartCodecs()

    @property
    def server(self) -> Server:
        """The one entry of servers."""
        return self.servers[0]
