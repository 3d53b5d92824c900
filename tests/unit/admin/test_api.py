"""The admin API: its paths, what they answer, and whom they refuse."""

import json

import pytest

from mosn_mp.admin.api import AdminApi
from tests.unit.admin.fake_source import CONFIG, FakeSource


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


@pytest.fixture
def api(source: FakeSource) -> AdminApi:
    return AdminApi(source)


PATHS = [
    "/api/v1/version",
    "/api/v1/config_dump",
    "/api/v1/stats",
    "/api/v1/stats_glob",
    "/api/v1/update_loglevel",
    "/api/v1/get_loglevel",
    "/api/v1/enable_log",
    "/api/v1/disable_log",
    "/api/v1/states",
    "/api/v1/features",
    "/api/v1/env",
    "/metrics",
]
POSTED = {"/api/v1/update_loglevel", "/api/v1/enable_log", "/api/v1/disable_log"}


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/nothing"), ("POST", "/api/v1"), ("DELETE", "/api/v1/")])
def test_a_path_that_is_not_there_gets_the_list_of_those_that_are(api: AdminApi, method: str, path: str) -> None:
    reply = api.answer(method, path)
    assert (reply.status, reply.content_type) == (200, "text/plain; charset=utf-8")
    first, *listed = reply.body.decode().splitlines()
    assert first == "supported APIs:" and sorted(listed) == sorted(PATHS)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT", "DELETE"])
def test_a_wrong_method_gets_405_and_the_right_one(api: AdminApi, path: str, method: str) -> None:
    right = "POST" if path in POSTED else "GET"
    reply = api.answer(method, path)
    assert (reply.status == 405) == (method != right)
    assert reply.allow == ("" if method == right else right)


def test_the_version_is_a_sentence(api: AdminApi) -> None:
    assert api.answer("GET", "/api/v1/version").body == b"mosn version: 1.2.3"


def test_the_state_is_a_query_string(api: AdminApi) -> None:
    assert api.answer("GET", "/api/v1/states").body == b"pid=77&state=6\n"


def test_a_config_dump_lists_objects_by_name_and_hides_secrets(api: AdminApi) -> None:
    reply = api.answer("GET", "/api/v1/config_dump")
    assert reply.content_type == "application/json"
    dump = json.loads(reply.body)
    assert list(dump) == ["mosn_config", "listener", "cluster", "routers"]
    assert list(dump["listener"]) == ["front", "127.0.0.1:81"]
    assert list(dump["cluster"]) == ["web", "api"] and list(dump["routers"]) == ["main"]
    assert dump["mosn_config"]["servers"] == [{"default_log_level": "INFO"}]
    assert dump["listener"]["front"]["filter_chains"][0]["tls_context"]["private_key"] == "***REDACTED***"
    assert dump["mosn_config"]["cluster_manager"] == {"tls_context": {"private_key": "***REDACTED***"}}
    assert dump["mosn_config"]["extends"] == [{"config": {"api_password": "***REDACTED***", "inline": "***REDACTED***"}}]
    assert CONFIG["servers"][0]["listeners"][0]["filter_chains"][0]["tls_context"]["private_key"] == "PEM"


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("mosnconfig", {"servers", "cluster_manager", "extends"}),
        ("allrouters", {"main"}),
        ("allclusters=", {"web", "api"}),
        ("alllisteners", {"front", "127.0.0.1:81"}),
        ("router=main", {"router_config_name", "virtual_hosts"}),
        ("cluster=web", {"name"}),
        ("listener=127.0.0.1%3A81", {"name", "address", "access_logs"}),
    ],
)
def test_a_config_dump_can_be_narrowed(api: AdminApi, query: str, keys: set[str]) -> None:
    reply = api.answer("GET", "/api/v1/config_dump", query)
    assert reply.status == 200 and set(json.loads(reply.body)) == keys


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("router=x&cluster=y", 400, "only support one parameter"),
        ("cluster=nope", 404, "no cluster 'nope'; there are web, api"),
        ("wat=1", 400, "unknown parameter 'wat'; there are mosnconfig"),
        ("&".join(f"a{i}=1" for i in range(100)), 400, "at most 64 parameters"),
    ],
)
def test_a_config_dump_of_nothing_says_why(api: AdminApi, query: str, status: int, text: str) -> None:
    reply = api.answer("GET", "/api/v1/config_dump", query)
    assert reply.status == status and text in reply.body.decode()


def test_stats_are_json_by_type_labels_and_key(api: AdminApi, source: FakeSource) -> None:
    assert json.loads(api.answer("GET", "/api/v1/stats").body) == source.stats()
    assert list(json.loads(api.answer("GET", "/api/v1/stats", "key=upstream").body)) == ["upstream"]
    one = json.loads(api.answer("GET", "/api/v1/stats", "key=downstream.listener.front").body)
    assert one == {"downstream": {"listener.front": {"request_total": 5}}}
    assert api.answer("GET", "/api/v1/stats", "key=x.y").body == b"no metrics key: x.y"
    assert api.answer("GET", "/api/v1/stats", "key=x&other=y").status == 400


def test_stats_glob_gives_the_totals_line_by_line(api: AdminApi) -> None:
    assert api.answer("GET", "/api/v1/stats_glob").body == b"request_total:5\nrequest_active:0\n"


def test_metrics_are_prometheus_text(api: AdminApi) -> None:
    status, content_type, body, _ = api.answer("GET", "/metrics")
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b"".join(body) == b"downstream_request_total 5\n"


@pytest.mark.parametrize("log_path", ["/var/mosn.log", ""])
def test_a_log_level_can_be_changed(api: AdminApi, log_path: str) -> None:
    body = json.dumps({"log_path": log_path, "log_level": "DEBUG"}).encode()
    assert api.answer("POST", "/api/v1/update_loglevel", "", body) == (
        200,
        "text/plain; charset=utf-8",
        b"update logger success\n",
        "",
    )
    assert json.loads(api.answer("GET", "/api/v1/get_loglevel").body) == {"/var/mosn.log": "DEBUG"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"nonsense",
        b"\xff\xfe",
        b'{"log_path": "/var/mosn.log"}',
        b'{"log_path": "/nope", "log_level": "INFO"}',
        b'{"log_path": 7, "log_level": "INFO"}',
        b'{"log_path": "/var/mosn.log", "log_level": "LOUD"}',
        b'{"log_path": "/var/mosn.log", "log_level": ["INFO"]}',
        b"[" * 100_000,
    ],
)
def test_a_bad_log_level_request_changes_nothing(api: AdminApi, source: FakeSource, body: bytes) -> None:
    reply = api.answer("POST", "/api/v1/update_loglevel", "", body)
    assert reply.status == 400 and "update logger failed" in json.loads(reply.body)["error"]
    assert source.levels == {"/var/mosn.log": "INFO"}


def test_a_log_can_be_switched_off_and_on(api: AdminApi, source: FakeSource) -> None:
    assert api.answer("POST", "/api/v1/disable_log", "", b"/var/mosn.log\n").body == b"disable logger success\n"
    assert source.enabled == {"/var/mosn.log": False}
    assert api.answer("POST", "/api/v1/enable_log", "", b"/var/mosn.log").body == b"enable logger success\n"
    assert source.enabled == {"/var/mosn.log": True}
    assert api.answer("POST", "/api/v1/disable_log", "", b'{"log_path": "/var/mosn.log"}').status == 200
    assert source.enabled == {"/var/mosn.log": False}
    for bad in (b"/nope", b"{}", b'{"log_path": 1}', b"{", b'{"log_path": ' * 5000):
        assert api.answer("POST", "/api/v1/enable_log", "", bad).status == 400


def test_features_are_a_map_or_one_word(api: AdminApi, source: FakeSource) -> None:
    assert json.loads(api.answer("GET", "/api/v1/features").body) == source.features()
    assert api.answer("GET", "/api/v1/features", "key=PayLoadLimitEnable").body == b"true"
    assert api.answer("GET", "/api/v1/features", "key=auto_config").body == b"false"
    assert api.answer("GET", "/api/v1/features", "key=unknown").body == b"false"


def test_env_shows_what_is_asked_for(api: AdminApi) -> None:
    assert json.loads(api.answer("GET", "/api/v1/env", "key=HOME&key=NOPE").body) == {
        "env": {"HOME": "/root"},
        "not_found": ["NOPE"],
    }
    assert json.loads(api.answer("GET", "/api/v1/env", "key=HOME").body) == {"env": {"HOME": "/root"}}
    assert api.answer("GET", "/api/v1/env").status == 400


@pytest.mark.parametrize("query", ["key=PASSWORD", "key=HOME&key=PASSWORD", "key=home", "key="])
def test_env_shows_nothing_that_is_not_allowed(api: AdminApi, query: str) -> None:
    reply = api.answer("GET", "/api/v1/env", query)
    assert reply.status == 403 and "add to admin.env" in json.loads(reply.body)["error"]
    assert b"hunter2" not in reply.body and b"/root" not in reply.body


CHANGES = ("/debug/update_config", "/debug/update_route")


@pytest.mark.parametrize("path", CHANGES)
def test_changes_are_off_unless_the_configuration_enables_them(api: AdminApi, source: FakeSource, path: str) -> None:
    refused = api.answer("POST", path, body=b"{}")
    assert refused.status == 403 and b'takes \'\\"debug\\": true\'' in refused.body
    assert path.encode() not in api.answer("GET", "/").body
    assert source.edits == []
    source.is_debug = True
    assert api.answer("POST", path, body=b"{}").status == 200
    assert path.encode() in api.answer("GET", "/").body
    assert source.edits == [(path.rpartition("/")[2], b"{}")]
    assert (api.answer("GET", path).status, api.answer("GET", path).allow) == (405, "POST")


def test_a_change_answers_what_it_did_or_why_not(api: AdminApi, source: FakeSource) -> None:
    source.is_debug = True
    made = json.loads(api.answer("POST", CHANGES[0], body=b"good").body)
    assert made == {
        "result": "success",
        "version": 2,
        "took_ms": 12.3,
        "warnings": ["nothing leads to it"],
        "changes": {"clusters": {"added": ["web"], "changed": [], "removed": []}},
    }
    refused = api.answer("POST", CHANGES[0], body=b"bad")
    assert refused.status == 400
    assert json.loads(refused.body)["problems"] == ["config.name: no", "config.hosts: none"]
    assert api.answer("POST", CHANGES[0], body=b"lost").status == 504


def test_there_is_no_switch_for_tls_without_tls(api: AdminApi, source: FakeSource) -> None:
    source.is_debug = True
    assert api.answer("POST", "/debug/disable_tls", "disable=true").body.startswith(b"supported APIs:")
