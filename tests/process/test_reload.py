"""What a reload does, says and leaves alone."""

import http.client
import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.process.program import Program, say, wait_until

Change = Callable[[Program], None]


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


def test_reload_says_what_changed_and_serves_it(running: Program) -> None:
    port = free_port()
    running.server["listeners"].append({**Program.listener("second", port), "stream_filters": []})
    virtual_host(running)["routers"][0]["direct_response"]["body"] = "4711"
    running.write()
    said = reload(running)
    assert "listeners: added second\n" in said
    assert "routers: changed r\n" in said
    assert "virtual hosts: changed r/v\n" in said
    assert "version 2 serves after " in said
    answer = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    answer.request("GET", "/")
    assert answer.getresponse().read() == b"4711"
    assert running.status()["config_version"] == 2


def test_reload_as_json(running: Program) -> None:
    answer_by_route(running, "5")
    done = running.run("reload", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert (report["ok"], report["version"], report["workers"]) == (True, 2, 2)
    assert report["changes"]["listeners"]["changed"] == ["front"]
    assert report["took_s"] > 0


def test_a_dry_run_says_the_same_and_changes_nothing(running: Program) -> None:
    running.server["processor"] = 3
    answer_by_route(running, "5")
    done = running.run("reload", "--dry-run")
    assert done.returncode == 0
    assert "listeners: changed front\n" in done.stdout
    assert "workers: 2 -> 3\n" in done.stdout
    assert "dry run: version 1 goes on serving" in done.stdout
    assert running.get() in running.pids("worker")
    assert len(running.pids("worker")) == 2


def test_a_reload_of_nothing_new_changes_nothing(running: Program) -> None:
    assert reload(running) == "nothing differs: version 1 goes on serving\n"
    assert running.status()["config_version"] == 1


def test_sighup_reloads(running: Program) -> None:
    answer_by_route(running, "12345678")
    running.signal(signal.SIGHUP)
    wait_until(lambda: running.get() == 12345678, "the new answer")
    wait_until(lambda: "reload: version 2 serves after" in running.log_text(), "the line in the log")  # the worker is faster


def test_a_burst_of_sighups_ends_with_the_last_state_of_the_file(running: Program) -> None:
    for number in range(40):
        answer_by_route(running, str(1000 + number))
        running.signal(signal.SIGHUP)
    wait_until(lambda: running.get() == 1039, "the last answer")
    assert 1 <= running.log_text().count("reload: version") <= 40
    assert "refused" not in running.log_text()


def test_sighup_with_a_bad_file_is_refused_in_the_log(running: Program) -> None:
    running.server["nonsense"] = True
    running.write()
    running.signal(signal.SIGHUP)
    wait_until(lambda: "reload refused, version 1 goes on: " in running.log_text(), "the refusal")
    assert "servers[0].nonsense: unknown key" in running.log_text()
    assert running.get() in running.pids("worker")


def test_live_connections_and_their_counters_go_on(running: Program) -> None:
    client = http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)
    client.request("GET", "/")
    client.getresponse().read()
    local = client.sock.getsockname()
    answer_by_route(running, "77")
    reload(running)
    client.request("GET", "/")
    assert client.getresponse().read() == b"77"
    assert client.sock.getsockname() == local
    report = running.status()["listeners"][0]
    assert report["connections"] >= 1
    assert report["requests"] >= 3


def test_a_changed_limit_counts_from_the_next_request_of_a_live_connection(running: Program) -> None:
    client = http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)
    client.request("GET", "/" + "x" * 100)
    assert client.getresponse().read()
    options = {"max_uri_size": 64}
    listener(running)["filter_chains"][0]["filters"][0]["config"]["extend_config"] = {"Http1": options}
    running.write()
    reload(running)
    client.request("GET", "/" + "x" * 100)
    assert client.getresponse().status == 414


def test_a_renamed_listener_keeps_its_queue_and_its_address(running: Program) -> None:
    listener(running)["name"] = "renamed"
    running.write()
    said = reload(running)
    assert "listeners: added renamed; removed front" in said
    for _ in range(10):
        assert running.get() in running.pids("worker")
    assert [one["name"] for one in running.status()["listeners"]] == ["renamed"]


def test_a_listener_moves_to_another_address(running: Program) -> None:
    old, running.port = running.port, free_port()
    listener(running)["address"] = f"127.0.0.1:{running.port}"
    running.write()
    reload(running)
    assert running.get() in running.pids("worker")

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
    module.write_text("import os, sys\nif 'controller' in sys.argv[0]:\n    os._exit(9)\n")
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


def _cluster(**keys: Any) -> Change:
    def change(program: Program) -> None:
        program.config["cluster_manager"] = {"clusters": [{"name": "c", "hosts": [{"address": "127.0.0.1:1"}], **keys}]}

    return change


def _set(*path: Any) -> Change:
    *keys, last, value = path

    def change(program: Program) -> None:
        at: Any = program.config
        for key in keys:
            at = at[key]
        at[last] = value

    return change


LISTENER = ("servers", 0, "listeners", 0)
PROXY = (*LISTENER, "filter_chains", 0, "filters", 0)
HOST = ("servers", 0, "routers", 0, "virtual_hosts", 0)
BAD: dict[str, Change] = {
    "unknown key": _set("servers", 0, "nonsense", 1),
    "unknown key of a listener": _set(*LISTENER, "adress", "x"),
    "workers of a wrong type": _set("servers", 0, "processor", "many"),
    "no worker": _set("servers", 0, "processor", 0),
    "too many workers": _set("servers", 0, "processor", 251),
    "more workers than rows": _set("servers", 0, "processor", 200),
    "negative wait": _set("servers", 0, "graceful_timeout", "-5s"),
    "wait without a unit": _set("servers", 0, "graceful_timeout", "soon"),
    "another arena": _set("servers", 0, "arena_size", "32MB"),
    "another pid file": _set("pid", "elsewhere.pid"),
    "unknown level": _set("servers", 0, "default_log_level", "LOUD"),
    "address without a port": _set(*LISTENER, "address", "127.0.0.1"),
    "address that is none": _set(*LISTENER, "address", "nowhere:80"),
    "port beyond": _set(*LISTENER, "address", "127.0.0.1:70000"),
    "address of another machine": _set(*LISTENER, "address", "192.0.2.1:8080"),
    "no filter chain": _set(*LISTENER, "filter_chains", []),
    "unknown network filter": _set(*PROXY, "type", "prxy"),
    "unknown protocol": _set(*PROXY, "config", "downstream_protocol", "Http9"),
    "router that is not there": _set(*PROXY, "config", "router_config_name", "other"),
    "no domains": _set(*HOST, "domains", []),
    "domain twice": _set(*HOST, "domains", ["a.b", "a.b"]),
    "bad regex": _set(*HOST, "routers", 0, "match", {"regex": "("}),
    "route without an action": _set(*HOST, "routers", 0, {"match": {"prefix": "/"}}),
    "bad status": _set(*HOST, "routers", 0, "direct_response", "status", 99),
    "cluster that is not there": _set(*HOST, "routers", 0, {"match": {"prefix": "/"}, "route": {"cluster_name": "c"}}),
    "unknown balancer": _cluster(lb_type="LB_MAGIC"),
    "unknown cluster type": _cluster(type="MAGIC"),
    "host twice": _cluster(hosts=[{"address": "127.0.0.1:1"}, {"address": "127.0.0.1:1"}]),
    "host without a port": _cluster(hosts=[{"address": "127.0.0.1"}]),
    "unknown stream filter": _set(*LISTENER, "stream_filters", [{"type": "nothing"}]),
    "filter module that is not there": _set(*LISTENER, "stream_filters", [{"type": "nothing.there:Mine"}]),
    "unknown key of a filter": _set(*LISTENER, "stream_filters", 0, "config", {"nonsense": 1}),
    "unknown log variable": _set(*LISTENER, "access_logs", [{"log_format": "%nothing%"}]),
    "log in no directory": _set(*LISTENER, "access_logs", [{"log_path": "/proc/nowhere/access.log"}]),
    "default log in no directory": _set("servers", 0, "default_log_path", "/proc/nowhere/mosn.log"),
}


def test_bad_configurations_are_refused_one_by_one_and_the_old_one_serves_on(running: Program) -> None:
    assert len(BAD) >= 30
    good = json.dumps(running.config)
    workers = running.pids("worker")
    assert _reload_within(running)["ok"]  # nothing changed; the controller has everything open once it answers
    before = running.descriptors()
    taken = socket.create_server(("127.0.0.1", 0))
    cases = {**BAD, "address in use": _set(*LISTENER, "address", f"127.0.0.1:{taken.getsockname()[1]}")}
    for name, change in cases.items():
        running.config = json.loads(good)
        change(running)
        running.write()
        done = _reload_within(running)
        assert not done["ok"], name
        assert done["problems"] and all(problem.strip() for problem in done["problems"]), name
        assert running.get() in workers, name
    running.config = json.loads(good)
    running.path.write_text("{ not json")
    assert running.run("reload").returncode == 1
    running.write()
    assert running.pids("worker") == workers
    # that of the last question may still be open, as it may have been before
    wait_until(lambda: all(count <= before[pid] for pid, count in running.descriptors().items()), f"no more than {before}")
    say(f"\n{len(cases) + 1} kinds of bad configuration refused")


def _reload_within(program: Program) -> dict[str, Any]:
    """Reload without the price of a new process for each question."""
    import msgspec

    from mosn_mp.ipc.channel import Channel
    from mosn_mp.ipc.frames import Ask
    from mosn_mp.ipc.report import ReloadReport
    from mosn_mp.master.control.client import ask_over
    from mosn_mp.master.control.pid_path import Whereabouts
    from mosn_mp.master.control.running import find_master

    master = find_master(Whereabouts(str(program.directory / "logs" / "mosn.pid"), False))
    try:
        answer = ask_over(Channel(master.sock), Ask("reload", str(program.path)), 20)
    finally:
        master.close()
    assert answer.ok, answer.problem
    found: dict[str, Any] = msgspec.to_builtins(msgspec.msgpack.decode(answer.body, type=ReloadReport))
    return found


def test_the_log_moves(running: Program) -> None:
    moved = Path(running.directory / "logs" / "moved.log")
    running.server["default_log_path"] = str(moved)
    running.write()
    reload(running)
    running.signal(signal.SIGUSR1)
    wait_until(lambda: moved.exists() and "SIGUSR1: logs reopened" in moved.read_text(), "a line in the new log")


@pytest.mark.parametrize("path", ["/proc/nowhere/some.log", "mosn.json/some.log", "logs"])
def test_logs_that_cannot_be_written_are_refused_exactly(running: Program, path: str) -> None:
    whole = running.directory / path
    why = {"logs": "Is a directory", "mosn.json/some.log": "File exists"}.get(path, "No such file or directory")
    masters = "Not a directory" if why == "File exists" and os.geteuid() == 0 else why  # root walks, others make directories
    good = json.dumps(running.config)
    running.server["default_log_path"] = path
    running.write()
    (problem,) = _reload_within(running)["problems"]
    assert problem == f"servers[0].default_log_path: cannot open '{whole}': {masters}"
    running.config = json.loads(good)
    running.server["listeners"][0]["access_logs"] = [{"log_path": path}]
    running.write()
    (problem,) = _reload_within(running)["problems"]
    assert problem.endswith(f" refused: servers[0].listeners[0].access_logs[0].log_path: cannot open '{whole}': {why}")
    running.signal(signal.SIGUSR1)
    wait_until(lambda: "SIGUSR1: logs reopened" in running.log_text(), "a line in the old log")
    assert running.status()["config_version"] == 1
