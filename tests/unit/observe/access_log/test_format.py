import logging
import sys
import types

import pytest

from mosn_mp.buffer.head import Head
from mosn_mp.errors import ConfigError, Reason
from mosn_mp.observe.access_log.format import LogFormat
from mosn_mp.observe.access_log.record import Record
from mosn_mp.observe.access_log.text import time_text


@pytest.fixture
def record() -> Record:
    made = Record()
    made.start_us = 1_700_000_000_123_456
    made.start_at, made.request_head_at, made.request_finished_at = 1_000, 1_050, 1_250
    made.response_head_at, made.upstream_finished_at, made.end_at = 3_000, 3_100, 3_150
    made.bytes_received, made.bytes_sent = 11, 2048
    made.connection_id, made.upstream_connection_id, made.stream_id = 5, 9, 3
    made.status, made.attempts = 200, 2
    made.listener_name, made.listener_port, made.listener_type = b"front", 2046, 1
    made.protocol, made.upstream_protocol = b"Http1", b"Http2"
    made.route_name, made.cluster_name, made.upstream_host = b"home", b"web", b"10.0.0.9:8080"
    made.server_name, made.trace_id = b"example.org", b"0a1b"
    made.downstream_remote_address = b"192.0.2.7:40000"
    made.downstream_local_address = b"[::1]:2046"
    made.upstream_local_address = b"10.0.0.1:50000"
    made.request, made.response = Head(), Head()
    made.request.method, made.request.path = b"GET", b"/a/b?x=1&yy=two&x=3"
    made.request.authority, made.request.scheme = b"example.org:80", b"http"
    made.request.add("User-Agent", 'curl/8 "x"')
    made.request.add("Cookie", "a=1; bb=2")
    made.request.add("Cookie", "c=3; a=9")
    made.request.add("Empty", "")
    made.response.add("Server", "nginx")
    return made


def shown(text: str, record: Record) -> str:
    return LogFormat(text).line(record).decode().removesuffix("\n")


VALUES = {
    "duration": "2.15ms",
    "request_received_duration": "250µs",
    "response_received_duration": "2ms",
    "request_finished_duration": "2.15ms",
    "process_time_duration": "400µs",
    "bytes_sent": "2048",
    "bytes_received": "11",
    "response_code": "200",
    "x-mosn-status": "200",
    "attempts": "2",
    "connection_id": "5",
    "upstream_connection_id": "9",
    "stream_id": "3",
    "listener_port": "2046",
    "protocol": "Http1",
    "downstream_protocol": "Http1",
    "upstream_protocol": "Http2",
    "listener_name": "front",
    "listener_type": "ingress",
    "x-mosn-direction": "ingress",
    "route_name": "home",
    "upstream_cluster": "web",
    "upstream_host": "10.0.0.9:8080",
    "requested_server_name": "example.org",
    "trace_id": "0a1b",
    "downstream_remote_address": "192.0.2.7:40000",
    "downstream_local_address": "[::1]:2046",
    "upstream_local_address": "10.0.0.1:50000",
    "response_flag": "false",
    "response_flags": "-",
    "upstream_transport_failure_reason": "-",
    "authority": "example.org:80",
    "x-mosn-host": "example.org:80",
    "x-mosn-scheme": "http",
    "x-mosn-method": "GET",
    "x-mosn-path": "/a/b",
    "x-mosn-path-original": "/a/b",
    "x-mosn-querystring": "x=1&yy=two&x=3",
    "request_header_user-agent": r"curl/8 \x22x\x22",
    "header_USER-AGENT": r"curl/8 \x22x\x22",
    "request_header_absent": "-",
    "request_header_empty": "-",
    "response_header_server": "nginx",
    "response_header_absent": "-",
    "request_cookie_a": "1",
    "cookie_bb": "2",
    "cookie_c": "3",
    "cookie_b": "-",
    "request_arg_x": "1",
    "arg_yy": "two",
    "arg_y": "-",
}
PARTS = {
    "scheme": "http",
    "method": "GET",
    "path": "/a/b",
    "path_original": "/a/b",
    "uri": "/a/b?x=1&yy=two&x=3",
    "arg": "x=1&yy=two&x=3",
    "header_user-agent": r"curl/8 \x22x\x22",
    "cookie_bb": "2",
    "arg_yy": "two",
}


@pytest.mark.parametrize("name", VALUES)
def test_a_variable_shows_its_value(name: str, record: Record) -> None:
    assert shown(f"%{name}%", record) == VALUES[name]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_request_has_a_bound_and_a_neutral_name(part: str, record: Record) -> None:
    want = PARTS[part]
    assert shown(f"%{part}% %request_{part}% %Http1_request_{part}% %Http2_request_{part}%", record) == f"{want} {want} {want} -"


def test_the_short_cookie_name_is_bound_to_a_protocol_as_in_mosn(record: Record) -> None:
    assert shown("%Http1_cookie_a% %Http2_cookie_a%", record) == "1 -"


def test_the_request_length_is_head_and_body_in_http1_form(record: Record) -> None:
    head = b"GET /a/b?x=1&yy=two&x=3 HTTP/1.1\r\nUser-Agent: curl/8 'x'\r\n"
    head += b"Cookie: a=1; bb=2\r\nCookie: c=3; a=9\r\nEmpty: \r\n\r\n"
    assert shown("%request_length%", record) == str(len(head) + 11)


def test_the_default_format_is_that_of_mosn(record: Record) -> None:
    assert shown("", record) == (
        time_text(record.start_us).decode() + " 0a1b 5 9 250µs 2ms 2048 11 Http1 200 2.15ms false 200"
        " 10.0.0.1:50000 [::1]:2046 192.0.2.7:40000 10.0.0.9:8080"
    )


def test_what_is_not_known_shows_a_dash_and_durations_show_0s() -> None:
    text = shown("", Record()).split(" ", 2)[2]
    assert text == "- - - 0s 0s 0 0 - 0 0s false 0 - - - -"


def test_the_time_is_that_of_each_line(record: Record) -> None:
    compiled = LogFormat("%start_time%")
    for step_us in (0, 999, 1_000, 1_000_000, 60_000_000, -60_000_000):
        record.start_us += step_us
        assert compiled.line(record) == time_text(record.start_us) + b"\n"


@pytest.mark.parametrize("reason", list(Reason))
def test_flags_are_the_letters_of_the_reason(reason: Reason, record: Record) -> None:
    from mosn_mp.errors import REASONS

    record.reason, record.response_flags = int(reason), REASONS[reason].flag
    flag = "true" if REASONS[reason].flag else "false"
    assert shown("%response_flag% %response_flags%", record) == f"{flag} {REASONS[reason].short}"


def test_flags_without_a_reason_show_mosns_bits(record: Record) -> None:
    record.response_flags = 0x200
    assert shown("%response_flags%", record) == "0x200"


def test_an_upstream_failure_is_shown_in_words(record: Record) -> None:
    record.reason = int(Reason.CONNECT_TIMEOUT)
    assert shown("%upstream_transport_failure_reason%", record) == "connect_timeout"


def test_text_between_variables_stands_as_it_is(record: Record) -> None:
    assert shown(r'é 100\% "%bytes_sent%"%bytes_received%;', record) == 'é 100% "2048"11;'


def test_a_header_cannot_forge_a_line(record: Record) -> None:
    record.server_name = b'x\n2026/01/01 forged "\x1b[2J\xff'
    line = LogFormat('"%requested_server_name%"').line(record)
    assert line == b'"x\\x0A2026/01/01 forged \\x22\\x1B[2J\\xFF"\n'


def test_a_line_that_does_not_fit_is_cut_and_still_ends_with_a_newline(record: Record) -> None:
    compiled = LogFormat("")
    whole = compiled.line(record)
    assert not compiled.cut
    for room in range(1, len(whole)):
        line = compiled.line(record, room)
        assert len(line) <= room and line.endswith(b"\n") and compiled.cut


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("%respnse_code%", "did you mean '%response_code%'"),
        ("%zzz%", "package.module:function"),
        ("%start_time", "no closing '%'"),
        ("%%", "unknown variable %%"),
        ("%request_header_%", "write %request_header_<key>%"),
        ("%proxy_gzip_switch%", "not in this version"),
        ("%no_such_module_at_all:f%", "no module"),
    ],
)
def test_a_bad_format_is_refused_with_advice(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LogFormat(text, "listeners[0].access_logs[0].log_format")
    assert caught.value.path == "listeners[0].access_logs[0].log_format"
    assert problem in str(caught.value)


@pytest.fixture
def user_module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("log_variables_of_a_user")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_a_function_of_the_users_module_is_a_variable(user_module: types.ModuleType, record: Record) -> None:
    def tenant(record: Record) -> bytes | None:
        value: bytes | None = record.request.get("user-agent")
        return value

    user_module.tenant = tenant  # type: ignore[attr-defined]
    user_module.count = lambda record: record.attempts  # type: ignore[attr-defined]
    user_module.nothing = lambda record: None  # type: ignore[attr-defined]
    name = user_module.__name__
    assert shown(f"%{name}:tenant% %{name}:count% %{name}:nothing%", record) == r"curl/8 \x22x\x22 2 -"


def test_a_failing_function_shows_a_dash_and_is_logged_once_a_second(
    user_module: types.ModuleType, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    user_module.broken = lambda record: 1 / 0  # type: ignore[attr-defined]
    compiled = LogFormat(f"%{user_module.__name__}:broken% %bytes_sent%")
    with caplog.at_level(logging.ERROR, "mosn_mp.access_log"):
        for step_us in (0, 10, 500_000, 600_000):
            record.end_at += step_us
            assert compiled.line(record) == b"- 2048\n"
    assert compiled.failures == 4
    assert len(caplog.records) == 2


def test_what_cannot_be_called_is_no_variable(user_module: types.ModuleType) -> None:
    user_module.value = 7  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="cannot be called"):
        LogFormat(f"%{user_module.__name__}:value%")
