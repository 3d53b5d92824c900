"""Listeners: their filter chains, the proxy filter and its protocols' options, stream filters, access logs."""

from typing import Annotated, Any

from msgspec import Meta

from mosn_mp.config.model.values import AUTO, HTTP1, Bytes, Count, Deadline, Frozen, Name, PythonPath, Seconds


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
    request_header_timeout: Deadline = 10.0  # as that of HTTP/1, for all other protocols: the connection is closed
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
