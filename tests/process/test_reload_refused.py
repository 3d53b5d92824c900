"""Bad configurations: each refused with its reason, and the old one serves on."""

import json
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.process.program import Program, say, wait_until

Change = Callable[[Program], None]


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


@pytest.mark.parametrize("path", ["/proc/nowhere/some.log", "mosn.json/some.log", "logs"])
def test_logs_that_cannot_be_written_are_refused_exactly(serving: Program, path: str) -> None:
    before, said = serving.version(), len(serving.log_text())
    whole = serving.directory / path
    why = {"logs": "Is a directory", "mosn.json/some.log": "File exists"}.get(path, "No such file or directory")
    masters = "Not a directory" if why == "File exists" and os.geteuid() == 0 else why  # root walks, others make directories
    good = json.dumps(serving.config)
    serving.server["default_log_path"] = path
    serving.write()
    (problem,) = _reload_within(serving)["problems"]
    assert problem == f"servers[0].default_log_path: cannot open '{whole}': {masters}"
    serving.config = json.loads(good)
    serving.server["listeners"][0]["access_logs"] = [{"log_path": path}]
    serving.write()
    (problem,) = _reload_within(serving)["problems"]
    assert problem.endswith(f" refused: servers[0].listeners[0].access_logs[0].log_path: cannot open '{whole}': {why}")
    serving.signal(signal.SIGUSR1)
    wait_until(lambda: "SIGUSR1: logs reopened" in serving.log_text()[said:], "a line in the old log")
    assert serving.version() == before
