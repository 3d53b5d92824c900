"""What MOSN's configuration knows and this version does not serve: each with the feature's name for the error that says so.

Source: MOSN 1.6.0, pkg/config/v2/*.go. A key listed here may be present with an empty value (false, 0, "", {}, [], null),
switched off, or with the value beside it that says what this version does anyway; everything else is an error, because a key that
is read and ignored is the worst kind of documentation.
"""

from typing import NamedTuple

from msgspec import Struct

from mosn_mp.config import model


class Unserved(NamedTuple):
    """A feature that is not in this version, and the values of its key that ask for nothing."""

    feature: str
    harmless: object = None
    switch: str = ""  # the key in its object that is false where the feature is off


_TLS = Unserved("TLS", switch="status")
_PLUGIN = Unserved("a Go plug-in")
_FILES = "a directory of configuration files"
_DNS = Unserved("DNS")
_REWRITE = Unserved("rewriting the path")
_HOST_REWRITE = Unserved("rewriting the host from the cluster or a header")
_METADATA = Unserved("routing by metadata")

UNSERVED_KEYS: dict[type[Struct], dict[str, Unserved]] = {
    model.Config: {
        "tracing": Unserved("tracing", switch="enable"),
        "dynamic_resources": Unserved("xDS"),
        "static_resources": Unserved("xDS"),
        "node": Unserved("xDS"),
        "pprof": Unserved("pprof", switch="debug"),
        "uds_dir": Unserved("a directory for the sockets of an upgrade"),
        "plugin": Unserved("a process plug-in"),
        "extends": Unserved("an extension of the configuration"),
        "wasm_global_plugins": Unserved("WebAssembly"),
    },
    model.Metrics: {
        "sinks": Unserved("a metrics sink of its own (scrape /metrics at the admin address instead)"),
        "stats_matcher": Unserved("a metrics filter"),
        "shm_zone": Unserved("a metrics file by name (counters lie in shared memory anyway)"),
        "shm_size": Unserved("a metrics file by name (counters lie in shared memory anyway)"),
        "flush_mosn": Unserved("flush_mosn"),
        "lazy_flush": Unserved("lazy_flush"),
        "sample": Unserved("a sampling reservoir (histograms have fixed buckets)"),
        "ewma": Unserved("EWMA metrics"),
    },
    model.Server: {
        "global_log_roller": Unserved("log rotation (move the file and send SIGUSR1)"),
        "use_netpoll_mode": Unserved("netpoll mode"),
    },
    model.Listener: {
        "reuseport": Unserved("reuseport for UDP (every worker has its own SO_REUSEPORT socket anyway)"),
        "use_original_dst": Unserved("transparent proxying"),
        "listener_filters": Unserved("a listener filter"),
        "inspector": Unserved("TLS inspection"),
    },
    model.FilterChain: {
        "match": Unserved("choosing a filter chain"),
        "tls_context": _TLS,
        "tls_context_set": _TLS,
    },
    model.NetworkFilter: {"go_plugin_config": _PLUGIN},
    model.StreamFilter: {"go_plugin_config": _PLUGIN},
    model.Proxy: {
        "fallback_for_unknown_protocol": Unserved("falling back to another network filter"),
        "validate_clusters": Unserved("validate_clusters (routes to unknown clusters are errors anyway)", harmless=True),
        "concurrency_num": Unserved("a worker pool per connection"),
    },
    model.ExtendConfig: {
        "Http2": Unserved("HTTP/2"),
        "X": Unserved("an RPC protocol"),
        "dubbo": Unserved("the protocol dubbo"),
        "dubbothrift": Unserved("the protocol dubbothrift"),
        "tars": Unserved("the protocol tars"),
    },
    model.Router: {"router_configs": Unserved(_FILES)},
    model.VirtualHost: {
        "require_tls": Unserved("TLS"),
        "per_filter_config": Unserved("a filter configuration per virtual host"),
    },
    model.Route: {
        "metadata": _METADATA,
        "per_filter_config": Unserved("a filter configuration per route"),
        "request_mirror_policies": Unserved("mirroring"),
    },
    model.Match: {
        "variables": Unserved("matching by variables"),
        "dsl_expressions": Unserved("matching by CEL expressions"),
    },
    model.RouteAction: {
        "cluster_variable": Unserved("a cluster named by a variable"),
        "cluster_header": Unserved("a cluster named by a header"),
        "weighted_clusters": Unserved("splitting traffic between clusters"),
        "hash_policy": Unserved("consistent hashing"),
        "metadata_match": _METADATA,
        "prefix_rewrite": _REWRITE,
        "regex_rewrite": _REWRITE,
        "host_rewrite": Unserved("host_rewrite (add the header 'host' without append instead)"),
        "auto_host_rewrite": _HOST_REWRITE,
        "auto_host_rewrite_header": _HOST_REWRITE,
    },
    model.RetryPolicy: {
        "retry_on": Unserved("retrying"),
        "num_retries": Unserved("retrying"),
        "status_codes": Unserved("retrying"),
    },
    model.ClusterManager: {
        "tls_context": _TLS,
        "cluster_pool_enable": Unserved("cluster_pool_enable"),
        "clusters_configs": Unserved(_FILES),
    },
    model.Cluster: {
        "sub_type": Unserved("sub_type"),
        "mark": Unserved("SO_MARK"),
        "health_check": Unserved("health checking"),
        "spec": Unserved("service discovery"),
        "lb_subset_config": Unserved("balancing within subsets"),
        "original_dst_lb_config": Unserved("transparent proxying"),
        "cluster_manager_tls": _TLS,
        "tls_context": _TLS,
        "lbconfig": Unserved("tuning a balancer"),
        "dns_refresh_rate": _DNS,
        "respect_dns_ttl": _DNS,
        "dns_lookup_family": _DNS,
        "dns_resolvers": _DNS,
        "dns_resolver_file": _DNS,
        "dns_resolver_port": _DNS,
        "slow_start": Unserved("slow start"),
        "cluster_pool_enable": Unserved("cluster_pool_enable"),
    },
    model.Thresholds: {
        "max_pending_requests": Unserved("a limit of waiting requests"),
        "max_requests": Unserved("a limit of active requests"),
        "max_retries": Unserved("retrying"),
    },
    model.Host: {
        "metadata": _METADATA,
        "tls_disable": Unserved("TLS", harmless=True),
    },
}

# Values that MOSN knows of what the catalogue names; the catalogue itself knows what is served.
UNSERVED_PROTOCOLS = ("Http2", "X", "dubbo", "dubbothrift", "tars", "xprotocol")
UNSERVED_BALANCERS = (
    "LB_LEAST_CONNECTION",
    "LB_LEAST_REQUEST",
    "LB_MAGLEV",
    "LB_ORIGINAL_DST",
    "LB_PEAK_EWMA",
    "LB_REQUEST_ROUNDROBIN",
)
UNSERVED_STREAM_FILTERS = (
    "dsl",
    "dubbo_stream",
    "fault",
    "fault_tolerance",
    "flowControlFilter",
    "grpc_metric",
    "gzip",
    "header_to_metadata",
    "istio.stats",
    "jwt_authn",
    "mirror",
    "mixer",
    "payload_limit",
    "proxywasm",
    "rbac",
    "seata",
)


def not_in_this_version(feature: str) -> str:
    """The sentence for a feature that is not served."""
    return f"{feature} is not in this version of mosn_mp"


def asks_for_nothing(value: object, unserved: Unserved) -> bool:
    """True if *value* of an unserved key is empty, switched off, or says what this version does anyway."""
    if not value or value == unserved.harmless:
        return True
    objects = value if isinstance(value, list) else [value]
    return bool(unserved.switch) and all(isinstance(item, dict) and item.get(unserved.switch) is False for item in objects)
