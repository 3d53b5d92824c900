"""The frozen configuration model: MOSN's JSON keys as typed attributes, for everything that this version serves.

Attributes are named exactly as MOSN's keys (pkg/config/v2/*.go), so a path in an error text, a key in a file and an attribute in
the code are one word; that is why units are not part of the names here. One representation each:

* a wait is a `Seconds`: a float of seconds, written in files as a Go duration (`300ms`, `1m30s`);
* an amount of memory is a `Bytes`: an int, in files a number of bytes or `64KB`, `256MB` (1024-based, as MOSN's shm_size);
* a list is a tuple, an absent object is None, an absent text is "".

Keys of MOSN that this version does not serve are listed in decoding/unserved.py; docs/config.md explains those that it serves.
"""

from mosn_mp.config.model.admin import Admin, AdminAddress, Pipe, SocketAddress
from mosn_mp.config.model.cluster import Cluster, ClusterManager, Host, Keepalive, Thresholds
from mosn_mp.config.model.config import Config, Metrics, Server, ThirdPartCodec, ThirdPartCodecs
from mosn_mp.config.model.listener import (
    AccessLog,
    BoltOptions,
    ExtendConfig,
    FilterChain,
    Http1Options,
    Listener,
    NetworkFilter,
    Proxy,
    StreamFilter,
)
from mosn_mp.config.model.router import (
    DirectResponse,
    HeaderEdits,
    HeaderMatch,
    HeaderToAdd,
    HeaderValue,
    Match,
    Redirect,
    RetryPolicy,
    Route,
    RouteAction,
    Router,
    VirtualHost,
)
from mosn_mp.config.model.values import (
    AUTO,
    DEFAULT_REQUESTS_PER_CONNECTION,
    DEFAULT_ROUTE_TIMEOUT_S,
    HTTP1,
    Bytes,
    Count,
    Deadline,
    Frozen,
    Name,
    PythonPath,
    Seconds,
    SignedSeconds,
)

__all__ = [
    "AUTO",
    "AccessLog",
    "Admin",
    "AdminAddress",
    "BoltOptions",
    "Bytes",
    "Cluster",
    "ClusterManager",
    "Config",
    "Count",
    "DEFAULT_REQUESTS_PER_CONNECTION",
    "DEFAULT_ROUTE_TIMEOUT_S",
    "Deadline",
    "DirectResponse",
    "ExtendConfig",
    "FilterChain",
    "Frozen",
    "HTTP1",
    "HeaderEdits",
    "HeaderMatch",
    "HeaderToAdd",
    "HeaderValue",
    "Host",
    "Http1Options",
    "Keepalive",
    "Listener",
    "Match",
    "Metrics",
    "Name",
    "NetworkFilter",
    "Pipe",
    "Proxy",
    "PythonPath",
    "Redirect",
    "RetryPolicy",
    "Route",
    "RouteAction",
    "Router",
    "Seconds",
    "Server",
    "SignedSeconds",
    "SocketAddress",
    "StreamFilter",
    "ThirdPartCodec",
    "ThirdPartCodecs",
    "Thresholds",
    "VirtualHost",
]
