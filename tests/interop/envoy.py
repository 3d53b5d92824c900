"""An Envoy that forwards heads as they are, as far as it can be told to: no ids, no x-forwarded-for, names in their case."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.ports import free_port

TYPES = "type.googleapis.com/envoy.extensions"
KEEP_CASE = {
    "header_key_format": {
        "stateful_formatter": {
            "name": "preserve_case",
            "typed_config": {
                "@type": f"{TYPES}.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig",
                "forward_reason_phrase": True,
            },
        }
    }
}


def address(port: int) -> dict[str, Any]:
    """A port of this machine."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def manager() -> dict[str, Any]:
    """The HTTP side."""
    router = {"@type": f"{TYPES}.filters.http.router.v3.Router", "suppress_envoy_headers": True}
    return {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "generate_request_id": False,
        "use_remote_address": False,
        "skip_xff_append": True,
        "proxy_100_continue": True,
        "server_header_transformation": "PASS_THROUGH",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_protocol_options": {**KEEP_CASE, "accept_http_10": True, "allow_absolute_url": True, "enable_trailers": True},
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": ""}, "route": {"cluster": "hosts"}}]}
            ],
            "request_headers_to_remove": ["x-forwarded-proto"],
        },
        "http_filters": [{"name": "router", "typed_config": router}],
    }


def config(listen: int, host: int) -> dict[str, Any]:
    """The whole configuration."""
    options = {
        "@type": f"{TYPES}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http_protocol_options": {**KEEP_CASE, "enable_trailers": True}},
    }
    cluster = {
        "name": "hosts",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        "load_assignment": {"cluster_name": "hosts", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(host)}}]}]},
    }
    chain = {"filters": [{"name": "http", "typed_config": manager()}]}
    listener = {"name": "front", "address": address(listen), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


class Envoy:
    """Envoy before the host at *host*."""

    def __init__(self, program: str, folder: Path, host: int) -> None:
        self.port = free_port()
        path = folder / "envoy.json"
        path.write_text(json.dumps(config(self.port, host)))
        self.output = folder / "envoy.log"
        command = [program, "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "-l", "warn"]
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ})

    def end(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait(20)
