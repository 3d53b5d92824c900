"""What a reload does, says and leaves alone."""

import http.client
import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.process.program import Program, wait_until


def reload(program: Program) -> str:
    done = program.run("reload")
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def listener(program: Program) -> dict[str, Any]:
    found: dict[str, Any] = program.server["listeners"][0]
    return found


def virtual_host(program: Program) -> dict[str, Any]:
    found: dict[str, Any] = program.server["routers"][0]["virtual_hosts"][0]
    return found


def answer_by_route(program: Program, text: str) -> None:
    """Let the route answer, not the filter."""
    listener(program)["stream_filters"] = []
    virtual_host(program)["routers"][0]["direct_response"]["body"] = text
    program.write()


def test_reload_says_what_changed_and_serves_it(serving: Program) -> None:
    port, before = free_port(), serving.version()
    serving.server["listeners"].append({**Program.listener("second", port), "stream_filters": []})
    virtual_host(serving)["routers"][0]["direct_response"]["body"] = "4711"
    serving.write()
    said = reload(serving)
    assert "listeners: added second\n" in said
    assert "routers: changed r\n" in said
    assert "virtual hosts: changed r/v\n" in said
    assert f"version {before + 1} serves after " in said
    answer = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    answer.request("GET", "/")
    assert answer.getresponse().read() == b"4711"
    assert serving.version() == before + 1


def test_reload_as_json(serving: Program) -> None:
    before = serving.version()
    answer_by_route(serving, "5")
    done = serving.run("reload", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert (report["ok"], report["version"], report["workers"]) == (True, before + 1, 2)
    assert report["changes"]["listeners"]["changed"] == ["front"]
    assert report["took_s"] > 0


def test_a_dry_run_says_the_same_and_changes_nothing(serving: Program) -> None:
    serving.server["processor"] = 3
    answer_by_route(serving, "5")
    done = serving.run("reload", "--dry-run")
    assert done.returncode == 0
    assert "listeners: changed front\n" in done.stdout
    assert "workers: 2 -> 3\n" in done.stdout
    assert f"dry run: version {serving.version()} goes on serving" in done.stdout
    assert serving.get() in serving.pids("worker")
    assert len(serving.pids("worker")) == 2


def test_a_reload_of_nothing_new_changes_nothing(serving: Program) -> None:
    before = serving.version()
    assert reload(serving) == f"nothing differs: version {before} goes on serving\n"
    assert serving.version() == before


def test_sighup_reloads(serving: Program) -> None:
    version = serving.version() + 1
    answer_by_route(serving, "12345678")
    serving.signal(signal.SIGHUP)
    wait_until(lambda: serving.get() == 12345678, "the new answer")
    # the worker is faster than the log
    wait_until(lambda: f"reload: version {version} serves after" in serving.log_text(), "the line in the log")


def test_a_burst_of_sighups_ends_with_the_last_state_of_the_file(serving: Program) -> None:
    before = len(serving.log_text())
    for number in range(40):
        answer_by_route(serving, str(1000 + number))
        serving.signal(signal.SIGHUP)
    wait_until(lambda: serving.get() == 1039, "the last answer")
    said = serving.log_text()[before:]
    assert 1 <= said.count("reload: version") <= 40
    assert "refused" not in said


def test_sighup_with_a_bad_file_is_refused_in_the_log(serving: Program) -> None:
    serving.server["nonsense"] = True
    serving.write()
    serving.signal(signal.SIGHUP)
    wait_until(lambda: f"reload refused, version {serving.version()} goes on: " in serving.log_text(), "the refusal")
    assert "servers[0].nonsense: unknown key" in serving.log_text()
    assert serving.get() in serving.pids("worker")


def test_live_connections_and_their_counters_go_on(serving: Program) -> None:
    client = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=5)
    client.request("GET", "/")
    client.getresponse().read()
    local = client.sock.getsockname()
    answer_by_route(serving, "77")
    reload(serving)
    client.request("GET", "/")
    assert client.getresponse().read() == b"77"
    assert client.sock.getsockname() == local
    report = serving.status()["listeners"][0]
    assert report["connections"] >= 1
    assert report["requests"] >= 3


def test_a_changed_limit_counts_from_the_next_request_of_a_live_connection(serving: Program) -> None:
    client = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=5)
    client.request("GET", "/" + "x" * 100)
    assert client.getresponse().read()
    options = {"max_uri_size": 64}
    listener(serving)["filter_chains"][0]["filters"][0]["config"]["extend_config"] = {"Http1": options}
    serving.write()
    reload(serving)
    client.request("GET", "/" + "x" * 100)
    assert client.getresponse().status == 414


def test_a_renamed_listener_keeps_its_queue_and_its_address(serving: Program) -> None:
    listener(serving)["name"] = "renamed"
    serving.write()
    said = reload(serving)
    assert "listeners: added renamed; removed front" in said
    for _ in range(10):
        assert serving.get() in serving.pids("worker")
    assert [one["name"] for one in serving.status()["listeners"]] == ["renamed"]


def test_a_listener_moves_to_another_address(serving: Program) -> None:
    old, serving.port = serving.port, free_port()
    listener(serving)["address"] = f"127.0.0.1:{serving.port}"
    serving.write()
    reload(serving)
    assert serving.get() in serving.pids("worker")

    def is_refused() -> bool:
        with socket.socket() as sock:
            sock.settimeout(0.2)
            return sock.connect_ex(("127.0.0.1", old)) != 0

    wait_until(is_refused, "the end of the old address")


def test_users_python_that_changed_is_loaded_anew_and_streams_under_way_finish_on_the_old(program: Program) -> None:
    code = (
        "import gevent\nfrom mosn_mp.filter.stream_filter import STOP, StreamFilter\nclass Mine(StreamFilter):\n"
        "    def on_request(self, stream):\n"
        "        if stream.request.path == b'/slow':\n            gevent.sleep(1)\n"
        "        stream.reply(200, self.answer())\n        return STOP\n    def answer(self):\n        return b'%s'\n"
    )
    module = program.directory / "mine.py"
    module.write_text(code % "1")
    listener(program)["stream_filters"] = [{"type": "mine:Mine", "python_path": str(program.directory)}]
    program.write()
    program.start()
    slow = http.client.HTTPConnection("127.0.0.1", program.port, timeout=5)
    slow.request("GET", "/slow")
    wait_until(lambda: sum(p["active"] for p in program.status()["processes"]) >= 1, "a stream under way")
    module.write_text(code % "2")
    assert f"python: changed {module}" in reload(program)
    assert [program.get() for _ in range(10)] == [2] * 10
    assert slow.getresponse().read() == b"1"
    module.write_text("nonsense(")
    refused = program.run("reload")
    assert refused.returncode == 1
    assert "SyntaxError" in refused.stderr
    assert [program.get() for _ in range(10)] == [2] * 10


@pytest.mark.parametrize("kind", ["refuse", "die"])
def test_what_one_worker_alone_refuses_is_served_nowhere(running: Program, kind: str) -> None:
    workers = running.pids("worker")
    port = free_port()
    running.server["listeners"].append({**Program.listener("second", port), "stream_filters": []})
    running.server["processor"] = 3
    running.trouble(kind)
    refused = running.run("reload")
    assert refused.returncode == 1
    assert refused.stderr.endswith("refused: version 1 goes on serving\n")
    assert ("this worker does not like it" if kind == "refuse" else "exit status 3") in refused.stderr
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) != 0
    wait_until(lambda: len(running.pids("worker")) == 2, "two workers")
    if kind == "refuse":
        assert running.pids("worker") == workers
    assert running.get() in running.pids("worker")
    assert running.run("reload").returncode == 0  # the marker is there now: nobody refuses
    assert len(running.pids("worker")) == 3
    assert running.status()["config_version"] > 1


def test_the_controller_may_die_while_it_reads(running: Program) -> None:
    module = running.directory / "deadly.py"
    module.write_text(  # not in the trial before it
        "import os, pathlib\ntried = pathlib.Path(__file__).with_name('tried')\nif tried.exists():\n    os._exit(9)\n"
        "tried.touch()\nclass Mine(__import__('mosn_mp.filter.stream_filter').filter.stream_filter.StreamFilter):\n    pass\n"
    )
    before = listener(running)["stream_filters"]
    listener(running)["stream_filters"] = [{"type": "deadly:Mine", "python_path": str(running.directory)}]
    running.write()
    refused = running.run("reload")
    assert refused.returncode == 1
    assert "the controller ended while it read" in refused.stderr
    listener(running)["stream_filters"] = before
    virtual_host(running)["name"] = "other"
    running.write()
    assert "version" in reload(running)


def test_reload_of_a_program_that_does_not_run(program: Program) -> None:
    done = program.run("reload")
    assert done.returncode == 1
    assert "not running" in done.stderr


def test_the_log_moves(running: Program) -> None:
    moved = Path(running.directory / "logs" / "moved.log")
    running.server["default_log_path"] = str(moved)
    running.write()
    reload(running)
    running.signal(signal.SIGUSR1)
    wait_until(lambda: moved.exists() and "SIGUSR1: logs reopened" in moved.read_text(), "a line in the new log")
