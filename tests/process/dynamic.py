"""A program under load whose configuration is changed through its admin API, with a token."""

import http.client
import json
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.process.loaded import Loaded
from tests.process.program import wait_until


class Dynamic(Loaded):
    """As Loaded, with an admin API that takes changes."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.admin_port = free_port()
        address = {"socket_address": {"address": "127.0.0.1", "port_value": self.admin_port}}
        self.token_file = directory / "admin.token"
        self.give_token("f3b1a4d2c5e60798")
        self.config["admin"] = {"address": address, "debug": True, "token_file": "admin.token"}
        self.write()

    def give_token(self, token: str) -> None:
        """Let *token* be in the file, and in what ask() sends."""
        self.token = token
        self.token_file.touch(0o600)
        self.token_file.write_text(f"{token}\n")

    def start(self) -> None:
        """Start, and wait for the admin API too."""
        super().start()
        self.wait_admin()

    def wait_admin(self) -> None:
        """Wait until the admin API answers."""

        def answers() -> bool:
            try:
                return self.ask("GET", "/api/v1/version")[0] == 200
            except OSError:
                return False

        wait_until(answers, "an answer of the admin API")

    def ask(self, method: str, path: str, body: str = "", **headers: str | None) -> tuple[int, str]:
        """Status and body of the admin API's answer; *headers* come beside those that a POST needs, or instead (None: none)."""
        needed = {"content_type": "application/json", "authorization": f"Bearer {self.token}"} if method == "POST" else {}
        sent = {name.replace("_", "-"): value for name, value in (needed | headers).items() if value is not None}
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=30)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def post(self, edit: str, kind: str, config: Any) -> tuple[int, dict[str, Any]]:
        """POST a change: status and answer."""
        status, text = self.ask("POST", f"/debug/{edit}", json.dumps({"type": kind, "config": config}))
        return status, json.loads(text)

    def change(self, edit: str, kind: str, config: Any) -> dict[str, Any]:
        """POST a change that is made: the answer."""
        status, answer = self.post(edit, kind, config)
        assert status == 200, answer
        return answer

    def refusal(self, edit: str, kind: str, config: Any) -> list[str]:
        """POST a change that is refused: the problems."""
        status, answer = self.post(edit, kind, config)
        assert status == 400, answer
        problems: list[str] = answer["problems"]
        return problems

    def dump(self) -> dict[str, Any]:
        """The running configuration."""
        dumped: dict[str, Any] = json.loads(self.ask("GET", "/api/v1/config_dump")[1])
        return dumped

    def cluster(self, *ports: int) -> dict[str, Any]:
        """The cluster that `/up` leads to, with hosts at *ports*."""
        return {"name": "up", "lb_type": "LB_RANDOM", "hosts": [{"address": f"127.0.0.1:{port}"} for port in ports]}

    def router(self, answer: int) -> dict[str, Any]:
        """The router, with another answer at `/`."""
        routes = self.server["routers"][0]["virtual_hosts"][0]["routers"]
        fresh = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": str(answer)}}
        host = {"name": "v", "domains": ["*"], "routers": [*routes[:-1], fresh]}
        return {"router_config_name": "r", "virtual_hosts": [host]}
