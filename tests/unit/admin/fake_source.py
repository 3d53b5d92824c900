"""What the admin API asks of the program, answered from a few values."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mosn_mp.admin.access import Access
from mosn_mp.admin.source import Stats
from mosn_mp.ipc.report import Changes, Delta, ReloadReport

CONFIG: dict[str, Any] = {
    "servers": [
        {
            "default_log_level": "INFO",
            "listeners": [
                {"name": "front", "address": "127.0.0.1:80", "filter_chains": [{"tls_context": {"private_key": "PEM"}}]},
                {"name": "", "address": "127.0.0.1:81", "access_logs": [{"log_path": "/var/a.log"}]},
            ],
            "routers": [{"router_config_name": "main", "virtual_hosts": []}],
        }
    ],
    "cluster_manager": {"tls_context": {"private_key": "/etc/key.pem"}, "clusters": [{"name": "web"}, {"name": "api"}]},
    "extends": [{"config": {"api_password": "x", "inline": "-----BEGIN PRIVATE KEY-----\nabc"}}],
}


class FakeSource:
    """A program with two listeners and two clusters, that takes changes when `is_debug`."""

    def __init__(self) -> None:
        self.levels = {"/var/mosn.log": "INFO"}
        self.enabled = {"/var/mosn.log": True}
        self.is_debug = False
        self.edits: list[tuple[str, bytes]] = []

    def version(self) -> str:
        return "1.2.3"

    def pid(self) -> int:
        return 77

    def state(self) -> int:
        return 6

    def config(self) -> dict[str, Any]:
        return CONFIG

    def stats(self) -> Stats:
        return {
            "downstream": {"proxy.global": {"request_total": 5, "request_active": 0}, "listener.front": {"request_total": 5}},
            "upstream": {"cluster.web": {"request_total": 4}},
        }

    def prometheus(self) -> Iterator[bytes]:
        yield b"downstream_request_total 5\n"

    def log_levels(self) -> Mapping[str, str]:
        return self.levels

    def set_log_level(self, log_path: str, level: str) -> bool:
        if (log_path or "/var/mosn.log") not in self.levels:
            return False
        self.levels[log_path or "/var/mosn.log"] = level
        return True

    def set_log_enabled(self, log_path: str, enabled: bool) -> bool:
        if log_path not in self.enabled:
            return False
        self.enabled[log_path] = enabled
        return True

    def features(self) -> Mapping[str, bool]:
        return {"auto_config": False, "PayLoadLimitEnable": True}

    def env(self, name: str) -> str | None:
        return {"HOME": "/root", "PASSWORD": "hunter2"}.get(name)

    def shown_env(self) -> Collection[str]:
        return ("HOME", "NOPE")

    def access(self) -> Access:
        return Access(token=b"0123456789abcdef")

    def file_problem(self) -> str:
        return ""

    def takes_changes(self) -> bool:
        return self.is_debug

    def change(self, edit: str, body: bytes) -> ReloadReport:
        if body == b"lost":
            raise TimeoutError
        self.edits.append((edit, body))
        changes = Changes(clusters=Delta(added=("web",)), warnings=("nothing leads to it",))
        problems = ("config.name: no", "config.hosts: none") if body == b"bad" else ()
        return ReloadReport(
            ok=not problems, version=2, took_s=0.0123, workers_before=1, workers=1, changes=changes, problems=problems
        )
