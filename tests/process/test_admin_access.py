"""The border of the admin API, in the real program: web pages in a browser, strangers on the network, users of the machine."""

import contextlib
import http.client
import json
import os
import pwd
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.dynamic import Dynamic
from tests.process.program import say, wait_until

FLOOD = 1000
EVIL = "http://evil.example"
OTHER = pwd.getpwnam("nobody")
TALK = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode())
print(s.recv(99))
"""
ASK = "GET /api/v1/version HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dynamic]:
    """With a token, and without anything else of this page."""
    made = Dynamic(tmp_path_factory.mktemp("guarded"))
    made.environment |= {"SECRET_OF_MINE": "hunter2", "SHOWN": "to all"}
    made.config["admin"] |= {"env": ["SHOWN"], "hosts": ["proxy.example"]}
    made.write()
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Dynamic]:
    """Not started, in a directory where another user may look."""
    made = Dynamic(tmp_path)
    try:
        yield made
    finally:
        made.end()


def changes(program: Dynamic, **headers: str | None) -> set[int]:
    """The status of each kind of POST that changes something."""
    router = json.dumps({"type": "router", "config": program.router(99)})
    bodies = {
        "/api/v1/update_loglevel": json.dumps({"log_path": "", "log_level": "FATAL"}),
        "/api/v1/disable_log": str(program.log),
        "/debug/update_config": router,
        "/debug/update_route": "{}",
    }
    return {program.ask("POST", path, body, **headers)[0] for path, body in bodies.items()}


def test_a_name_that_was_turned_to_this_machine_reads_and_changes_nothing(guarded: Dynamic) -> None:
    for path in ("/api/v1/env?key=SECRET_OF_MINE", "/api/v1/env?key=SHOWN", "/api/v1/config_dump", "/metrics", "/"):
        status, text = guarded.ask("GET", path, host=f"rebound.example:{guarded.admin_port}")
        assert status == 421 and "admin.hosts" in text and "hunter2" not in text
    assert changes(guarded, host="rebound.example") == {421}
    assert guarded.ask("GET", "/api/v1/version", host="proxy.example:80")[0] == 200
    assert guarded.ask("GET", "/api/v1/version", host=f"localhost:{guarded.admin_port}")[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": EVIL}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
        ({"content_type": None}, 415),
        ({"authorization": None}, 401),
        ({"authorization": "Bearer f3b1a4d2c5e60799"}, 401),
        ({"authorization": None, "content_type": "text/plain", "origin": EVIL, "host": "evil.example"}, 421),
    ],
)
def test_neither_a_page_nor_a_stranger_changes_anything(guarded: Dynamic, headers: dict[str, Any], status: int) -> None:
    before = (guarded.ask("GET", "/api/v1/get_loglevel"), guarded.dump(), guarded.get())
    assert changes(guarded, **headers) == {status}
    assert (guarded.ask("GET", "/api/v1/get_loglevel"), guarded.dump(), guarded.get()) == before
    assert guarded.status()["config_version"] == 1


def test_refusals_are_counted(guarded: Dynamic) -> None:
    def refused() -> int:
        (line,) = [
            line for line in guarded.ask("GET", "/metrics")[1].splitlines() if line.startswith("admin_refused_requests_total ")
        ]
        return int(line.split()[1])

    before = refused()
    changes(guarded, authorization=None)
    wait_until(lambda: refused() == before + 4, "four more refusals")


def test_only_variables_that_are_allowed_are_shown(guarded: Dynamic) -> None:
    assert json.loads(guarded.ask("GET", "/api/v1/env?key=SHOWN")[1]) == {"env": {"SHOWN": "to all"}}
    status, text = guarded.ask("GET", "/api/v1/env?key=SHOWN&key=SECRET_OF_MINE")
    assert status == 403 and "hunter2" not in text and "to all" not in text


def test_a_reload_reads_a_new_token_though_the_file_is_the_same(guarded: Dynamic) -> None:
    old = guarded.token
    guarded.give_token("another-token-of-this-test")
    assert guarded.ask("POST", "/api/v1/enable_log", str(guarded.log))[0] == 401
    assert "nothing differs" in guarded.run("reload").stdout
    assert guarded.ask("POST", "/api/v1/enable_log", str(guarded.log))[0] == 200
    assert guarded.ask("POST", "/api/v1/enable_log", str(guarded.log), authorization=f"Bearer {old}")[0] == 401


def test_a_scrape_is_answered_beside_a_thousand_half_open_connections(guarded: Dynamic) -> None:
    address = ("127.0.0.1", guarded.admin_port)
    scraper = http.client.HTTPConnection(*address, timeout=5)
    with contextlib.ExitStack() as stack:
        stack.callback(scraper.close)
        took = []
        for number in range(FLOOD):
            half_open = stack.enter_context(socket.create_connection(address))
            with contextlib.suppress(OSError):  # dropped already
                half_open.sendall([b"", b"GET /metr", b"POST /api/v1/enable_log HTTP/1.1\r\nHost: localhost\r\n"][number % 3])
            if number % 100 == 99:
                began = time.monotonic()
                assert guarded.ask("GET", "/metrics")[0] == 200
                took.append(time.monotonic() - began)
                began = time.monotonic()
                scraper.request("GET", "/metrics")
                assert scraper.getresponse().read().startswith(b"#"), "a connection that has asked before keeps its place"
                took.append(time.monotonic() - began)
    say(f"slowest scrape beside {FLOOD} half-open connections: {max(took):.3f} s")
    assert max(took) < 1


def test_without_token_and_socket_nobody_changes_anything_unless_the_operator_says_so(fresh: Dynamic) -> None:
    del fresh.config["admin"]["token_file"]
    fresh.write()
    assert "nobody can make a change" in fresh.run("check").stderr
    fresh.start()
    assert changes(fresh) == {403}
    fresh.config["admin"]["unauthenticated_changes"] = True
    fresh.write()
    assert fresh.run("reload").returncode == 0
    assert changes(fresh, origin=EVIL) == {403} and changes(fresh, content_type="text/plain") == {415}
    assert fresh.ask("POST", "/debug/update_config", json.dumps({"type": "router", "config": fresh.router(5)}))[0] == 200
    assert fresh.get() == 5


class UnixConnection(http.client.HTTPConnection):
    """HTTP by a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def answers(path: Path, method: str = "GET", url: str = "/api/v1/version", body: str = "") -> int:
    """The status that the API answers by the socket at *path*; 0: nobody is there."""
    connection = UnixConnection(path)
    try:
        connection.request(method, url, body, {"Content-Type": "application/json"} if body else {})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def with_pipe(program: Dynamic, **pipe: str) -> Path:
    """The program's admin API at a Unix socket too; where."""
    path = program.directory / "run" / "admin.sock"
    path.parent.mkdir(exist_ok=True, mode=0o755)
    program.config["admin"]["address"]["pipe"] = {"path": "run/admin.sock", **pipe}
    program.write()
    return path


def test_who_comes_by_the_unix_socket_makes_changes_without_a_token(fresh: Dynamic) -> None:
    path = with_pipe(fresh)
    fresh.start()
    wait_until(lambda: answers(path) == 200, "an answer by the socket")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(path) in fresh.status()["admin_address"] and str(fresh.admin_port) in fresh.status()["admin_address"]
    body = json.dumps({"type": "router", "config": fresh.router(7)})
    assert answers(path, "POST", "/debug/update_config", body) == 200
    assert fresh.get() == 7
    del fresh.config["admin"]["address"]["socket_address"]
    fresh.config["admin"]["address"]["pipe"]["mode"] = "0660"
    fresh.write()
    assert fresh.run("reload").returncode == 0
    wait_until(lambda: answers(path) == 200 and stat.S_IMODE(path.stat().st_mode) == 0o660, "an answer by the group's socket")
    with pytest.raises(ConnectionRefusedError):
        fresh.ask("GET", "/api/v1/version")
    fresh.signal(signal.SIGTERM)
    assert fresh.wait_exit() == 0
    assert not path.exists()


def test_a_socket_that_a_killed_controller_left_behind_is_replaced(fresh: Dynamic) -> None:
    path = with_pipe(fresh)
    fresh.start()
    wait_until(lambda: answers(path) == 200, "an answer by the socket")
    (before,) = fresh.pids("controller")
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: fresh.pids("controller") not in ([], [before]) and answers(path) == 200, "an answer of the new controller")


def test_a_socket_that_somebody_else_serves_is_left_alone(fresh: Dynamic) -> None:
    path = with_pipe(fresh)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        fresh.start()
        wait_until(lambda: f"cannot listen on unix:{path}: Address already in use" in fresh.log_text(), "a word about the socket")
    assert path.exists() and fresh.get() == 1


def test_a_directory_that_others_may_write_to_gets_no_socket(fresh: Dynamic) -> None:
    path = with_pipe(fresh)
    path.parent.chmod(0o777)
    fresh.start()
    wait_until(lambda: "others may put a socket of theirs into its directory" in fresh.log_text(), "a word about the directory")
    assert not path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_kernel_says_who_may_come_by_the_socket(fresh: Dynamic) -> None:
    path = with_pipe(fresh, mode="0660")
    group = 12345
    os.chown(path.parent, 0, group)
    path.parent.chmod(0o2755)
    for directory in (fresh.directory, *fresh.directory.parents[:-1]):
        if directory.stat().st_mode & 0o005 != 0o005 and directory.is_relative_to("/tmp"):
            directory.chmod(0o755)
    fresh.start()
    wait_until(lambda: answers(path) == 200, "an answer by the socket")
    assert path.stat().st_gid == group

    def said(groups: list[int], gid: int = OTHER.pw_gid) -> str:
        other: dict[str, Any] = {"user": OTHER.pw_uid, "group": gid, "extra_groups": groups, "env": {"PATH": "/usr/bin"}}
        command = ["python3", "-c", TALK, str(path), ASK]
        done = subprocess.run(command, **other, cwd="/", capture_output=True, text=True, timeout=20, check=False)
        return done.stdout + done.stderr

    assert "200 OK" in said([group]) and "200 OK" in said([], group)
    assert "PermissionError" in said([])
    path.chmod(0o666)
    assert "200" not in said([]), "its mode was changed, and the kernel still says who comes"
    assert "200 OK" in said([group])


def test_a_token_that_others_can_read_is_no_token(fresh: Dynamic) -> None:
    fresh.token_file.chmod(0o644)
    done = fresh.run("check")
    assert done.returncode != 0 and "admin.token_file" in done.stdout + done.stderr
    assert "mode 0644: others could read or change it" in done.stdout + done.stderr
    assert fresh.token not in done.stdout + done.stderr


def test_after_an_upgrade_the_new_program_answers_at_both_addresses(fresh: Dynamic) -> None:
    path = with_pipe(fresh)
    fresh.start()
    wait_until(lambda: answers(path) == 200, "an answer by the socket")
    before = set(fresh.pids("controller"))
    done = fresh.run("upgrade")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not before & set(fresh.pids("controller")), "the end of the old controller")
    wait_until(lambda: str(path) in fresh.status()["admin_address"], "the socket of the new one")
    wait_until(lambda: answers(path) == 200, "an answer by the new socket")
    assert fresh.ask("GET", "/api/v1/version")[0] == 200
    assert "cannot listen" not in fresh.log_text()
    assert fresh.run("stop").returncode == 0  # it is nobody's child: end() would not find it as its own
    wait_until(lambda: not fresh.family(), "the end of the new program")
    assert not path.exists()
