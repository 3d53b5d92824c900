"""Runs the load test: upstream.py, the proxy and locust; exit code 0 when every limit of scenarios.py is met."""

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
START_S = 10
STOP_S = 20


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cluster(name: str, port: int) -> dict[str, object]:
    """A cluster of one host on this machine."""
    return {"name": name, "type": "SIMPLE", "lb_type": "LB_ROUNDROBIN", "hosts": [{"address": f"127.0.0.1:{port}"}]}


def config(folder: Path, workers: int, port: int, good: int, broken: int) -> dict[str, object]:
    """A front listener with a route to each host, and none for what else is asked."""
    routes = [{"match": {"path": f"/{p}"}, "route": {"cluster_name": "good"}} for p in ("small", "large", "stream", "upload")]
    routes += [{"match": {"path": f"/{p}"}, "route": {"cluster_name": p}} for p in ("broken", "refused")]
    proxy = {"downstream_protocol": "Http1", "upstream_protocol": "Http1", "router_config_name": "all"}
    listener = {
        "name": "front",
        "address": f"127.0.0.1:{port}",
        "bind_port": True,
        "filter_chains": [{"filters": [{"type": "proxy", "config": proxy}]}],
    }
    router = {"router_config_name": "all", "virtual_hosts": [{"name": "all", "domains": ["*"], "routers": routes}]}
    server = {"default_log_path": str(folder / "mosn.log"), "processor": workers, "listeners": [listener], "routers": [router]}
    clusters = [cluster("good", good), cluster("broken", broken), cluster("refused", free_port())]
    return {"pid": str(folder / "mosn.pid"), "servers": [server], "cluster_manager": {"clusters": clusters}}


def wait_until_served(process: subprocess.Popen[bytes], port: int) -> None:
    """Return when *port* is listened on; exit with a sentence when *process* ends or takes too long."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"mosn_mp does not listen on port {port} {START_S} s after its start: its messages are above.")


def parse_arguments() -> argparse.Namespace:
    """The options of `scripts/loadtest`."""
    parser = argparse.ArgumentParser(prog="scripts/loadtest", description=__doc__)
    parser.add_argument("--users", type=int, default=32, help="clients at once (default 32)")
    parser.add_argument("--seconds", type=int, default=20, help="how long (default 20)")
    parser.add_argument("--workers", type=int, default=1, help="worker processes of the proxy (default 1)")
    parser.add_argument("--web", action="store_true", help="locust's web page instead of a headless run")
    return parser.parse_args()


def run(arguments: argparse.Namespace, folder: Path) -> int:
    """Start everything, run locust, stop everything; the exit code."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        upstream = subprocess.Popen([sys.executable, HERE / "upstream.py"], stdout=subprocess.PIPE)
        started.append(upstream)
        assert upstream.stdout
        good, broken = map(int, upstream.stdout.readline().split())
        port = free_port()
        path = folder / "mosn.json"
        path.write_text(json.dumps(config(folder, arguments.workers, port, good, broken), indent=1))
        proxy = subprocess.Popen([Path(sys.executable).parent / "mosn_mp", "start", "-c", path])
        started.append(proxy)
        wait_until_served(proxy, port)
        command = [sys.executable, "-m", "locust", "-f", str(HERE / "scenarios.py"), "--host", f"http://127.0.0.1:{port}"]
        if not arguments.web:
            command += ["--headless", "--only-summary", "--users", str(arguments.users), "--spawn-rate", str(arguments.users)]
            command += ["--run-time", f"{arguments.seconds}s", "--stop-timeout", "10"]
        code = subprocess.run(command, cwd=folder).returncode
        if proxy.poll() is not None:
            print(f"mosn_mp ended by itself during the test (exit code {proxy.returncode})")
            return 1
        proxy.terminate()
        if proxy.wait(STOP_S):
            print(f"mosn_mp ended with exit code {proxy.returncode} when it was asked to stop")
            return 1
        return code
    finally:
        for process in reversed(started):
            if process.poll() is None:
                process.terminate()
                process.wait(STOP_S)


def main() -> int:
    """0 when every limit was met."""
    folder = Path(tempfile.mkdtemp(prefix="mosn_mp-loadtest-"))
    try:
        code = run(parse_arguments(), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("load test passed" if code == 0 else "load test FAILED")
    return int(code != 0)


if __name__ == "__main__":
    sys.exit(main())
