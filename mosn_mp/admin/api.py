"""The admin API without its transport: method, path, query and body to an answer.

Paths, texts and JSON shapes are those of MOSN's pkg/admin/server/apis.go. Where MOSN answers 500 or an
empty object to a question about something that does not exist, the answer here is 400 or 404 and says what there is.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from mosn_mp.admin.access import JSON_TYPE, Caller, Question, Refusal, judge
from mosn_mp.admin.config_dump import dump_sections, select
from mosn_mp.admin.source import AdminSource

TEXT = "text/plain; charset=utf-8"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
MAX_PARAMETERS = 64  # /api/v1/env takes a list of keys
LEVELS = ("FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE")

Query = Mapping[str, list[str]]


class Reply(NamedTuple):
    """An answer; *allow* goes with 405 (RFC 9110 section 15.5.6). A body in pieces is made while it is sent."""

    status: int
    content_type: str
    body: bytes | Iterator[bytes]
    allow: str = ""


class Endpoint(NamedTuple):
    """One path: its only method and what answers."""

    method: str
    answer: Callable[[Query, bytes], Reply]


def text_reply(text: str, status: int = 200) -> Reply:
    """Plain text."""
    return Reply(status, TEXT, text.encode())


def json_reply(value: object, status: int = 200) -> Reply:
    """JSON, indented as MOSN does."""
    return Reply(status, JSON_TYPE, json.dumps(value, indent=1, ensure_ascii=False).encode())


def error_reply(status: int, problem: str) -> Reply:
    """MOSN's error object."""
    return Reply(status, JSON_TYPE, (json.dumps({"error": problem}, indent="\t", ensure_ascii=False) + "\n").encode())


class AdminApi:
    """All endpoints over one AdminSource."""

    def __init__(self, source: AdminSource) -> None:
        self._source = source
        self._endpoints = {
            "/api/v1/version": Endpoint("GET", self._version),
            "/api/v1/config_dump": Endpoint("GET", self._config_dump),
            "/api/v1/stats": Endpoint("GET", self._stats),
            "/api/v1/stats_glob": Endpoint("GET", self._stats_glob),
            "/api/v1/update_loglevel": Endpoint("POST", self._update_log_level),
            "/api/v1/get_loglevel": Endpoint("GET", self._get_log_level),
            "/api/v1/enable_log": Endpoint("POST", self._enable_log),
            "/api/v1/disable_log": Endpoint("POST", self._disable_log),
            "/api/v1/states": Endpoint("GET", self._states),
            "/api/v1/features": Endpoint("GET", self._features),
            "/api/v1/env": Endpoint("GET", self._env),
            "/metrics": Endpoint("GET", self._metrics),
        }

        self._changes = {
            "/debug/update_config": Endpoint("POST", lambda _, body: self._change("update_config", body)),
            "/debug/update_route": Endpoint("POST", lambda _, body: self._change("update_route", body)),
        }

    def judge(self, question: Question, caller: Caller) -> Refusal | None:
        """Why *question* of *caller* is not to be answered; None: it is, by answer()."""
        return judge(question, caller, self._source.access())

    def answer(self, method: str, path: str, query: str = "", body: bytes = b"") -> Reply:
        """The answer to one request. A path that is not there gets the list of those that are, with any method, as in MOSN."""
        endpoint = self._endpoints.get(path) or self._changes.get(path)
        takes_changes = self._source.takes_changes()
        if endpoint is None:
            known = [*self._endpoints, *(self._changes if takes_changes else ())]
            return text_reply("supported APIs:\n" + "".join(f"{path}\n" for path in known))
        if path in self._changes and not takes_changes:
            return error_reply(403, f"{path} is off; it takes '\"debug\": true' in the configuration's admin section")
        if method != endpoint.method:
            return Reply(405, TEXT, b"", endpoint.method)
        try:
            parameters = parse_qs(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
        except ValueError:
            return text_reply(f"at most {MAX_PARAMETERS} parameters", 400)
        return endpoint.answer(parameters, body)

    def _version(self, query: Query, body: bytes) -> Reply:
        return text_reply(f"mosn version: {self._source.version()}")

    def _states(self, query: Query, body: bytes) -> Reply:
        return text_reply(f"pid={self._source.pid()}&state={self._source.state()}\n")

    def _config_dump(self, query: Query, body: bytes) -> Reply:
        if not query:
            return json_reply(dump_sections(self._source.config()))
        if len(query) > 1:
            return text_reply("only support one parameter", 400)
        ((parameter, values),) = query.items()
        try:
            return json_reply(select(self._source.config(), parameter, values[0]))
        except KeyError as e:
            return error_reply(404 if parameter in ("router", "cluster", "listener") else 400, str(e.args[0]))

    def _stats(self, query: Query, body: bytes) -> Reply:
        stats = self._source.stats()
        if not query:
            return json_reply(stats)
        if len(query) > 1:
            return text_reply("only support one parameter", 400)
        key = query.get("key", [""])[0]
        found = _filter_stats(stats, key)
        return json_reply(found) if found else text_reply(f"no metrics key: {key}")

    def _stats_glob(self, query: Query, body: bytes) -> Reply:
        totals = self._source.stats().get("downstream", {}).get("proxy.global", {})
        return text_reply("".join(f"{key}:{value}\n" for key, value in totals.items()))

    def _metrics(self, query: Query, body: bytes) -> Reply:
        return Reply(200, PROMETHEUS, self._source.prometheus())

    def _get_log_level(self, query: Query, body: bytes) -> Reply:
        return json_reply(dict(self._source.log_levels()))

    def _update_log_level(self, query: Query, body: bytes) -> Reply:
        try:
            wanted = json.loads(body)
            log_path, level = wanted["log_path"], wanted["log_level"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return error_reply(400, 'update logger failed: the body is {"log_path": "...", "log_level": "INFO"}')
        if level not in LEVELS:
            return error_reply(400, f"update logger failed: not found log level: {level}; there are {', '.join(LEVELS)}")
        if not isinstance(log_path, str) or not self._source.set_log_level(log_path, level):
            known = ", ".join(self._source.log_levels())
            return error_reply(400, f"update logger failed: no log '{log_path}'; there are {known}")
        return text_reply("update logger success\n")

    def _enable_log(self, query: Query, body: bytes) -> Reply:
        return self._switch_log(body, True, "enable")

    def _disable_log(self, query: Query, body: bytes) -> Reply:
        return self._switch_log(body, False, "disable")

    def _switch_log(self, body: bytes, enabled: bool, word: str) -> Reply:
        log_path = _log_path_in(body)
        if not self._source.set_log_enabled(log_path, enabled):
            return error_reply(400, f"{word} logger failed: no log '{log_path}'")
        return text_reply(f"{word} logger success\n")

    def _change(self, edit: str, body: bytes) -> Reply:
        try:
            report = self._source.change(edit, body)
        except TimeoutError:
            return error_reply(504, "no answer: /api/v1/config_dump tells whether the change was made")
        if not report.ok:
            return json_reply({"error": "; ".join(report.problems), "problems": report.problems, "version": report.version}, 400)
        changes = msgspec.to_builtins(report.changes)
        problem = self._source.file_problem()
        return json_reply(
            {
                **({"not_written": problem} if problem else {}),
                "result": "success",  # MOSN's whole answer
                "version": report.version,
                "took_ms": round(report.took_s * 1000, 1),
                "warnings": changes.pop("warnings"),
                "changes": {kind: delta for kind, delta in changes.items() if any(delta.values())},
            }
        )

    def _features(self, query: Query, body: bytes) -> Reply:
        features = self._source.features()
        if not query:
            return json_reply(dict(features))
        return text_reply("true" if features.get(query.get("key", [""])[0]) else "false")

    def _env(self, query: Query, body: bytes) -> Reply:
        if "key" not in query:
            return error_reply(400, "no env key")
        hidden = [name for name in query["key"] if name not in self._source.shown_env()]
        if hidden:
            return error_reply(403, f"not shown: {', '.join(hidden)}; add to admin.env what may be")
        values = {name: self._source.env(name) for name in query["key"]}
        result: dict[str, Any] = {"env": {name: value for name, value in values.items() if value is not None}}
        result["not_found"] = [name for name, value in values.items() if value is None]
        return json_reply({key: value for key, value in result.items() if value})


def _log_path_in(body: bytes) -> str:
    """The path that *body* says: MOSN's bare text, or {"log_path": "..."} as for update_loglevel."""
    text = body.decode("utf-8", "replace").strip()
    if not text.startswith("{"):
        return text
    try:
        return str(json.loads(text)["log_path"])
    except (ValueError, KeyError, RecursionError):
        return text


def _filter_stats(stats: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, Any]:
    """The metrics whose type, or type and labels joined by a dot, is *key*."""
    if key in stats:
        return {key: stats[key]}
    kind, _, labels = key.partition(".")
    found = stats.get(kind, {}).get(labels)
    return {kind: {labels: found}} if found is not None else {}
