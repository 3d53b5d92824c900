"""Changes through the admin API, with real traffic. The tests under load print what was counted."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.process.dynamic import Dynamic
from tests.process.loaded import Loaded
from tests.process.program import HERE, say, wait_until


@pytest.fixture
def dynamic(tmp_path: Path) -> Iterator[Dynamic]:
    made = Dynamic(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.end()


def answer_at(port: int) -> int:
    guest = Loaded.__new__(Loaded)
    guest.port = port
    return guest.get()


def test_hosts_routes_and_listeners_change_under_load_and_nobody_notices(dynamic: Dynamic) -> None:
    first, second = dynamic.upstreams
    dynamic.begin_load()
    versions = [1]
    for number in range(2, 12):
        port = free_port()
        answer = dynamic.change("update_config", "cluster", dynamic.cluster(*([first, second] if number % 2 else [first])))
        assert answer["changes"]["hosts"]["added" if number % 2 else "removed"] == [f"up/127.0.0.1:{second}"]
        versions.append(answer["version"])
        versions.append(dynamic.change("update_config", "router", dynamic.router(number))["version"])
        assert [dynamic.get() for _ in range(6)] == [number] * 6
        listener = {**dynamic.listener("guest", port), "stream_filters": []}
        answer = dynamic.change("update_config", "listener", listener)
        assert answer["changes"]["listeners"]["added" if number == 2 else "changed"] == ["guest"]  # it moves to another port
        versions.append(answer["version"])
        assert [answer_at(port) for _ in range(6)] == [number] * 6
        limited = {**dynamic.server["listeners"][0], "max_connections": 1000 + number}
        versions.append(dynamic.change("update_config", "listener", limited)["version"])
        route = {"match": {"path": f"/extra{number}"}, "direct_response": {"status": 200, "body": "77"}}
        addition = {"router_config_name": "r", "domain": "*", "route": route}
        versions.append(dynamic.change("update_route", "add", addition)["version"])
    result = dynamic.end_load()
    say(f"\n{len(versions) - 1} changes by admin: {result}")
    assert result.failed == 0, (result.failures, dynamic.log_text()[-3000:])
    assert result.requests > 100
    assert versions == sorted(versions)
    assert dynamic.status()["config_version"] == versions[-1]
    assert "Traceback" not in dynamic.log_text()
    assert dynamic.change("update_config", "listener", limited)["version"] == versions[-1]  # nothing differs


def test_routes_come_and_go_by_update_route(dynamic: Dynamic) -> None:
    host = {"name": "v", "domains": ["*"], "routers": [{"match": {"prefix": "/up"}, "route": {"cluster_name": "up"}}]}
    dynamic.change("update_config", "router", {"router_config_name": "r", "virtual_hosts": [host]})
    route = {"match": {"path": "/extra"}, "direct_response": {"status": 200, "body": "77"}}
    addition = {"router_config_name": "r", "domain": "www.x.org", "route": route}
    assert dynamic.change("update_route", "add", addition)["changes"]["virtual_hosts"]["changed"] == ["r/v"]
    assert [dynamic.get("/extra") for _ in range(6)] == [77] * 6
    assert dynamic.dump()["routers"]["r"]["virtual_hosts"][0]["routers"][1]["match"]["path"] == "/extra"
    dynamic.change("update_route", "remove", {"router_config_name": "r", "domain": "*"})
    assert dynamic.dump()["routers"]["r"]["virtual_hosts"][0]["routers"] == []
    assert dynamic.get_text("/extra") != "77"


def test_changes_that_arrive_together_are_all_made(dynamic: Dynamic) -> None:
    def add(number: int) -> int:
        route = {"match": {"path": f"/n{number}"}, "direct_response": {"status": 200, "body": str(number)}}
        body = {"router_config_name": "r", "domain": "*", "route": route}
        return int(dynamic.change("update_route", "add", body)["version"])

    dynamic.change("update_route", "remove", {"router_config_name": "r", "domain": "*"})
    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(add, range(12)))
    assert sorted(versions) == list(range(3, 15))
    assert [dynamic.get(f"/n{number}") for number in range(12)] == list(range(12))


def test_refusals_name_the_problem_and_change_nothing(dynamic: Dynamic) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    front = dynamic.server["listeners"][0]
    bad_filter = {**front, "stream_filters": [{"type": "nothing.there:Mine"}]}
    route = {"match": {"prefix": "/"}, "route": {"cluster_name": "nobody"}}
    cases = {
        "unknown type": ("update_config", "clutser", {}, "did you mean 'cluster'?"),
        "not an object": ("update_config", "cluster", [], "config: expected an object, got a list"),
        "no name": ("update_config", "cluster", {"hosts": []}, "config: 'name' is missing"),
        "unknown key": ("update_config", "cluster", {**dynamic.cluster(), "hots": []},
            "config.hots: unknown key; did you mean 'hosts'?"),
        "bad address": ("update_config", "cluster", dynamic.cluster(70000), "config.hosts[0].address"),
        "unserved": ("update_config", "cluster", {**dynamic.cluster(), "health_check": {"protocol": "x"}},
            "health checking is not in"),
        "unknown balancer": ("update_config", "cluster", {**dynamic.cluster(), "lb_type": "LB_MAGIC"},
            "config.lb_type: unknown balancer"),
        "no cluster": ("update_config", "router", {"router_config_name": "r", "virtual_hosts": [
            {"domains": ["*"], "routers": [route]}]}, 'there is no cluster "nobody"'),
        "no router": ("update_config", "listener", {**front, "filter_chains": [{"filters": [{"type": "proxy", "config": {
            "router_config_name": "s"}}]}]}, 'there is no router "s"'),
        "taken address": ("update_config", "listener", dynamic.listener("x", dynamic.port), "is taken already by"),
        "address in use": ("update_config", "listener", {**dynamic.listener("x", taken.getsockname()[1]), "stream_filters": []},
            "in use"),
        "bad filter": ("update_config", "listener", bad_filter, "there is no module 'nothing'"),
        "extension": ("update_config", "extend", [{"type": "x", "config": {}}], "is not in this version"),
        "no such domain": ("update_route", "add", {"router_config_name": "s", "domain": "*", "route": route},
            'there is no router "s"'),
        "bad route": ("update_route", "add", {"router_config_name": "r", "domain": "*", "route": route},
            "config.route.route.cluster_name"),
    }  # fmt: skip
    before, workers = dynamic.dump(), dynamic.pids("worker")
    for name, (edit, kind, config, problem) in cases.items():
        found = dynamic.refusal(edit, kind, config)
        assert any(problem in one for one in found), (name, found)
    assert dynamic.ask("POST", "/debug/update_config", "{ not json")[0] == 400
    assert dynamic.dump() == before
    assert dynamic.status()["config_version"] == 1
    assert dynamic.pids("worker") == workers
    assert dynamic.get() == 1
    say(f"\n{len(cases) + 1} kinds of changes refused")


def test_without_debug_the_admin_api_changes_nothing(tmp_path: Path) -> None:
    plain = Dynamic(tmp_path)
    plain.config["admin"]["debug"] = False
    plain.write()
    try:
        plain.start()
        status, answer = plain.post("update_config", "cluster", plain.cluster())
        assert status == 403 and "debug" in answer["error"]
        assert plain.ask("POST", "/debug/update_config", "x" * 100_000)[0] == 413
        plain.config["admin"]["debug"] = True
        plain.write()
        assert plain.run("reload").returncode == 0
        router = plain.router(7)
        answer = {"direct_response": {"status": 200, "body": "8"}}
        router["virtual_hosts"][0]["routers"][:0] = [{"match": {"path": f"/{i}"}, **answer} for i in range(3000)]
        assert len(json.dumps(router)) > 131072  # more than a frame between processes holds
        assert plain.change("update_config", "router", router)["changes"]["routers"]["changed"] == ["r"]
        assert (plain.get(), plain.get("/2999")) == (7, 8)
    finally:
        plain.end()


@pytest.mark.parametrize("kind", ["refuse", "die"])
def test_what_one_worker_alone_refuses_is_changed_nowhere(dynamic: Dynamic, kind: str) -> None:
    marker = dynamic.directory / "marker"
    trouble = {"type": "witness:Witness", "python_path": str(HERE), "config": {"kind": kind, "marker": str(marker)}}
    port = free_port()
    listener = {**dynamic.listener("second", port), "stream_filters": [trouble]}
    (problem,) = dynamic.refusal("update_config", "listener", listener)
    assert ("this worker does not like it" if kind == "refuse" else "exit status 3") in problem
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) != 0
    assert "second" not in dynamic.dump()["listener"]
    assert [dynamic.get() for _ in range(6)] == [1] * 6
    wait_until(lambda: len(dynamic.pids("worker")) == 2, "two workers")
    assert dynamic.change("update_config", "listener", listener)["changes"]["listeners"]["added"] == ["second"]
    assert answer_at(port) in dynamic.pids("worker")


def test_the_file_wins_at_a_reload_and_a_dry_run_tells_the_difference(dynamic: Dynamic) -> None:
    dynamic.change("update_config", "cluster", dynamic.cluster(dynamic.upstreams[0]))
    dynamic.change("update_config", "router", dynamic.router(5))
    said = dynamic.run("reload", "--dry-run").stdout
    assert f"hosts: added up/127.0.0.1:{dynamic.upstreams[1]}" in said and "virtual hosts: changed r/v" in said
    assert dynamic.get() == 5
    assert dynamic.run("reload").stdout.splitlines()[:-1] == said.splitlines()[:-1]
    assert dynamic.get() == 1
    assert "nothing differs" in dynamic.run("reload", "--dry-run").stdout


def test_changes_survive_the_controller_and_a_worker(dynamic: Dynamic) -> None:
    dynamic.change("update_config", "router", dynamic.router(9))
    controller, worker = dynamic.pids("controller")[0], dynamic.pids("worker")[0]
    os.kill(controller, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: dynamic.pids("controller") not in ([], [controller]), "a new controller")
    dynamic.wait_admin()
    host = dynamic.dump()["routers"]["r"]["virtual_hosts"][0]
    assert host["routers"][-1]["direct_response"]["body"] == "9"
    wait_until(lambda: len(dynamic.pids("worker")) == 2, "two workers")
    assert [dynamic.get() for _ in range(10)] == [9] * 10
    assert dynamic.change("update_config", "router", dynamic.router(10))["version"] == 3
    assert dynamic.get() == 10


def test_a_change_that_waits_is_made_by_the_controller_that_comes_after(dynamic: Dynamic) -> None:
    """The first change lets the controller hang in an import; the second one waits behind it."""
    marker = dynamic.directory / "hang"
    (dynamic.directory / "slow_import.py").write_text(
        "import os, sys, time\n"
        f"if 'controller' in sys.argv[0] and not os.path.exists({str(marker)!r}):\n"
        f"    open({str(marker)!r}, 'w').close()\n    time.sleep(60)\n"
    )
    slow = {
        **dynamic.listener("x", free_port()),
        "stream_filters": [{"type": "slow_import:X", "python_path": str(dynamic.directory)}],
    }
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(dynamic.post, "update_config", "listener", slow)
        wait_until(marker.exists, "the hanging import")
        waiting = ThreadPoolExecutor(1).submit(dynamic.run, "reload")
        os.kill(dynamic.pids("controller")[0], signal.SIGKILL)
        assert isinstance(hanging.exception(), OSError | json.JSONDecodeError)
        assert "nothing differs" in waiting.result().stdout
    wait_until(lambda: "the controller ended while it read update_config" in dynamic.log_text(), "the refusal in the log")
    dynamic.wait_admin()
    assert dynamic.change("update_config", "router", dynamic.router(3))["version"] == 2


def test_python_that_changed_is_taken_by_a_reload_only_and_shown_even_if_the_controller_died_in_between(dynamic: Dynamic) -> None:
    code = (
        "from mosn_mp.filter.stream_filter import STOP, StreamFilter\nclass Mine(StreamFilter):\n"
        "    def on_request(self, stream):\n"
    )
    module = dynamic.directory / "mine.py"
    module.write_text(f"{code}        stream.reply(200, b'51')\n        return STOP\n")
    entry = {"type": "mine:Mine", "python_path": str(dynamic.directory)}
    dynamic.server["listeners"][0]["stream_filters"] = [entry]
    dynamic.write()
    assert dynamic.run("reload").returncode == 0
    module.write_text(f"{code}        stream.reply(200, b'522')\n        return STOP\n")
    limited = {**dynamic.server["listeners"][0], "max_connections": 500}
    dynamic.change("update_config", "listener", limited)
    assert [dynamic.get() for _ in range(10)] == [51] * 10
    controller = dynamic.pids("controller")[0]
    os.kill(controller, signal.SIGKILL)
    wait_until(lambda: dynamic.pids("controller") not in ([], [controller]), "a new controller")
    dynamic.wait_admin()
    answer = dynamic.change("update_config", "listener", {**limited, "max_connections": 501})
    assert "python" not in answer["changes"]
    assert [dynamic.get() for _ in range(10)] == [51] * 10
    dynamic.server["listeners"][0] = {**limited, "max_connections": 501}
    dynamic.write()
    assert f"python: changed {module}" in dynamic.run("reload", "--dry-run").stdout
    assert [dynamic.get() for _ in range(10)] == [51] * 10
    assert f"python: changed {module}" in dynamic.run("reload").stdout
    assert [dynamic.get() for _ in range(10)] == [522] * 10
    assert "nothing differs" in dynamic.run("reload").stdout


def test_workers_that_a_reload_adds_do_not_write_to_a_log_that_is_off(dynamic: Dynamic) -> None:
    access_log = dynamic.directory / "logs" / "access.log"
    dynamic.server["listeners"][0]["access_logs"] = [{"log_path": str(access_log), "log_format": "%path%"}]
    dynamic.server["processor"] = 1
    dynamic.write()
    assert dynamic.run("reload").returncode == 0
    dynamic.get_text("/loud")
    assert dynamic.ask("POST", "/api/v1/disable_log", json.dumps({"log_path": str(access_log)}))[0] == 200
    dynamic.server["processor"] = 3
    dynamic.write()
    assert dynamic.run("reload").returncode == 0

    def has_served(slot: int) -> bool:
        dynamic.get_text("/silent")
        return any(process["slot"] == slot and process["requests"] for process in dynamic.status()["processes"])

    for slot in range(3):
        wait_until(lambda slot=slot: has_served(slot), f"a request to worker {slot}")
    dynamic.signal(signal.SIGTERM)
    assert dynamic.wait_exit() == 0
    assert access_log.read_text() == "/loud\n"
