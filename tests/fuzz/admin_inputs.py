"""What the fuzzer of the admin API makes its inputs of, and the program that they are sent to."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from mosn_mp.admin.access import Access
from mosn_mp.admin.source import Stats
from mosn_mp.config.model import Config
from mosn_mp.controller.edits import check_edit
from mosn_mp.ipc.report import ReloadReport

TOKEN = "the-token-that-nobody-guesses"
PATHS = [
    *("version", "config_dump", "stats", "stats_glob", "update_loglevel", "get_loglevel", "enable_log", "disable_log", "states"),
    *("features", "env?key=HOME", "env?key=SHOWN&key=", "config_dump?cluster=c", "config_dump?%ff=%", "stats?key=downstream.x"),
]
BODIES = [
    b"",
    b"/var/log/mosn.log",
    b'{"log_path": "/var/log/mosn.log", "log_level": "DEBUG"}',
    b'{"log_path": {"a": [1e999, -0, 99999999999999999999]}, "log_level": null}',
    b"[" * 300,
    b"\xff\xfe\x00",
]
HOSTS = [*4 * [b"localhost"], b"10.0.0.1:34901", b"proxy.example", b"evil.example", b"[::1]", b"", b"a:b"]
JSON_TYPE = b"Content-Type: application/json"
HEADERS = [
    *(b"Content-Type: text/plain", b"Content-Type: application/json; charset=\xe9", b"X: \x00", b"Authorization: \xff"),
    b"Content-Length: 5",
    *(b"Origin: http://localhost", b"Origin: null", b"Origin: http://evil.example", b"Sec-Fetch-Site: cross-site"),
    *(b"Sec-Fetch-Site: none", b"Authorization: Bearer", b"Authorization: Bearer the-token-that-nobody-guesse"),
    *(b"Expect: 100-continue", b"Connection: close", b"Connection: a,b,c,Authorization", b"Transfer-Encoding: chunked"),
    *(b"Content-Length: 99999999999", b"Upgrade: websocket\r\nConnection: upgrade", b"Connection:" + b"x," * 100),
]
LINES = [b"%s %s HTTP/1.1", b"%s %s HTTP/1.0", b"%s http://localhost%s HTTP/1.1", b"%s %s HTTP/2.0", b"%s %s"]
METHODS = [b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"TRACE", b"get", b"P\x00ST"]
WORDS = [
    *(b"\r\n", b"\n", b"\r\n\r\n", b":", b" ", b"\x00", b"\xff", b"%", b"%00", b"?", b"&", b"="),
    *(b"5\r\nhello\r\n0\r\n\r\n", b"A" * 5000),
]
EDIT_WORDS = [
    *(b"{", b"}", b"[", b"]", b",", b'"', b"null", b"true", b"-1", b"1e999", b"9" * 50, b'"\\ud800"', b"\xff", b"[" * 70),
    *(b'"name"', b'"config"', b'"type"', b'"listener"', b'"cluster"', b'"router"', b'"extend"', b'"hosts"', b'"address"'),
    *(b'"127.0.0.1:1"', b'"route"', b'"*"', b"\\u0000"),
]
TREE: dict[str, Any] = {
    "servers": [
        {
            "listeners": [
                {
                    "name": "l",
                    "address": "127.0.0.1:2045",
                    "filter_chains": [{"filters": [{"type": "proxy", "config": {"router_config_name": "r"}}]}],
                }
            ],
            "routers": [
                {
                    "router_config_name": "r",
                    "virtual_hosts": [
                        {"name": "v", "domains": ["*"], "routers": [{"match": {"prefix": "/"}, "route": {"cluster_name": "c"}}]}
                    ],
                }
            ],
        }
    ],
    "cluster_manager": {"clusters": [{"name": "c", "hosts": [{"address": "127.0.0.1:8080"}]}]},
}
EDIT_BODIES = [
    {"type": "listener", "config": TREE["servers"][0]["listeners"][0]},
    {"type": "router", "config": TREE["servers"][0]["routers"][0]},
    {"type": "cluster", "config": TREE["cluster_manager"]["clusters"][0]},
    {"type": "extend", "config": [{"type": "x", "config": {}}]},
    {"type": "add", "config": {"router_config_name": "r", "domain": "*", "route": {"match": {"path": "/"}, "redirect": {}}}},
    {"type": "remove", "config": {"router_config_name": "r", "domain": "a.example"}},
    {"cluster": "c", "address": "127.0.0.1:8080", "weight": 7},
]


class Source:
    """A program that says little, and counts what is done to it."""

    def __init__(self, config: Config) -> None:
        self.done = 0
        self._config = config
        self.problems: Counter[bool] = Counter()

    def version(self) -> str:
        return "1"

    def pid(self) -> int:
        return 1

    def state(self) -> int:
        return 6

    def config(self) -> dict[str, Any]:
        return TREE

    def stats(self) -> Stats:
        return {"downstream": {"x": {"request_total": "1"}}}

    def prometheus(self) -> bytes:
        return b"x 1\n"

    def log_levels(self) -> Mapping[str, str]:
        return {"/var/log/mosn.log": "INFO"}

    def set_log_level(self, log_path: str, level: str) -> bool:
        self.done += 1
        return log_path == "/var/log/mosn.log"

    def set_log_enabled(self, log_path: str, enabled: bool) -> bool:
        self.done += 1
        return log_path == "/var/log/mosn.log"

    def features(self) -> Mapping[str, bool]:
        return {"auto_config": False}

    def env(self, name: str) -> str | None:
        return "shown"

    def shown_env(self) -> Collection[str]:
        return ("SHOWN",)

    def access(self) -> Access:
        return Access(frozenset({"proxy.example"}), TOKEN.encode())

    def takes_changes(self) -> bool:
        return True

    def file_problem(self) -> str:
        return ""

    def change(self, edit: str, body: bytes) -> ReloadReport:
        self.done += 1
        report = check_edit(self._config, edit, body, "/nowhere/fuzz.json")
        self.problems[bool(report.errors)] += 1
        problems = tuple(map(str, report.errors))
        return ReloadReport(ok=not problems, version=2, took_s=0.0, workers_before=1, workers=1, problems=problems)
